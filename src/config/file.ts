import { readFile, stat } from "node:fs/promises";
import { LineCounter, isAlias, isMap, isScalar, isSeq, parseDocument, visit } from "yaml";
import type { Document, ErrorCode, Node, YAMLError } from "yaml";
import { ConfigError } from "../errors.ts";
import { flawOfReading } from "./values/secret.ts";
import { fillIn, type Filled, type Lookup } from "./environment.ts";
import { configError, formatPath, type Mistake, type Path, type Position } from "./mistake.ts";

/** A configuration as written: its values with variables filled in, and their positions. */
export interface ConfigFile {
  readonly path: string;
  readonly value: unknown;
  /** Variables that cannot be filled in. */
  readonly mistakes: readonly Mistake[];
  /** The position of the value at `path`; if there is none, of the key of the nearest mapping around it. */
  position(path: Path): Position;
  /** The position of the key at the end of `path`. */
  keyPosition(path: Path): Position;
  /** The value at `path` as it was written, for a bare number or word. */
  written(path: Path): string | undefined;
  /** The variables that went into the value at `path`, if any did. */
  filled(path: Path): Filled | undefined;
}

/** Twice the size of a hundred streams with every key. */
const FILE_MAX_BYTES = 256 * 1024;
/** Far more than anyone writes, and far too few to fill the memory. */
const ALIASES_MAX = 1000;
/** Ten times the depth of the deepest key. */
const DEPTH_MAX = 64;

/** @throws ConfigError when the file cannot be read, or is not one YAML document */
export async function readConfigFile(path: string, lookup: Lookup): Promise<ConfigFile> {
  const lines = new LineCounter();
  const document = parse(path, await readText(path), lines);
  const at = (offset: number): Position => ({ line: lines.linePos(offset).line, column: lines.linePos(offset).col });

  const { filled, flaws } = fillIn(document, lookup);
  const find = (where: Path) => findNode(document, where);
  return {
    path,
    value: valueOf(path, document),
    mistakes: flaws.map(({ path: where, flaw }) => ({
      ...at(find(where).node?.range?.[0] ?? 0),
      path: formatPath(where),
      text: flaw,
    })),
    position: (where) => {
      const { node, key, missing } = find(where);
      return at((missing ? (key ?? node) : (node ?? key))?.range?.[0] ?? 0);
    },
    keyPosition: (where) => at(find(where).key?.range?.[0] ?? 0),
    written: (where) => {
      const { node } = find(where);
      return isScalar(node) && node.type === "PLAIN" ? node.source : undefined;
    },
    filled: (where) => {
      const { node, missing } = find(where);
      return missing || node === undefined ? undefined : filled.get(node);
    },
  };
}

async function readText(path: string): Promise<string> {
  let bytes: Buffer;
  try {
    if ((await stat(path)).size > FILE_MAX_BYTES) throw tooLarge(path);
    bytes = await readFile(path);
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new ConfigError(`read configuration ${path}: ${flawOfReading(cause)}`, {
      hint: missing ? `copy config/exporter.example.yaml to ${path}, or name another file with --config` : undefined,
      cause,
    });
  }
  if (bytes.length > FILE_MAX_BYTES) throw tooLarge(path);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ConfigError(`read configuration ${path}: not UTF-8 text`, { hint: "save the file as UTF-8", cause });
  }
}

function tooLarge(path: string): ConfigError {
  return new ConfigError(`read configuration ${path}: larger than ${FILE_MAX_BYTES} bytes`, {
    hint: "is this the right file?",
  });
}

function parse(path: string, text: string, lines: LineCounter): Document.Parsed {
  if (isTooDeep(text)) throw new ConfigError(`read configuration ${path}: nested too deeply`);
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const mistakes = flawsOf(document, text).map(({ at, flaw }): Mistake => {
    const { line, col } = lines.linePos(at);
    return { line, column: col, path: "", text: flaw };
  });
  if (mistakes.length > 0) throw configError(path, mistakes);
  if (document.contents === null) {
    throw new ConfigError(`read configuration ${path}: the file is empty`, {
      hint: "copy config/exporter.example.yaml over it",
    });
  }
  return document;
}

/** Checked before parsing, because the parser recurses into each bracket and each dash, and would overflow the stack. */
function isTooDeep(text: string): boolean {
  let depth = 0;
  for (const bracket of text.match(/[[\]{}]/g) ?? []) {
    depth = Math.max(0, depth + (bracket === "[" || bracket === "{" ? 1 : -1));
    if (depth > DEPTH_MAX) return true;
  }
  return new RegExp(`(?:[-?] +){${DEPTH_MAX}}`).test(text);
}

interface Flaw {
  readonly at: number;
  readonly flaw: string;
}

/** The flaws of a document as YAML. Only the first syntax error is reported, because it usually causes those after it. */
function flawsOf(document: Document.Parsed, text: string): Flaw[] {
  const flaws: Flaw[] = [];
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) !== undefined) return;
      flaws.push({
        at: alias.range?.[0] ?? 0,
        flaw: "unknown alias (*); text that starts with * must be in quotes",
      });
    },
  });
  for (const error of [...document.errors, ...document.warnings].toSorted((a, b) => a.pos[0] - b.pos[0])) {
    const [at] = error.pos;
    const known = MESSAGES[error.code];
    if (known !== undefined) {
      flaws.push({ at, flaw: known });
      continue;
    }
    const variable = text[at] === "{" && text[at - 1] === "$";
    flaws.push({
      at,
      flaw: variable ? 'a variable within { } or [ ] must be in quotes: "${NAME}"' : syntaxFlawOf(error),
    });
    break;
  }
  return flaws;
}

const MESSAGES: Partial<Record<ErrorCode, string>> = {
  MULTIPLE_DOCS: "a second YAML document; keep only one",
  DUPLICATE_KEY: "duplicate key; keep only one of them",
  TAG_RESOLVE_FAILED: "unknown tag (!); text that starts with ! must be in quotes",
};

/** Our own message where the parser's would show a part of the file, which may be a secret. */
function syntaxFlawOf({ code, message }: YAMLError): string {
  switch (code) {
    case "TAB_AS_INDENT":
      return "indented with a tab; use spaces";
    case "BAD_ALIAS":
      return "an alias (*) without a name; text that starts with * must be in quotes";
    case "BAD_DQ_ESCAPE":
      return "unknown escape (a backslash) in double quotes; use single quotes";
    case "UNEXPECTED_TOKEN":
      return "not YAML: wrong indentation, or a missing `-` before this key";
    case "BAD_DIRECTIVE":
      return "unknown directive (%)";
    default:
      return `not YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`;
  }
}

function valueOf(path: string, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: ALIASES_MAX });
  } catch (cause) {
    if (!(cause instanceof ReferenceError)) throw cause;
    throw new ConfigError(`read configuration ${path}: too many aliases (*)`, { cause });
  }
}

/** The node at `path`, with its key; if it is missing, the nearest mapping around it. */
function findNode(document: Document, path: Path): { node: Node | undefined; key: Node | undefined; missing: boolean } {
  const follow = (node: unknown) => (isAlias(node) ? node.resolve(document) : node) as Node | undefined;
  let node = follow(document.contents);
  let key: Node | undefined;
  for (const step of path) {
    if (isMap<Node, Node | null>(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && item.key.value === step);
      if (pair === undefined) return { node, key, missing: true };
      key = pair.key;
      node = follow(pair.value ?? undefined);
    } else if (isSeq<Node>(node) && typeof step === "number" && step < node.items.length) {
      key = undefined;
      node = follow(node.items[step]);
    } else {
      return { node, key, missing: true };
    }
  }
  return { node, key, missing: false };
}
