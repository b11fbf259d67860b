import type { Format } from "../format.ts";
import { cef } from "./cef.ts";
import type { FormatDefinition, LineSource } from "./define.ts";
import { leef } from "./leef.ts";
import { raw } from "./raw.ts";

/** The list of formats. A new format is one file, and one line here. The first is the default. */
export const FORMATS = [raw, cef, leef] as const satisfies readonly FormatDefinition[];

export type FormatName = (typeof FORMATS)[number]["name"];

/** Writes lines in the format with this name, and reads lines in any format, because a stream may have changed its format. */
export function formatOf(name: FormatName, source: LineSource): Format {
  const own = FORMATS.find((definition) => definition.name === name);
  if (own === undefined) throw new Error(`no format ${name}`);
  return { ...own.of(source), read: lineReader((line) => source.read(line)) };
}

/** Reads a line of any format; `readJson` reads the JSON lines. */
export function lineReader(readJson: Format["read"]): Format["read"] {
  return (line) => {
    const format = FORMATS.find(
      ({ lineStart }) => lineStart !== undefined && line.toString("latin1", 0, lineStart.length) === lineStart,
    );
    return (format?.read ?? readJson)(line);
  };
}

/** Matches the end of the name of an object of lines, in any format. A pattern without capturing groups. */
export const OBJECT_END = `\\.(?:${FORMATS.map(({ suffix }) => suffix).join("|")})\\.gz$`;

/** The content type of an object of lines, from its name; undefined for any other object. */
export function contentTypeOf(key: string): string | undefined {
  return FORMATS.find(({ suffix }) => key.endsWith(`.${suffix}.gz`))?.contentType;
}
