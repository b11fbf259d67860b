import type { PastFailure, StreamStatus } from "../../status/status-document.ts";
import { last24Hours } from "../../status/last-days.ts";
import { DAY_MS, epochMs, HOUR_MS, SECOND_MS, type EpochMs } from "../../time.ts";
import { instantOf, type Cell } from "./day.ts";
import { dayFigure } from "./day-figure.ts";
import { figures } from "./figures.ts";
import { html, type Html } from "./html.ts";
import type { Known } from "./overview.ts";
import { anchorOf, shownState } from "./state.ts";
import { strip, weekOf } from "./strip.ts";
import { dayText, shownTime, spanText } from "./words.ts";
import { counted, lasting, several, sized } from "../../status/words.ts";

/** All there is to know of one stream. */
export function streamSection({ stream, cells }: Known, now: EpochMs): Html {
  const anchor = anchorOf(stream);
  const { source, sink, schedule, head } = stream;
  return html`<section class="card stream" id="${anchor}" aria-labelledby="name-${stream.stream}">
    <div class="top">
      <h2 id="name-${stream.stream}">${stream.stream}</h2>
      ${shownState(stream.state)}
    </div>
    <p class="route quiet small">
      ${source.type}${source.account === "" ? "" : ` (${source.account})`} at ${source.baseUrl} → ${sink} ·
      <span class="mono">${schedule}</span>
    </p>
    ${why(stream)} ${figures(stream, now)} ${cells.length === 0 ? undefined : day(stream, cells, now)}
    <div class="columns">
      ${eventKeys(stream)}${lateness(stream)}${errors(stream, now)}${gaps(stream, now)}${week(cells, now)}
    </div>
    ${head === null ? undefined : headLine(stream.stream, `${head.sequence} ${head.sha256}`)}
  </section>`;
}

function why({ state, why, hint }: StreamStatus): Html | undefined {
  if (why === null && hint === null) return undefined;
  return html`<div class="why is-${state}">
    ${why === null ? undefined : html`<p>${why}</p>`}${
      hint === null
        ? undefined
        : html`<p><span aria-hidden="true">→ </span><span class="unseen">What to do: </span>${hint}</p>`
    }
  </div>`;
}

function day(stream: StreamStatus, cells: readonly Cell[], now: EpochMs): Html {
  const { events, bytes, windows, late, gaps } = stream.last24Hours;
  return html`<figure class="day">
    <figcaption>
      <h3>Last 24 hours, UTC</h3>
      <p>
        ${several(events, "event")} in ${several(windows, "window")},
        ${sized(bytes)}${late > 0 ? `, ${counted(late)} late` : ""}${
          gaps > 0 ? html`, <span class="alarming">${several(gaps, "gap")}</span>` : undefined
        }
      </p>
    </figcaption>
    ${dayFigure(stream, cells, now)} ${hoursTable(stream, now)}
  </figure>`;
}

/** What the pictures show, for those who do not see them, and to read off. */
function hoursTable({ hours }: StreamStatus, now: EpochMs): Html {
  const shown = hours.filter(({ from }) => instantOf(from) >= last24Hours(now).from).reverse();
  return html`<details>
    <summary>The same as a table</summary>
    <table class="numbers">
      <thead>
        <tr>
          <th scope="col">Hour</th>
          <th scope="col">Windows</th>
          <th scope="col">Events</th>
          <th scope="col">Late</th>
          <th scope="col">Stored</th>
          <th scope="col">Exported</th>
        </tr>
      </thead>
      <tbody>
        ${shown.map((hour) => {
          const from = instantOf(hour.from);
          return html`<tr>
            <th scope="row">${spanText({ from, to: epochMs(from + HOUR_MS) })}</th>
            <td>${counted(hour.windows)}</td>
            <td>${counted(hour.events)}</td>
            <td>${counted(hour.late)}</td>
            <td>${sized(hour.bytes)}</td>
            <td>
              ${lasting(hour.exportedSeconds)}${
                hour.gapSeconds > 0
                  ? html`, <span class="alarming">gap of ${lasting(hour.gapSeconds)}</span>`
                  : undefined
              }
            </td>
          </tr>`;
        })}
      </tbody>
    </table>
  </details>`;
}

/** A day a row: whether anything is missing further back. */
function week(cells: readonly Cell[], now: EpochMs): Html | undefined {
  const [first] = cells;
  if (first === undefined || first.from >= last24Hours(now).from) return undefined;
  return html`<div>
    <h3>Last seven days, by the hour</h3>
    <table class="week">
      <tbody>
        ${weekOf(cells, now).map((day) => {
          const name = dayText(day.from);
          return html`<tr>
            <th scope="row">${day.from > now - DAY_MS ? "Today" : name}</th>
            <td>${strip(cells, day, 12, name)}</td>
          </tr>`;
        })}
      </tbody>
    </table>
  </div>`;
}

function eventKeys({ day: { keys } }: StreamStatus): Html {
  const rows = keys.map(({ key, events }) => ({ name: html`<code>${key}</code>`, count: events }));
  return html`<div>
    <h3>Most frequent events of the last day exported</h3>
    ${keys.length === 0 ? html`<p>None yet.</p>` : barTable(["Event", "How often"], rows)}
  </div>`;
}

function lateness({ day }: StreamStatus): Html {
  const rows = Object.entries(day.lateness).map(([bound, count]) => ({
    name: html`${bound === "more" ? "later" : `up to ${bound}`}`,
    count,
  }));
  const caught =
    day.wouldCatch === null
      ? "No look-back of up to a week would have caught 99.9 % of all events."
      : `A look-back of ${day.wouldCatch} would have caught 99.9 % of all events.`;
  return html`<div>
    <h3>How late the late events came</h3>
    ${
      rows.length === 0
        ? html`<p>
            ${day.windows === 0 ? "None yet." : "Every event of the last day exported was there when its window was read."}
          </p>`
        : html`${barTable(["After its window", "Events"], rows)}
            <p>${caught}</p>`
    }
  </div>`;
}

/** Counts as bars, with their numbers. */
function barTable(
  [name, count]: readonly [string, string],
  rows: readonly { readonly name: Html; readonly count: number }[],
): Html {
  const most = Math.max(...rows.map((row) => row.count));
  return html`<table>
    <thead class="unseen">
      <tr>
        <th scope="col">${name}</th>
        <td></td>
        <th scope="col">${count}</th>
      </tr>
    </thead>
    <tbody>
      ${rows.map(
        (row) =>
          html`<tr>
            <th scope="row">${row.name}</th>
            <td class="bar">
              <svg width="100%" height="8" aria-hidden="true">
                <rect width="${Math.round((row.count / most) * 1000) / 10}%" height="8" rx="2" />
              </svg>
            </td>
            <td class="number">${counted(row.count)}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function errors({ errors }: StreamStatus, now: EpochMs): Html {
  return html`<div>
    <h3>Last errors</h3>
    ${
      errors.length === 0
        ? html`<p>None since the worker started.</p>`
        : html`<ul class="errors">
            ${errors.toReversed().map((error) => pastError(error, now))}
          </ul>`
    }
  </div>`;
}

/** Which events the archive does not have, and never will. */
function gaps({ gaps: { count, spans } }: StreamStatus, now: EpochMs): Html | undefined {
  if (count === 0) return undefined;
  return html`<div>
    <h3>Gaps${spans.length < count ? `, the newest ${spans.length} of ${counted(count)}` : ""}</h3>
    <ul class="errors">
      ${spans.toReversed().map(({ sequence, ...span }) => {
        const [from, to] = [instantOf(span.from), instantOf(span.to)];
        return html`<li>
          ${shownTime(from, now)} to ${shownTime(to, now)}
          <span class="quiet">${lasting((to - from) / SECOND_MS)}, sequence ${counted(sequence)}</span>
        </li>`;
      })}
    </ul>
  </div>`;
}

function pastError({ firstTime, time, count, code, stage, message, hint }: PastFailure, now: EpochMs): Html {
  const repeated = html` · ${counted(count)} times since ${shownTime(instantOf(firstTime), now)}`;
  return html`<li>
    <span class="quiet"
      >${shownTime(instantOf(time), now)} ·
      ${code}${stage === null ? "" : ` in ${stage}`}${count > 1 ? repeated : undefined}</span
    ><br />${message}${hint === null ? undefined : html`<br /><span class="quiet">→ ${hint}</span>`}
  </li>`;
}

/** The newest link of the chain: who keeps it elsewhere can prove later that nothing before it was changed. */
function headLine(stream: string, head: string): Html {
  return html`<div class="head">
    <span class="quiet">Ledger head</span><code>${head}</code
    ><button type="button" data-copy="${head}" aria-label="Copy the ledger head of ${stream}">Copy</button>
  </div>`;
}
