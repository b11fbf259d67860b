import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository. */
export const root = fileURLToPath(new URL("../../", import.meta.url));
export const read = (path: string) => readFileSync(join(root, path), "utf8");

/** The pages that are written by hand. Tests compare each of them with the program. */
export const NAMES = [
  "README.md",
  "CHANGELOG.md",
  "docs/architecture.md",
  "docs/guarantees.md",
  "docs/operations.md",
  "docs/siem.md",
];
export const pages = new Map(
  [...NAMES, "docs/configuration.md", "deploy/compose/README.md"].map((name) => [name, read(name)]),
);
export const texts = NAMES.map((name) => pages.get(name)!);
export const page = (name: string) => pages.get(name)!;

export interface Block {
  readonly language: string;
  readonly text: string;
}

/** The fenced blocks of a page. */
export const blocksOf = (text: string): Block[] =>
  [...text.matchAll(/^ *```(\w*)\n(.*?)^ *```$/gms)].map(([, language = "", body = ""]) => ({ language, text: body }));

/** The text between backquotes, outside of fenced blocks. */
export const spansOf = (text: string): string[] =>
  [...text.replaceAll(/^ *```.*?^ *```$/gms, "").matchAll(/`([^`\n]+)`/g)].map(([, span = ""]) => span);

/** The table rows of a section, as cells. */
export function rowsOf(text: string, heading: string): string[][] {
  const section = text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`no section ${heading}`);
  const rows = section.split("\n").filter((line) => /^\| /.test(line) && !/^\| *-/.test(line));
  return rows
    .map((row) =>
      row
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    .slice(1);
}

/** The text between backquotes in a cell. */
export const quoted = (text: string): string[] => [...text.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name);
