import { isUtf8 } from "node:buffer";
import type { AuditEvent, Poison } from "../source.ts";
import { epochMs } from "../time.ts";
import { beginning, shortenedJson, shortenLargest, type Measure, type Part } from "./shorten.ts";

/** One value of a line of keys and values, not escaped yet. */
export interface Field {
  readonly key: string;
  readonly value: string | undefined;
  /** Written after it as `<key>Label`, which is how CEF names its custom fields. */
  readonly label?: string | undefined;
  /** The length limit of the key, in UTF-16 units: no receiver counts fewer for a character. */
  readonly maxChars?: number | undefined;
  /** Whether the value is JSON, and must still be JSON when it is shortened. */
  readonly isJson?: boolean;
  /** Whether the value identifies the event. It is then never shortened. */
  readonly isIdentity?: boolean;
}

/** How values are written, and the delimiter between them. */
export interface Dialect {
  readonly delimiter: string;
  readonly escape: (text: string) => string;
}

/** The key whose value names the keys that were cut. It is in the dictionary of neither format. */
const TRUNCATED = "truncated";

/** A line before it is written: its header, and the fields after it. */
export interface Draft {
  readonly header: string;
  readonly fields: readonly Field[];
}

/** The header, then the fields that have a value. Values too long for their keys are shortened, and `truncated` names the keys. */
export function writeLine({ header, fields }: Draft, dialect: Dialect): Buffer {
  return joined(header, fitted(fields), dialect);
}

/**
 * The same line in at most `maxBytes`. The longest fields are shortened or left out, and `truncated` names their keys, with
 * commas. Undefined if the header and the identity of the event do not fit.
 */
export function shortenLine({ header, fields }: Draft, dialect: Dialect, maxBytes: number): Buffer | undefined {
  const whole = fitted(fields);
  const line = joined(header, whole, dialect);
  if (line.length <= maxBytes) return line;
  const parts = whole.fields.map((field) => partOf(field, dialect));
  const fixed = Buffer.byteLength(header) - dialect.delimiter.length;
  // The mark takes space, too, and more of it with each key that is cut.
  for (let cut = whole.cut; ;) {
    const size = parts.reduce((sum, part) => sum + part.size, fixed + sizeOf(markOf(cut), dialect));
    const kept = shortenLargest(parts, size - maxBytes);
    if (kept === undefined) return undefined;
    const cutNow = new Set([...cut, ...parts.filter((part, at) => kept[at] !== part).map(({ field }) => field.key)]);
    const shorter = kept.flatMap((part) => part?.field ?? []);
    if (cutNow.size === cut.size) return joined(header, { fields: shorter, cut }, dialect);
    cut = cutNow;
  }
}

interface Fitted {
  readonly fields: readonly Field[];
  /** The keys whose values were cut. */
  readonly cut: ReadonlySet<string>;
}

/** The fields that have a value, none longer than its key allows. */
function fitted(fields: readonly Field[]): Fitted {
  const fitting: Field[] = [];
  const cut = new Set<string>();
  for (const field of fields) {
    const { key, value, maxChars = Infinity, isIdentity } = field;
    if (value === undefined || (value === "" && isIdentity !== true)) continue;
    if (value.length <= maxChars || isIdentity === true) {
      fitting.push(field);
      continue;
    }
    cut.add(key);
    const shorter = shortened(field, maxChars, (text) => text.length);
    if (shorter !== undefined) fitting.push(shorter);
  }
  return { fields: fitting, cut };
}

function shortened(field: Field, max: number, measure: Measure): Field | undefined {
  const { value = "", isJson } = field;
  const shorter = isJson === true ? shortenedJson(value, max, measure) : beginning(value, max, measure);
  return shorter === undefined || shorter === "" ? undefined : { ...field, value: shorter };
}

interface FieldPart extends Part<FieldPart> {
  readonly field: Field;
}

function partOf(field: Field, dialect: Dialect): FieldPart {
  const around = sizeOf(textOf({ ...field, value: "" }, dialect), dialect);
  const measure: Measure = (text) => Buffer.byteLength(dialect.escape(text));
  const shrink = (max: number): FieldPart | undefined => {
    const shorter = shortened(field, max - around, measure);
    return shorter && partOf(shorter, dialect);
  };
  return { field, size: around + measure(field.value ?? ""), shrink: field.isIdentity === true ? undefined : shrink };
}

function joined(header: string, { fields, cut }: Fitted, dialect: Dialect): Buffer {
  const texts = fields.map((field) => textOf(field, dialect));
  if (cut.size > 0) texts.push(markOf(cut));
  return Buffer.from(header + texts.join(dialect.delimiter));
}

/** The bytes that a written field takes, with the delimiter before it. */
function sizeOf(text: string, { delimiter }: Dialect): number {
  return delimiter.length + Buffer.byteLength(text);
}

function textOf({ key, value = "", label }: Field, { escape }: Dialect): string {
  return `${key}=${escape(value)}${label === undefined ? "" : ` ${key}Label=${label}`}`;
}

function markOf(keys: ReadonlySet<string>): string {
  return `${TRUNCATED}=${[...keys].join(",")}`;
}

/** The event of a line; or an item with the reason why the line is not an event. `parse` returns undefined without a header. */
export function readEvent(line: Buffer, parse: (text: string) => Identity | undefined): AuditEvent | Poison {
  const poison = (reason: string): Poison => ({ reason, record: line });
  if (!isUtf8(line)) return poison("not UTF-8");
  const identity = parse(line.toString());
  if (identity === undefined) return poison("no header");
  const { id, time = "", key } = identity;
  if (id === undefined) return poison("no id");
  if (key === undefined) return poison("no key");
  const ms = /^-?\d{1,16}$/.test(time) ? Number(time) : NaN;
  if (Number.isNaN(new Date(ms).getTime())) return poison("no time");
  return { id, time: epochMs(ms), key, record: line };
}

/** What identifies the event of a line, as far as the line has it. */
export interface Identity {
  readonly id: string | undefined;
  /** Milliseconds since the epoch. */
  readonly time: string | undefined;
  readonly key: string | undefined;
}
