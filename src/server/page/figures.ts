import type { StreamStatus } from "../../status/status-document.ts";
import type { EpochMs } from "../../time.ts";
import { instantOf } from "./day.ts";
import { html, type Html } from "./html.ts";
import { shownTime } from "./words.ts";
import { away, counted, lasting, NOTHING, several, shareText } from "../../status/words.ts";

/** The numbers that tell a stream, each with what it is measured against. */
export function figures(stream: StreamStatus, now: EpochMs): Html {
  const { completeness, retention, totals, gaps, day } = stream;
  const [until, next, last, reconciled] = [
    stream.exportedUntil,
    stream.nextTick,
    stream.lastTick,
    stream.reconciledAt,
  ].map((instant) => (instant === null ? undefined : instantOf(instant)));
  const left = retention?.leftSeconds;
  return html`<dl class="figures">
    ${figure("Exported until", until && html`${shownTime(until, now)} <small>UTC</small>`, until === undefined ? "nothing yet" : away(until, now))}
    ${lag(stream)}
    ${figure("Next tick", next && html`${next <= now ? "now" : away(next, now)}`, last === undefined ? "none has ended yet" : `last one ${away(last, now)}`)}
    ${figure("Completeness", completeness === null ? undefined : alarmingIf(completeness < 1, shareText(completeness)), reconciled === undefined ? "not compared with the source" : `compared ${away(reconciled, now)}`)}
    ${figure("Gaps", gaps.count > 0 ? alarmingIf(true, lasting(gaps.seconds)) : html`none known`, gapsKnown(gaps))}
    ${figure("In quarantine", alarmingIf(day.quarantined > 0, counted(day.quarantined)), "in the last day exported")}
    ${figure("Since the start", html`${counted(totals.events)}`, `${totals.events === 1 ? "event" : "events"} in ${several(totals.windows, "window")}`)}
    ${left === undefined ? undefined : figure("Source forgets in", left > 0 ? html`${lasting(left)}` : alarmingIf(true, "has forgotten"), "what is exported next")}
  </dl>`;
}

/** As far back as windows are known. */
function gapsKnown({ count, knownFrom }: StreamStatus["gaps"]): string {
  const since =
    knownFrom === null ? "no window" : knownFrom === 1 ? "all windows" : `windows from ${counted(knownFrom)} on`;
  return `${count > 0 ? `${several(count, "gap")} in ` : ""}${since}${knownFrom === null ? " is known" : ""}`;
}

function figure(name: string, value: Html | undefined, more: string): Html {
  return html`<div>
    <dt>${name}</dt>
    <dd>${value ?? NOTHING}</dd>
    <dd class="more">${more}</dd>
  </div>`;
}

function alarmingIf(isAlarming: boolean, text: string): Html {
  return isAlarming ? html`<span class="alarming">${text}</span>` : html`${text}`;
}

/** With a gauge: how much of the limit is used up. */
function lag({ lagSeconds, lagLimitSeconds }: StreamStatus): Html {
  const share = lagSeconds === null ? 0 : Math.min(100, Math.round((lagSeconds / lagLimitSeconds) * 1000) / 10);
  const isOver = lagSeconds !== null && lagSeconds > lagLimitSeconds;
  return html`<div>
    <dt>Lag</dt>
    <dd>${lagSeconds === null ? NOTHING : alarmingIf(isOver, lasting(lagSeconds))}</dd>
    <dd class="more gauge">
      ${isOver ? "over its limit of" : "limit"} ${lasting(lagLimitSeconds)}<svg
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
