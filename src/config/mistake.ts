import { ConfigError } from "../errors.ts";

/** A mistake in a configuration, and its position. */
export interface Mistake extends Position {
  /** `streams[0].windows.lag`; "" for the whole file. */
  readonly path: string;
  readonly text: string;
}

/** All mistakes of a file as one error, in the order of the file. */
export function configError(file: string, mistakes: readonly Mistake[]): ConfigError {
  const lines = mistakes
    .toSorted((a, b) => a.line - b.line || a.column - b.column)
    .map(({ line, column, path, text }) => `  ${file}:${line}:${column}  ${path === "" ? "" : `${path}: `}${text}`);
  return new ConfigError(
    `${file}: ${lines.length} ${lines.length === 1 ? "mistake" : "mistakes"}\n${lines.join("\n")}`,
    {
      hint: "docs/configuration.md explains every key, config/exporter.example.yaml shows them",
    },
  );
}

/** `streams[0].windows.lag` */
export function formatPath(path: Path): string {
  return path
    .map((step) => {
      if (typeof step === "number") return `[${step}]`;
      // Anything but a word may be a key and its secret without a space after the colon.
      const [word = ""] = /^[\w-]{0,40}/.exec(String(step)) ?? [];
      return word === step ? `.${word}` : `["${word}…"]`;
    })
    .join("")
    .replace(/^\./, "");
}

export type Path = readonly PropertyKey[];

export interface Position {
  readonly line: number;
  readonly column: number;
}
