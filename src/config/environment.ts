import { readFile } from "node:fs/promises";
import { parse as parseDotenv } from "dotenv";
import { isPair, isScalar, isSeq, visit, type Document, type Node } from "yaml";
import { ConfigError } from "../errors.ts";
import { flawOfReading } from "./values/secret.ts";

/** The value of a variable, or undefined when it is not set. */
export type Lookup = (name: string) => string | undefined;

/** Looks a variable up in `env`, then in `.env` in the working directory. @throws ConfigError when `.env` cannot be read */
export async function lookupIn(env: NodeJS.ProcessEnv): Promise<Lookup> {
  const file = parseDotenv(await readDotenv());
  const own = (from: NodeJS.ProcessEnv, name: string) => (Object.hasOwn(from, name) ? from[name] : undefined);
  return (name) => own(env, name) ?? own(file, name);
}

async function readDotenv(): Promise<string> {
  try {
    return await readFile(".env", "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw new ConfigError(`read .env: ${flawOfReading(cause)}`, { hint: "fix or delete it", cause });
  }
}

/** The variables in a value, and whether the value is one variable and nothing else. */
export interface Filled {
  readonly names: readonly string[];
  readonly alone: boolean;
}

interface Flaw {
  readonly path: PropertyKey[];
  readonly flaw: string;
}

const VARIABLE = /\$\$\{|\$\{([^}]*)\}|\$\{/g;
const NAMED = /^([A-Za-z_]\w*)(?::-(.*))?$/s;

/**
 * Replaces `${NAME}`, `${NAME:-text}` and `$${` (a literal `${`) in the values of `document`. They are replaced after
 * parsing, so that a variable can add nothing but text, whatever it contains.
 */
export function fillIn(document: Document, lookup: Lookup): { filled: Map<Node, Filled>; flaws: Flaw[] } {
  const filled = new Map<Node, Filled>();
  const flaws: Flaw[] = [];
  visit(document, {
    Scalar(key, node, ancestors) {
      if (key === "key" || typeof node.value !== "string" || !node.value.includes("${")) return;
      const text = node.value;
      const names: string[] = [];
      const flawsBefore = flaws.length;
      const complain = (flaw: string) => {
        flaws.push({ path: pathOf(node, ancestors), flaw });
        return "";
      };
      node.value = text.replace(VARIABLE, (whole, inside?: string) => {
        if (whole === "$${") return "${";
        const [, name, fallback] = NAMED.exec(inside ?? "") ?? [];
        if (name === undefined) return complain("must be ${NAME} or ${NAME:-default}; for a literal ${ write $${");
        names.push(name);
        const value = lookup(name);
        if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
        return value ?? complain(`\${${name}} is not set; set ${name} in the environment or in .env`);
      });
      // A secret that is filled in only partly must not be used.
      if (flaws.length > flawsBefore) node.value = "";
      if (names.length > 0) filled.set(node, { names, alone: /^\$\{[^}]*\}$/.test(text) });
    },
  });
  return { filled, flaws };
}

function pathOf(node: Node, ancestors: readonly unknown[]): PropertyKey[] {
  return ancestors.flatMap((ancestor, index): PropertyKey[] => {
    if (isPair(ancestor)) return isScalar(ancestor.key) ? [String(ancestor.key.value)] : [];
    return isSeq(ancestor) ? [ancestor.items.indexOf(ancestors[index + 1] ?? node)] : [];
  });
}
