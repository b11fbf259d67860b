import { createHash } from "node:crypto";
import { byNeed, toldInFull, type StatusDocument } from "../../status/status-document.ts";
import { formatInstant } from "../../time.ts";
import { PATTERNS } from "./look.ts";
import { cellsOf, instantOf } from "./day.ts";
import { html } from "./html.ts";
import { overview } from "./overview.ts";
import { SCRIPT } from "./script.ts";
import { signOf, worstState } from "./state.ts";
import { streamSection } from "./stream.ts";
import { STYLE } from "./style.ts";
import { verdictOf } from "./verdict.ts";
import { clock } from "./words.ts";
import { several } from "../../status/words.ts";

/** What the page loads, all of it from the worker itself: by path, as the server is to send it. */
export const assets: ReadonlyMap<string, { readonly type: string; readonly body: Buffer }> = new Map([
  ["/page.css", { type: "text/css; charset=utf-8", body: Buffer.from(STYLE) }],
  ["/page.js", { type: "text/javascript; charset=utf-8", body: Buffer.from(SCRIPT) }],
]);

/** A newer worker's assets have other addresses: no cache confuses them, and an open page sees that it is old. */
function addressOf(path: string): string {
  const digest = createHash("sha256").update(assets.get(path)?.body ?? "");
  return `${path.slice(1)}?v=${digest.digest("hex").slice(0, 8)}`;
}
const STYLE_ADDRESS = addressOf("/page.css");
const SCRIPT_ADDRESS = addressOf("/page.js");

/**
 * The status page: all that a person needs who is asked whether everything is there. It says the same with and without its
 * script, and holds no style and no script of its own, so that the strictest policy lets it through. With more than a few streams,
 * those that are not well are told in full; with `selected`, that stream alone.
 */
export function renderPage(document: StatusDocument, selected?: string): string {
  const now = instantOf(document.now);
  const streams = [...document.streams].sort(byNeed).map((stream) => ({ stream, cells: cellsOf(stream) }));
  const inFull = toldInFull(document.streams, selected);
  const told = streams.filter(({ stream }) => inFull.includes(stream));
  const verdict = verdictOf(document, now);
  const state = worstState(document.streams);
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="referrer" content="same-origin" />
        <title>${`${signOf(state)} ${verdict.short}`}</title>
        <link rel="icon" id="icon" href="${iconOf(state)}" data-alarm="${iconOf("stopped")}" />
        <link rel="stylesheet" href="${STYLE_ADDRESS}" />
        <script src="${SCRIPT_ADDRESS}" id="script" defer></script>
      </head>
      <body>
        <a class="skip" href="#page">To the streams</a>
        <p id="announcement" class="unseen" role="status"></p>
        <p id="offline" role="alert" hidden></p>
        <div id="page" data-say="${`${verdict.short}.`}">
          <header class="wide">
            <div class="brand">
              <strong>siem-export</strong
              ><span class="quiet small"
                >as of <time id="now" datetime="${formatInstant(now)}">${clock(now, now)} UTC</time
                ><noscript>; reload the page for what is new</noscript></span
              >
            </div>
            ${verdict.shown}
          </header>
          <main class="wide">
            ${PATTERNS} ${overview(streams, told, now)} ${told.map((known) => streamSection(known, now))}
            ${told.length < streams.length ? html`<p class="quiet">${several(streams.length - told.length, "stream")} more in the table above.</p>` : undefined}
          </main>
          <footer class="wide">
            <p>
              siem-export-worker
              ${document.version}${document.startedAt === null ? "" : `, started ${clock(instantOf(document.startedAt), now)} UTC`}.
              All times are UTC.
            </p>
            <p>
              For programs: <a href="status.json">status.json</a>, <a href="metrics">metrics</a>,
              <a href="readyz">readyz</a>
            </p>
          </footer>
        </div>
      </body>
    </html> `;
  return page.html;
}

const ICON_COLOURS = {
  ok: "17734a",
  starting: "57616d",
  behind: "8f5200",
  failing: "b42318",
  stopped: "b42318",
} as const;

/** The tab tells it too: a green dot, or a square in the colour of the trouble. */
function iconOf(state: keyof typeof ICON_COLOURS): string {
  const shape = state === "ok" ? '<circle cx="8" cy="8" r="7"/>' : '<rect x="1" y="1" width="14" height="14" rx="2"/>';
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="#${ICON_COLOURS[state]}">${shape}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
