import type { Format } from "../format.ts";
import type { Source } from "../source.ts";

/** What a format needs to know of the source whose events it writes. */
export type LineSource = Pick<Source, "vocabulary" | "read">;

/** A format, described once: configuration, manual, object names and content types come from it. */
export interface FormatDefinition<Name extends string = string> {
  /** Its name in the configuration, in manifests and in fingerprints. */
  readonly name: Name;
  /** What it is for. The manual shows it after the name and a colon. */
  readonly about: string;
  /** How object names end, before `.gz`. */
  readonly suffix: string;
  /** The content type of its objects. */
  readonly contentType: string;
  /** How each line starts; undefined for JSON. */
  readonly lineStart: string | undefined;
  /** Reads a line of this format; undefined for JSON, because the source reads JSON. */
  readonly read: Format["read"] | undefined;
  /** The format for the events of one source. Its `read` reads only lines of this format. */
  of(source: LineSource): Format;
}

/** A format, made from its description and the two functions that depend on the source. */
export function defineFormat<const Name extends string>({
  lines,
  ...description
}: Omit<FormatDefinition<Name>, "of"> & {
  readonly lines: (source: LineSource) => Pick<Format, "line" | "shorten">;
}): FormatDefinition<Name> {
  const { name, suffix, read } = description;
  return {
    ...description,
    of: (source) => ({ name, suffix, read: read ?? ((line) => source.read(line)), ...lines(source) }),
  };
}
