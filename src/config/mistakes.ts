import type { z } from "zod";
import type { ConfigFile } from "./file.ts";
import { configError, type Mistake, formatPath, type Path } from "./mistake.ts";

type Issue = z.core.$ZodIssue;

const SHOWN_MAX = 60;

/** The issues of the schema as mistakes of the file, without those that follow from an unset variable. */
export function mistakesOf(file: ConfigFile, issues: readonly Issue[]): Mistake[] {
  const known = new Set(file.mistakes.map(({ path }) => path));
  return flatten(issues)
    .flatMap((issue) => (issue.code === "unrecognized_keys" ? unknownKeys(file, issue) : [wrongValue(file, issue)]))
    .filter(({ path }) => !known.has(path));
}

/**
 * Reads variables as numbers or as true and false where the schema expects them and the value is nothing but a variable (in
 * quotes or not: within { } YAML requires them). Returns whether it found any.
 */
export function retype(file: ConfigFile, issues: readonly Issue[]): boolean {
  let found = false;
  for (const { code, path } of flatten(issues)) {
    if ((code !== "invalid_type" && code !== "invalid_union") || file.filled(path)?.alone !== true) continue;
    const written = valueAt(file.value, path);
    const typed = coreScalar(written);
    found ||= typed !== written;
    replace(file, path, typed);
  }
  return found;
}

/**
 * Accepts secrets and files that have a flaw (a variable is not set, a file is missing) until they are used. Such a secret then
 * throws its mistake, and the code that reads such a file throws its own ConfigError. Returns the paths of these keys.
 */
export function postpone(file: ConfigFile, issues: readonly Issue[]): ReadonlySet<string> {
  const postponed = new Set<string>();
  for (const issue of flatten(issues)) {
    const isFile = paramsOf(issue).file === true;
    if (!isFile && secretOf(issue) === undefined) continue;
    const path = formatPath(issue.path);
    const mistake = file.mistakes.find((other) => other.path === path) ?? wrongValue(file, issue);
    const fail = (): never => {
      throw configError(file.path, [mistake]);
    };
    const name = pathAsWritten(file, issue.path);
    replace(file, issue.path, isFile ? () => name : fail);
    postponed.add(path);
  }
  return postponed;
}

/** The path of a file, or the names of its variables if one is not set: the error of the code that reads the file shows it. */
function pathAsWritten(file: ConfigFile, path: Path): string {
  const value = String(valueAt(file.value, path));
  return value === "" ? (variablesOf(file, path) ?? []).map((name) => `\${${name}}`).join("") : value;
}

function replace(file: ConfigFile, path: Path, value: unknown): void {
  const parent = valueAt(file.value, path.slice(0, -1)) as Record<PropertyKey, unknown>;
  parent[path.at(-1) ?? ""] = value;
}

/** A scalar without quotes, as YAML's core schema reads booleans and numbers. */
function coreScalar(text: unknown): unknown {
  if (typeof text !== "string") return text;
  if (/^(?:true|True|TRUE)$/.test(text)) return true;
  if (/^(?:false|False|FALSE)$/.test(text)) return false;
  return /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/.test(text) ? Number(text) : text;
}

/** For a union, the issues of the option that was meant: the first one with an issue in its keys. */
function flatten(issues: readonly Issue[], prefix: PropertyKey[] = []): Issue[] {
  return issues.flatMap((issue): Issue[] => {
    const here = { ...issue, path: [...prefix, ...issue.path] };
    if (issue.code !== "invalid_union") return [here];
    const meant = issue.errors.find((branch) =>
      branch.some(({ code, path }) => path.length > 0 || code === "unrecognized_keys"),
    );
    return meant === undefined ? [here] : flatten(meant, here.path);
  });
}

function unknownKeys(file: ConfigFile, issue: z.core.$ZodIssueUnrecognizedKeys): Mistake[] {
  return issue.keys.map((key) => {
    const path = [...issue.path, key];
    const guess = nearest(key, issue.message.split(", "));
    const meant = guess === undefined ? "" : `; did you mean ${JSON.stringify(guess)}?`;
    const colon = key.includes(":") ? "; a colon needs a space after it" : "";
    const text = `unknown key${meant}${colon}  (accepted: ${issue.message})`;
    return { ...file.keyPosition(path), path: formatPath(path), text };
  });
}

function wrongValue(file: ConfigFile, issue: Issue): Mistake {
  const place = { ...file.position(issue.path), path: formatPath(issue.path) };
  const { rule, because = "" } = paramsOf(issue);
  if (rule === true) return { ...place, text: issue.message };

  const value = valueAt(file.value, issue.path);
  if (value === undefined) return { ...place, text: `missing  (accepted: ${issue.message})` };
  if (secretOf(issue) === "here" && because !== "") {
    return { ...place, text: `${variablesOf(file, issue.path)?.join(" and ") ?? "the secret"} ${String(because)}` };
  }
  const guess = typeof value === "string" ? nearest(value, optionsOf(issue)) : undefined;
  const text = [
    `found ${found(file, issue, value)}`,
    because === "" ? "" : ` (${String(because)})`,
    guess === undefined ? "" : `; did you mean ${JSON.stringify(guess)}?`,
    `  (accepted: ${issue.message})`,
  ];
  return { ...place, text: text.join("") };
}

/** The accepted values of a choice, or of the `type` of a mapping. */
function optionsOf(issue: Issue): string[] {
  if (issue.code === "invalid_value") return issue.values.map(String);
  return issue.code === "invalid_union" && "discriminator" in issue ? issue.message.split(", ") : [];
}

function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, step) => {
    const holder = at as Record<PropertyKey, unknown> | null | undefined;
    return typeof holder === "object" && holder !== null && Object.hasOwn(holder, step) ? holder[step] : undefined;
  }, value);
}

/** What was found, in words. Never a secret, and never the value of a variable, which may be a secret. */
function found(file: ConfigFile, issue: Issue, value: unknown): string {
  const { path } = issue;
  const variables = variablesOf(file, path);
  if (variables !== undefined) return `the value of ${variables.map((name) => `\${${name}}`).join(" and ")}`;
  if (value === null) return "nothing";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : `a list of ${value.length}`;
  if (typeof value === "object") return "a mapping";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  const secret = secretOf(issue);
  // Text without a slash may be the secret itself, under the wrong key.
  const isHidden = secret === "here" || (secret === "in a file" && !text.includes("/"));
  if (isHidden) return `${typeof value === "string" ? "text" : `a ${typeof value}`}, not shown here`;
  if (typeof value !== "string") return file.written(path) ?? text;
  const plain = text.replace(/\/\/[^/@]*@/g, "//…@");
  return JSON.stringify(plain.length > SHOWN_MAX ? `${plain.slice(0, SHOWN_MAX)}…` : plain);
}

function variablesOf(file: ConfigFile, path: Path): readonly string[] | undefined {
  return file.filled(path)?.names;
}

/** Where the secret is, if the issue is about one. */
function secretOf(issue: Issue): "here" | "in a file" | undefined {
  return paramsOf(issue).secret as "here" | "in a file" | undefined;
}

function paramsOf(issue: Issue): Readonly<Partial<Record<"rule" | "because" | "secret" | "file", unknown>>> {
  return (issue.code === "custom" ? issue.params : undefined) ?? {};
}

/** The candidate that `word` most likely misspells, if any is close enough. */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

/** How many letters to insert, delete, change or swap with their neighbour to turn `a` into `b`. */
function editDistance(a: string, b: string): number {
  let [before, last]: number[][] = [[], Array.from({ length: b.length + 1 }, (_, column) => column)];
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const same = a[row - 1] === b[column - 1];
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current[column] = Math.min(
        (last?.[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last?.[column - 1] ?? 0) + (same ? 0 : 1),
        swapped ? (before?.[column - 2] ?? 0) + 1 : Infinity,
      );
    }
    [before, last] = [last, current];
  }
  return last?.[b.length] ?? 0;
}
