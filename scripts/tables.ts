import { SINKS } from "../src/sinks/index.ts";
import { SOURCES } from "../src/sources/index.ts";

/** Tables of documents, by the name in their markers: `<!-- sinks: … -->` before, `<!-- end of sinks -->` after. */
const TABLES: Readonly<Record<string, string>> = {
  sources: table(
    ["source", "what it exports"],
    SOURCES.map(({ type, about }) => [`\`${type}\``, phrase(about)]),
  ),
  sinks: table(
    ["sink", "what it guarantees"],
    SINKS.map(({ type, guarantee }) => [`\`${type}\``, guarantee]),
  ),
};

/** The text of a document, its tables made again from the program's lists. @throws Error when it has no markers */
export function withTables(text: string): string {
  return Object.entries(TABLES).reduce((document, [name, rows]) => {
    const marked = new RegExp(`(<!-- ${name}: [^>]*-->\n)[^]*?(\n<!-- end of ${name} -->)`);
    if (!marked.test(document)) throw new Error(`no markers of the table ${name}`);
    return document.replace(marked, (_, start: string, end: string) => `${start}\n${rows}${end}`);
  }, text);
}

/** A Markdown table, its columns aligned as prettier aligns them. */
function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = heads.map((_, column) => Math.max(...[heads, ...rows].map((row) => row[column]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |\n`;
  return [line(heads), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("");
}

/** A sentence as a cell of a table: without its capital letter and its full stop. */
function phrase(sentence: string): string {
  return sentence.charAt(0).toLowerCase() + sentence.slice(1).replace(/\.$/, "");
}
