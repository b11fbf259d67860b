import type { CellKind } from "./day.ts";
import { html, type Html } from "./html.ts";

/** How a span of time is drawn: committed, at work, to come, to come and over the limit, or before what is known. */
export type Look = CellKind | "running" | "waiting" | "overdue" | "outside";

export const LOOK_WORDS: Readonly<Record<Look, string>> = {
  exported: "exported",
  empty: "exported, nothing happened",
  late: "with late arrivals",
  quarantined: "with items in quarantine",
  gap: "gap: the source had forgotten it",
  running: "at work",
  waiting: "not yet",
  overdue: "overdue",
  outside: "nothing known",
};

/** The patterns of looks, once a page. */
export const PATTERNS: Html = html`<svg class="unseen" width="0" height="0" aria-hidden="true">
  <defs>${pattern("gap", 45)}${pattern("running", -45)}</defs>
</svg>`;

function pattern(look: Look, angle: number): Html {
  return html`<pattern
    id="p-${look}"
    class="p-${look}"
    width="5"
    height="5"
    patternUnits="userSpaceOnUse"
    patternTransform="rotate(${angle})"
    ><rect width="5" height="5" /><path d="M1.5 0v5"
  /></pattern>`;
}

interface Box {
  /** As SVG has them: percent or pixels. */
  readonly x: string;
  readonly width: string;
  readonly middle: string;
  readonly y: number;
  readonly height: number;
}

/** One cell. What it says is in its form too, never in its colour alone. */
export function shape(look: Look, { x, width, middle, y, height }: Box): Html {
  const place = html`x="${x}" y="${y}" width="${width}" height="${height}"`;
  const center = Math.round((y + height / 2) * 10) / 10;
  switch (look) {
    case "gap":
    case "running":
      return html`<rect class="c-${look}" fill="url(#p-${look})" ${place} />`;
    case "late":
      return html`<rect class="c-late" ${place} />${dot(middle, center)}`;
    case "quarantined":
      return html`<rect class="c-quarantined" ${place} /><text class="mark" x="${middle}" y="${center + 3.5}">!</text>`;
    default:
      return html`<rect class="c-${look}" ${place} />`;
  }
}

export function dot(x: string, y: number): Html {
  return html`<circle class="dot" cx="${x}" cy="${Math.round(y * 10) / 10}" r="2.2" />`;
}

/** What these looks mean. */
export function legend(looks: ReadonlySet<Look>): Html {
  const shown = (Object.keys(LOOK_WORDS) as Look[]).filter((look) => looks.has(look));
  const box = { x: "0.5", width: "15", middle: "8", y: 0.5, height: 9 };
  return html`<ul class="legend">
    ${shown.map(
      (look) =>
        html`<li><svg width="16" height="10" aria-hidden="true">${shape(look, box)}</svg>${LOOK_WORDS[look]}</li>`,
    )}
  </ul>`;
}
