import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { last24Hours } from "../../status/last-days.ts";
import { byUrgency, shownInFull, type StatusDocument } from "../../status/status-document.ts";
import { formatAgo, formatCount, formatSeconds, NO_VALUE, countOf } from "../../status/readable.ts";
import { formatInstant, type EpochMs } from "../../time.ts";
import { cellsOf, instantOf, type StreamWithCells } from "./cells.ts";
import { PATTERNS, rowChart } from "./charts.ts";
import { alertIf, anchorOf, signElement, signOf, timeElement, timeText, worstState } from "./elements.ts";
import { html, type Html } from "./html.ts";
import { streamSection } from "./stream.ts";
import { summaryOf } from "./summary.ts";

/** The files that the page loads from the worker: by path, as the server sends them. */
export const assets: ReadonlyMap<string, { readonly type: string; readonly body: Buffer }> = new Map([
  ["/style.css", { type: "text/css; charset=utf-8", body: readBesideThis("style.css") }],
  ["/client.js", { type: "text/javascript; charset=utf-8", body: readBesideThis("client.js") }],
]);

function readBesideThis(name: string): Buffer {
  return readFileSync(new URL(name, import.meta.url));
}

/** The address changes with the content: caches cannot mix versions, and an open page sees that it is outdated. */
function addressOf(path: string): string {
  const digest = createHash("sha256").update(assets.get(path)?.body ?? "");
  return `${path.slice(1)}?v=${digest.digest("hex").slice(0, 8)}`;
}
const STYLE_ADDRESS = addressOf("/style.css");
const SCRIPT_ADDRESS = addressOf("/client.js");

/**
 * The status page: the answer to "is everything there?", with the details. It shows the same with and without its script. It
 * has no inline style and no inline script, so the strictest content security policy allows it. When there are more than a few
 * streams, those with the worst states are shown in detail; with `selected`, only that stream is.
 */
export function renderPage(document: StatusDocument, selected?: string): string {
  const now = instantOf(document.now);
  const streams = [...document.streams].sort(byUrgency).map((stream) => ({ stream, cells: cellsOf(stream) }));
  const inFull = shownInFull(document.streams, selected);
  const detailed = streams.filter(({ stream }) => inFull.includes(stream));
  const more = streams.length - detailed.length;
  const { sentence, element } = summaryOf(document, now);
  const state = worstState(document.streams);
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="referrer" content="same-origin" />
        <title>${`${signOf(state)} ${sentence}`}</title>
        <link rel="icon" id="icon" href="${iconOf(state)}" data-alarm="${iconOf("stopped")}" />
        <link rel="stylesheet" href="${STYLE_ADDRESS}" />
        <script type="module" src="${SCRIPT_ADDRESS}" id="script"></script>
      </head>
      <body>
        <a class="skip" href="#page">Skip to the streams</a>
        <p id="announcement" class="unseen" role="status"></p>
        <p id="offline" role="alert" hidden></p>
        <div id="page" data-announce="${`${sentence}.`}">
          <header class="wide">
            <div class="brand">
              <strong>siem-export</strong
              ><span class="quiet small"
                >as of <time id="now" datetime="${formatInstant(now)}">${timeText(now, now)} UTC</time
                ><noscript>; reload the page to update it</noscript></span
              >
            </div>
            ${element}
          </header>
          <main class="wide">
            ${PATTERNS} ${overview(streams, detailed, now)} ${detailed.map((stream) => streamSection(stream, now))}
            ${more > 0 ? html`<p class="quiet">The table above links to ${countOf(more, "more stream")}.</p>` : undefined}
          </main>
          <footer class="wide">
            <p>
              siem-export-worker
              ${document.version}${document.startedAt === null ? "" : `, started ${timeText(instantOf(document.startedAt), now)} UTC`}.
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

/** The table of all streams, a row each. The `detailed` ones have a section on this page. */
function overview(streams: readonly StreamWithCells[], detailed: readonly StreamWithCells[], now: EpochMs): Html {
  if (streams.length === 0) return html`<p>No stream is configured.</p>`;
  return html`<section class="card overview" aria-labelledby="streams">
    <h2 id="streams" class="unseen">Streams</h2>
    <table>
      <thead>
        <tr>
          <th scope="col">Stream</th>
          <th scope="col">Exported until</th>
          <th scope="col" class="number">Lag</th>
          <th scope="col" class="strip">Last 24 hours</th>
          <th scope="col" class="number minor">Events</th>
          <th scope="col" class="number minor">Quarantined</th>
        </tr>
      </thead>
      <tbody>
        ${streams.map((stream) => overviewRow(stream, detailed.includes(stream), now))}
      </tbody>
    </table>
  </section>`;
}

function overviewRow({ stream, cells }: StreamWithCells, isDetailed: boolean, now: EpochMs): Html {
  const { exportedUntil, lagSeconds, lagLimitSeconds, day, state } = stream;
  const until = exportedUntil === null ? undefined : instantOf(exportedUntil);
  const address = isDetailed ? `#${anchorOf(stream)}` : `?stream=${encodeURIComponent(stream.stream)}`;
  return html`<tr id="row-${stream.stream}">
    <th scope="row">
      <span class="name"
        >${signElement(state)}<span
          ><a href="${address}">${stream.stream}</a> <span class="word is-${state}">${state}</span></span
        ></span
      >
    </th>
    <td>
      ${
        until === undefined
          ? NO_VALUE
          : html`${timeElement(until, now)} <span class="quiet small">${formatAgo(until, now)}</span>`
      }
    </td>
    <td class="number">
      ${lagSeconds === null ? NO_VALUE : alertIf(lagSeconds > lagLimitSeconds, formatSeconds(lagSeconds))}
    </td>
    <td class="strip">${rowChart(cells, last24Hours(now), 16, "Last 24 hours")}</td>
    <td class="number minor">${formatCount(stream.last24Hours.events)}</td>
    <td class="number minor">${alertIf(day.quarantined > 0, formatCount(day.quarantined))}</td>
  </tr>`;
}

const ICON_COLOURS = {
  ok: "17734a",
  starting: "57616d",
  behind: "8f5200",
  failing: "b42318",
  stopped: "b42318",
} as const;

/** The icon of the tab: a green dot, or a square in the colour of the state. */
function iconOf(state: keyof typeof ICON_COLOURS): string {
  const shape = state === "ok" ? '<circle cx="8" cy="8" r="7"/>' : '<rect x="1" y="1" width="14" height="14" rx="2"/>';
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="#${ICON_COLOURS[state]}">${shape}</svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
