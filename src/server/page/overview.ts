import type { StreamStatus } from "../../status/status-document.ts";
import { last24Hours } from "../../status/last-days.ts";
import type { EpochMs } from "../../time.ts";
import { instantOf, type Cell } from "./day.ts";
import { html, type Html } from "./html.ts";
import { anchorOf, sign } from "./state.ts";
import { strip } from "./strip.ts";
import { shownTime } from "./words.ts";
import { away, counted, lasting, NOTHING } from "../../status/words.ts";

/** A stream, with what is known of its past. */
export interface Known {
  readonly stream: StreamStatus;
  readonly cells: readonly Cell[];
}

/** All streams, a row each, in the order given. `told` are on this page in full. */
export function overview(streams: readonly Known[], told: readonly Known[], now: EpochMs): Html {
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
          <th scope="col" class="number minor">Quarantine</th>
        </tr>
      </thead>
      <tbody>
        ${streams.map((known) => row(known, told.includes(known), now))}
      </tbody>
    </table>
  </section>`;
}

function row({ stream, cells }: Known, isTold: boolean, now: EpochMs): Html {
  const { exportedUntil, lagSeconds, lagLimitSeconds, day, state } = stream;
  const until = exportedUntil === null ? undefined : instantOf(exportedUntil);
  const address = isTold ? `#${anchorOf(stream)}` : `?stream=${encodeURIComponent(stream.stream)}`;
  const isOver = lagSeconds !== null && lagSeconds > lagLimitSeconds;
  return html`<tr id="row-${stream.stream}">
    <th scope="row">
      <span class="name"
        >${sign(state)}<span
          ><a href="${address}">${stream.stream}</a> <span class="word is-${state}">${state}</span></span
        ></span
      >
    </th>
    <td>
      ${
        until === undefined
          ? NOTHING
          : html`${shownTime(until, now)} <span class="quiet small">${away(until, now)}</span>`
      }
    </td>
    <td class="number">
      ${isOver ? html`<span class="alarming">${lasting(lagSeconds)}</span>` : lagSeconds === null ? NOTHING : lasting(lagSeconds)}
    </td>
    <td class="strip">${strip(cells, last24Hours(now), 16, "Last 24 hours")}</td>
    <td class="number minor">${counted(stream.last24Hours.events)}</td>
    <td class="number minor">
      ${day.quarantined > 0 ? html`<span class="alarming">${counted(day.quarantined)}</span>` : "0"}
    </td>
  </tr>`;
}
