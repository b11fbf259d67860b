/** A piece of HTML in which all data is escaped. */
export interface Html {
  readonly html: string;
}

type Piece = string | number | Html | undefined | readonly (Html | undefined)[];

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

/**
 * A template for HTML text and quoted attributes. Strings and numbers are escaped, so data of an audit log stays text. Pieces
 * of HTML and lists of them are inserted unchanged; undefined inserts nothing.
 */
export function html(parts: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  const [first = "", ...others] = withoutIndentation(parts);
  let text = first;
  for (const [index, piece] of pieces.entries()) text += textOf(piece) + (others[index] ?? "");
  return { html: text };
}

const dense = new WeakMap<TemplateStringsArray, readonly string[]>();

/** The indentation of the templates would be a third of the page. It is removed once for each template. */
function withoutIndentation(parts: TemplateStringsArray): readonly string[] {
  const known = dense.get(parts) ?? parts.map((part) => part.replaceAll(/\s*\n\s*/g, "\n"));
  dense.set(parts, known);
  return known;
}

function textOf(piece: Piece): string {
  if (piece === undefined) return "";
  if (typeof piece === "string") return escape(piece);
  if (typeof piece === "number") return String(piece);
  return "html" in piece ? piece.html : piece.map(textOf).join("");
}

function escape(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
