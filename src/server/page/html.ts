/** A piece of HTML: all that is data in it has been escaped. */
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
 * A template for HTML, in text and in quoted attributes: strings and numbers between its parts are escaped, so that what comes
 * from an audit log stays text; pieces of HTML and lists of them go in as they are, undefined as nothing.
 */
export function html(parts: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  const [first = "", ...others] = withoutIndentation(parts);
  let text = first;
  for (const [index, piece] of pieces.entries()) text += textOf(piece) + (others[index] ?? "");
  return { html: text };
}

const dense = new WeakMap<TemplateStringsArray, readonly string[]>();

/** Templates are laid out for their readers: that would be a third of the page. Done once for each. */
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
