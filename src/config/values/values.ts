import { accessSync, constants } from "node:fs";
import { validateDetailed } from "node-cron";
import { z } from "zod";
import { fileSecret, flawOfReading, flawOfSecret, readSecretFile, type Secret } from "./secret.ts";
import { HOUR_MS, SECOND_MS, formatDuration, parseDuration, parseInstant, type EpochMs } from "../../time.ts";

/*
 * The kinds of value in a configuration. The message of each issue says what is accepted. mistakes.ts adds from the file what
 * was found, and where. `params.because` says more if the kind knows more.
 */

/** Metadata of kinds of value: what is accepted, for the manual and the messages. */
declare module "zod" {
  interface GlobalMeta {
    accepted?: string;
    /** The usual default of a key whose default depends on another key. */
    usual?: string;
  }
}

/** Settings as they are after they were checked. */
export type Frozen<Value> = Value extends string | number | boolean | Secret | undefined
  ? Value
  : { readonly [Key in keyof Value]: Frozen<Value[Key]> };

/** A mapping with these keys and no others. */
export function group<Shape extends z.ZodRawShape>(shape: Shape) {
  const keys = Object.keys(shape).join(", ");
  return z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? keys : `a mapping of ${keys}`),
  });
}

/** One of several mappings, chosen by `type`. */
export function oneOf<Option extends z.core.$ZodTypeDiscriminable>(what: string, options: readonly Option[]) {
  const types = `a mapping with the type of ${what} and its keys`;
  return z.discriminatedUnion("type", options as [Option, ...Option[]], {
    error: (issue) => ("options" in issue && Array.isArray(issue.options) ? issue.options.join(", ") : types),
  });
}

export function list<Item extends z.ZodType>(item: Item, min: number, max: number) {
  const accepted = `a list of ${min} to ${max} entries`;
  return z
    .array(item, { error: accepted })
    .min(min, { error: accepted })
    .max(max, { error: accepted })
    .meta({ accepted });
}

/** YAML reads digits as a number and may change them: `0123` is 123. */
function quoted(accepted: string, found: unknown): string {
  return typeof found === "number" ? `${accepted}, in quotes: YAML reads digits as a number` : accepted;
}

/** Text that matches `pattern`. */
export function text(accepted: string, pattern: RegExp) {
  return z
    .string({ error: (issue) => quoted(accepted, issue.input) })
    .regex(pattern, { error: accepted })
    .meta({ accepted });
}

/** Text that `read` parses into a value. `flaw`: why it cannot, or "" if `accepted` says enough. */
export function parsed<Value>(accepted: string, read: (text: string) => { value: Value } | { flaw: string }) {
  return z
    .string({ error: accepted })
    .transform((found, context): Value => {
      const result = read(found);
      if ("value" in result) return result.value;
      context.addIssue({ code: "custom", message: accepted, params: { because: result.flaw } });
      return z.NEVER;
    })
    .meta({ accepted });
}

/** A whole number from `min` to `max`. */
export function whole(min: number, max: number) {
  const accepted = `a whole number from ${min} to ${max}`;
  return z.int({ error: accepted }).min(min, { error: accepted }).max(max, { error: accepted }).meta({ accepted });
}

/** A number above 0, up to `max`. */
export function positive(max: number) {
  const accepted = `a number above 0, up to ${max}`;
  return z.number({ error: accepted }).positive({ error: accepted }).max(max, { error: accepted }).meta({ accepted });
}

export function choice<const Value extends string>(values: readonly Value[]) {
  const accepted = values.join(", ");
  return z.enum(values, { error: accepted }).meta({ accepted });
}

export function yesOrNo() {
  return z.boolean({ error: "true or false" }).meta({ accepted: "true or false" });
}

/** Whole seconds from `minMs` to `maxMs`, written with a unit; read into milliseconds. */
export function duration(minMs: number, maxMs: number) {
  const range = `${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  return parsed(`a duration with a unit, such as 90s, 5m, 1h30m or 7d, from ${range}, in whole seconds`, (found) => {
    const ms = parseDuration(found);
    return ms !== undefined && ms % SECOND_MS === 0 && ms >= minMs && ms <= maxMs ? { value: ms } : { flaw: "" };
  });
}

/** A duration that divides an hour, in milliseconds: the grid of windows restarts at each hour. */
export function divisorOfHour() {
  return parsed("a duration that divides an hour, such as 1m, 5m, 15m or 1h", (found) => {
    const ms = parseDuration(found);
    const divides = ms !== undefined && ms > 0 && ms % SECOND_MS === 0 && HOUR_MS % ms === 0;
    return divides ? { value: ms } : { flaw: "" };
  });
}

const BYTE_UNITS: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };

function parseByteSize(text: string): number {
  const [, amount, unit = ""] = /^(\d+)(B|KiB|MiB|GiB)$/.exec(text) ?? [];
  return Number(amount) * (BYTE_UNITS[unit] ?? Number.NaN);
}

/** A size written with a unit, from `min` to `max`; read into bytes. */
export function byteSize(min: string, max: string) {
  return parsed(`a size in B, KiB, MiB or GiB, such as 32MiB, from ${min} to ${max}`, (found) => {
    const bytes = parseByteSize(found);
    return bytes >= parseByteSize(min) && bytes <= parseByteSize(max) ? { value: bytes } : { flaw: "" };
  });
}

export function instant(accepted: string) {
  return parsed(accepted, (found): { value: EpochMs } | { flaw: string } => {
    const time = parseInstant(found);
    return time !== undefined && time % SECOND_MS === 0 ? { value: time } : { flaw: "" };
  });
}

const CRON_FIELDS: Readonly<Record<string, string>> = {
  minute: "the minute",
  hour: "the hour",
  dayOfMonth: "the day of the month",
  month: "the month",
  dayOfWeek: "the day of the week",
};

/** A cron expression of five fields. node-cron would also accept six, with seconds, and names such as `@daily`. */
export function cron() {
  return parsed(
    'five cron fields, in UTC: minute, hour, day of month, month, day of week, such as "*/5 * * * *"',
    (found) => {
      const count = found.trim() === "" ? 0 : found.trim().split(/\s+/).length;
      if (count !== 5) return { flaw: `${count} ${count === 1 ? "field" : "fields"}` };
      const { valid, errors } = validateDetailed(found);
      if (valid) return { value: found };
      const wrong = errors.flatMap(({ field }) => CRON_FIELDS[field] ?? []);
      return { flaw: wrong.length === 0 ? "" : `wrong in ${wrong.join(" and ")}` };
    },
  );
}

/** The base URL of an HTTP API. Slashes at its end are removed, so that equal URLs are equal text. */
export function address(example: string) {
  return parsed(`an http or https URL without user, query and fragment, such as ${example}`, (found) => {
    const url = URL.canParse(found) ? new URL(found) : undefined;
    const plain = url !== undefined && `${url.username}${url.password}${url.search}${url.hash}` === "";
    if (!plain || !/^https?:$/.test(url.protocol)) return { flaw: "" };
    return { value: url.origin + url.pathname.replace(/\/+$/, "") };
  });
}

/**
 * A secret: text that `read` turns into one. `postpone` replaces text with a flaw by a function that throws.
 * Messages never show the text, except with `isPath` if it looks like a path.
 */
function secret(accepted: string, read: (text: string) => { value: Secret } | { flaw: string }, isPath = false) {
  return z
    .unknown()
    .transform((found, context): Secret => {
      if (typeof found === "function") return found as Secret;
      const result = typeof found === "string" ? read(found) : { flaw: "" };
      if ("value" in result) return result.value;
      const params = { because: result.flaw, secret: isPath ? "in a file" : "here" };
      context.addIssue({ code: "custom", message: accepted, params });
      return z.NEVER;
    })
    .meta({ type: "string", accepted });
}

/** A secret in the configuration itself or, better, taken from the environment. */
export function secretText() {
  return secret("the secret itself, usually as ${NAME} from the environment", (found) => {
    const flaw = flawOfSecret(found);
    return flaw === undefined ? { value: () => found } : { flaw };
  });
}

/** An http or https URL that is itself a secret, such as a webhook's. */
export function secretUrl() {
  return secret("an http or https URL, usually as ${NAME} from the environment", (found) => {
    const isUrl = URL.canParse(found) && /^https?:$/.test(new URL(found).protocol) && flawOfSecret(found) === undefined;
    return isUrl ? { value: () => found } : { flaw: "" };
  });
}

/** The path of a file that contains a secret and nothing else. */
export function secretFile() {
  const accepted = "the path of a file that contains only the secret";
  const read = (found: string) => {
    const content = readSecretFile(found);
    return "value" in content ? { value: fileSecret(found) } : { flaw: content.flaw };
  };
  return secret(accepted, read, true);
}

/** The path of a file that can be read. `postpone` replaces the path of one that cannot by a function that returns the path. */
export function readableFile() {
  const accepted = "the path of a readable file";
  return z
    .unknown()
    .transform((found, context): string => {
      if (typeof found === "function") return (found as () => string)();
      const flaw = typeof found === "string" ? flawOfFile(found) : "";
      if (flaw === undefined) return String(found);
      const params = { because: flaw, file: typeof found === "string" };
      context.addIssue({ code: "custom", message: accepted, params });
      return z.NEVER;
    })
    .meta({ type: "string", accepted });
}

function flawOfFile(path: string): string | undefined {
  try {
    accessSync(path, constants.R_OK);
    return undefined;
  } catch (error) {
    return flawOfReading(error);
  }
}

export function directory() {
  return text("the path of a folder", /\S/);
}
