import { SINKS } from "../src/sinks/index.ts";

/** The tables that documents show, by the name in their markers: `<!-- sinks: … -->` before, `<!-- end of sinks -->` after. */
const TABLES: Readonly<Record<string, string>> = {
  sinks: table(
    ["sink", "what it guarantees"],
    SINKS.map(({ type, guarantee }) => [`\`${type}\``, guarantee]),
  ),
};

/** The text of a document with its tables as the lists of the program have them. */
export function withTables(text: string): string {
  return Object.entries(TABLES).reduce((document, [name, rows]) => {
    const marked = new RegExp(`(<!-- ${name}: [^>]*-->\n)[^]*?(\n<!-- end of ${name} -->)`);
    if (!marked.test(document)) throw new Error(`no markers of the table ${name}`);
    return document.replace(marked, (_, start: string, end: string) => `${start}\n${rows}${end}`);
  }, text);
}

/** A table of Markdown, its columns aligned as prettier has them. */
function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((_, column) => Math.max(...[heads, ...rows].map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |\n`;
  return [line(heads), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("");
}
