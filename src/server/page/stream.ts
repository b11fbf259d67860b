import { last24Hours } from "../../status/last-days.ts";
import type { PastFailure, StreamStatus } from "../../status/status-document.ts";
import {
  formatAgo,
  formatCount,
  formatSeconds,
  NO_VALUE,
  countOf,
  formatShare,
  formatBytes,
} from "../../status/readable.ts";
import { DAY_MS, epochMs, HOUR_MS, SECOND_MS, type EpochMs, type Span } from "../../time.ts";
import { instantOf, type Cell, type StreamWithCells } from "./cells.ts";
import { dayChart, rowChart } from "./charts.ts";
import { alertIf, anchorOf, dayText, spanText, stateElement, timeElement } from "./elements.ts";
import { html, type Html } from "./html.ts";

/** Everything about one stream. */
export function streamSection({ stream, cells }: StreamWithCells, now: EpochMs): Html {
  const anchor = anchorOf(stream);
  const { source, sink, schedule, head } = stream;
  return html`<section class="card stream" id="${anchor}" aria-labelledby="name-${stream.stream}">
    <div class="top">
      <h2 id="name-${stream.stream}">${stream.stream}</h2>
      ${stateElement(stream.state)}
    </div>
    <p class="route quiet small">
      ${source.type}${source.account === "" ? "" : ` (${source.account})`} at ${source.baseUrl} → ${sink} ·
      <span class="mono">${schedule}</span>
    </p>
    ${reason(stream)} ${figures(stream, now)} ${cells.length === 0 ? undefined : lastDay(stream, cells, now)}
    <div class="columns">
      ${frequentEvents(stream)}${lateEvents(stream)}${lastErrors(stream, now)}${gaps(stream, now)}${lastWeek(cells, now)}
    </div>
    ${head === null ? undefined : headLine(stream.stream, `${head.sequence} ${head.sha256}`)}
  </section>`;
}

/** Why the stream is in its state, and what to do about it. */
function reason({ state, why, hint }: StreamStatus): Html | undefined {
  if (why === null && hint === null) return undefined;
  return html`<div class="why is-${state}">
    ${why === null ? undefined : html`<p>${why}</p>`}${
      hint === null
        ? undefined
        : html`<p><span aria-hidden="true">→ </span><span class="unseen">What to do: </span>${hint}</p>`
    }
  </div>`;
}

/** The key figures of a stream, each with what it is measured against. */
function figures(stream: StreamStatus, now: EpochMs): Html {
  const { completeness, retention, totals, gaps, day } = stream;
  const [until, next, last, reconciled] = [
    stream.exportedUntil,
    stream.nextTick,
    stream.lastTick,
    stream.reconciledAt,
  ].map((instant) => (instant === null ? undefined : instantOf(instant)));
  const left = retention?.leftSeconds;
  return html`<dl class="figures">
    ${figure("Exported until", until && html`${timeElement(until, now)} <small>UTC</small>`, until === undefined ? "nothing yet" : formatAgo(until, now))}
    ${lag(stream)}
    ${figure("Next run", next && html`${next <= now ? "now" : formatAgo(next, now)}`, last === undefined ? "no run has ended yet" : `last run ${formatAgo(last, now)}`)}
    ${figure("Completeness", completeness === null ? undefined : alertIf(completeness < 1, formatShare(completeness)), reconciled === undefined ? "not compared with the source" : `compared ${formatAgo(reconciled, now)}`)}
    ${figure("Gaps", gaps.count > 0 ? alertIf(true, formatSeconds(gaps.seconds)) : html`none known`, whereGapsAreKnown(gaps))}
    ${figure("Quarantined", alertIf(day.quarantined > 0, formatCount(day.quarantined)), "in the last exported day")}
    ${figure("Since the start", html`${formatCount(totals.events)}`, `${totals.events === 1 ? "event" : "events"} in ${countOf(totals.windows, "window")}`)}
    ${left === undefined ? undefined : figure("Retention left", left > 0 ? html`${formatSeconds(left)}` : alertIf(true, "none"), "for the oldest event not yet exported")}
  </dl>`;
}

/** How many gaps there are, and which windows were searched for them. */
function whereGapsAreKnown({ count, knownFrom }: StreamStatus["gaps"]): string {
  if (knownFrom === null) return "no windows were read yet";
  const windows = knownFrom === 1 ? "in all windows" : `since window ${formatCount(knownFrom)}`;
  return count > 0 ? `${countOf(count, "gap")} ${windows}` : windows;
}

function figure(name: string, value: Html | undefined, more: string): Html {
  return html`<div>
    <dt>${name}</dt>
    <dd>${value ?? NO_VALUE}</dd>
    <dd class="more">${more}</dd>
  </div>`;
}

/** With a gauge: how much of the limit is used up. */
function lag({ lagSeconds, lagLimitSeconds }: StreamStatus): Html {
  const share = lagSeconds === null ? 0 : Math.min(100, Math.round((lagSeconds / lagLimitSeconds) * 1000) / 10);
  const isOver = lagSeconds !== null && lagSeconds > lagLimitSeconds;
  return html`<div>
    <dt>Lag</dt>
    <dd>${lagSeconds === null ? NO_VALUE : alertIf(isOver, formatSeconds(lagSeconds))}</dd>
    <dd class="more gauge">
      ${isOver ? "over the limit of" : "limit"} ${formatSeconds(lagLimitSeconds)}<svg
        width="100%"
        height="3"
        aria-hidden="true"
      >
        <rect class="track" width="100%" height="3" />
        <rect class="${isOver ? "over" : "under"}" width="${share}%" height="3" />
      </svg>
    </dd>
  </div>`;
}

function lastDay(stream: StreamStatus, cells: readonly Cell[], now: EpochMs): Html {
  const { events, bytes, windows, late, gaps } = stream.last24Hours;
  return html`<figure class="day">
    <figcaption>
      <h3>Last 24 hours, UTC</h3>
      <p>
        ${countOf(events, "event")} in ${countOf(windows, "window")},
        ${formatBytes(bytes)}${late > 0 ? `, ${formatCount(late)} late` : ""}${
          gaps > 0 ? html`, ${alertIf(true, countOf(gaps, "gap"))}` : undefined
        }
      </p>
    </figcaption>
    ${dayChart(stream, cells, now)} ${hoursTable(stream, now)}
  </figure>`;
}

/** The content of the charts as a table: for exact numbers, and for those who cannot see charts. */
function hoursTable({ hours }: StreamStatus, now: EpochMs): Html {
  const shown = hours.filter(({ from }) => instantOf(from) >= last24Hours(now).from).reverse();
  return html`<details>
    <summary>Show as a table</summary>
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
            <td>${formatCount(hour.windows)}</td>
            <td>${formatCount(hour.events)}</td>
            <td>${formatCount(hour.late)}</td>
            <td>${formatBytes(hour.bytes)}</td>
            <td>
              ${formatSeconds(hour.exportedSeconds)}${
                hour.gapSeconds > 0 ? html`, ${alertIf(true, `gap of ${formatSeconds(hour.gapSeconds)}`)}` : undefined
              }
            </td>
          </tr>`;
        })}
      </tbody>
    </table>
  </details>`;
}

/** A row for each day: whether anything is missing further back. */
function lastWeek(cells: readonly Cell[], now: EpochMs): Html | undefined {
  const [first] = cells;
  if (first === undefined || first.from >= last24Hours(now).from) return undefined;
  return html`<div>
    <h3>Last seven days, by hour</h3>
    <table class="week">
      <tbody>
        ${daysOf(cells, now).map((day) => {
          const name = dayText(day.from);
          return html`<tr>
            <th scope="row">${day.from > now - DAY_MS ? "Today" : name}</th>
            <td>${rowChart(cells, day, 12, name)}</td>
          </tr>`;
        })}
      </tbody>
    </table>
  </div>`;
}

function frequentEvents({ day: { keys } }: StreamStatus): Html {
  const rows = keys.map(({ key, events }) => ({ name: html`<code>${key}</code>`, count: events }));
  return html`<div>
    <h3>Most frequent events in the last exported day</h3>
    ${keys.length === 0 ? html`<p>None yet.</p>` : barTable(["Event", "Count"], rows)}
  </div>`;
}

function lateEvents({ day }: StreamStatus): Html {
  const rows = Object.entries(day.lateness).map(([bound, count]) => ({
    name: html`${bound === "more" ? "longer" : `up to ${bound}`}`,
    count,
  }));
  const needed =
    day.wouldCatch === null
      ? "To catch 99.9 % of all events, the look-back would have to be longer than a week."
      : `A look-back of ${day.wouldCatch} catches 99.9 % of all events.`;
  return html`<div>
    <h3>Late events in the last exported day</h3>
    ${
      rows.length === 0
        ? html`<p>${day.windows === 0 ? "None yet." : "No late events."}</p>`
        : html`${barTable(["Delay after the window was exported", "Events"], rows)}
            <p>${needed}</p>`
    }
  </div>`;
}

/** Counts as bars and as numbers. */
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
            <td class="number">${formatCount(row.count)}</td>
          </tr>`,
      )}
    </tbody>
  </table>`;
}

function lastErrors({ errors }: StreamStatus, now: EpochMs): Html {
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

/** The times of which events are lost. */
function gaps({ gaps: { count, spans } }: StreamStatus, now: EpochMs): Html | undefined {
  if (count === 0) return undefined;
  return html`<div>
    <h3>Gaps${spans.length < count ? `, the newest ${spans.length} of ${formatCount(count)}` : ""}</h3>
    <ul class="errors">
      ${spans.toReversed().map(({ sequence, ...span }) => {
        const [from, to] = [instantOf(span.from), instantOf(span.to)];
        return html`<li>
          ${timeElement(from, now)} to ${timeElement(to, now)}
          <span class="quiet">${formatSeconds((to - from) / SECOND_MS)}, sequence ${formatCount(sequence)}</span>
        </li>`;
      })}
    </ul>
  </div>`;
}

function pastError({ firstTime, time, count, code, stage, message, hint }: PastFailure, now: EpochMs): Html {
  const repeated = html` · ${formatCount(count)} times since ${timeElement(instantOf(firstTime), now)}`;
  return html`<li>
    <span class="quiet"
      >${timeElement(instantOf(time), now)} ·
      ${code}${stage === null ? "" : ` in ${stage}`}${count > 1 ? repeated : undefined}</span
    ><br />${message}${hint === null ? undefined : html`<br /><span class="quiet">→ ${hint}</span>`}
  </li>`;
}

/** The newest link of the chain. A copy kept elsewhere proves later that nothing before it was changed. */
function headLine(stream: string, head: string): Html {
  return html`<div class="head">
    <span class="quiet">Ledger head</span><code>${head}</code
    ><button type="button" data-copy="${head}" aria-label="Copy the ledger head of ${stream}">Copy</button>
  </div>`;
}

/** The days from midnight to midnight, the newest first: today, and at most seven days before it that have cells. */
function daysOf(cells: readonly Cell[], now: EpochMs): Span[] {
  const today = Math.floor(now / DAY_MS) * DAY_MS;
  const first = cells[0]?.from ?? now;
  return Array.from({ length: 8 }, (_, index) => {
    const from = epochMs(today - index * DAY_MS);
    return { from, to: epochMs(from + DAY_MS) };
  }).filter(({ to }, index) => index === 0 || to > first);
}
