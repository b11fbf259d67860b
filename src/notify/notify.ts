import { setTimeout as sleep } from "node:timers/promises";
import { createAgents, type AgentOptions } from "../http/agents.ts";
import type { NotifyConfig } from "../config/config.ts";
import type { StatusDocument, StreamStatus } from "../status/status-document.ts";
import type { Observe } from "../fact.ts";
import { epochMs, formatInstant, MINUTE_MS, SECOND_MS, type EpochMs } from "../time.ts";
import { mayRepeat, send, type Message } from "./send.ts";
import {
  behindSince,
  KINDS,
  NOTHING_REPORTED,
  noticesOf,
  severityOf,
  type Behind,
  type Notice,
  type Reported,
} from "./notice.ts";
import { sendQueue } from "./queue.ts";

/** Notices to people and heartbeats, sent in the background. */
export interface Notifications {
  /** Expects every fact. It checks the status at the end of each run. */
  readonly observe: Observe;
  /** Resolves when all waiting notices are sent, at the latest when `signal` aborts. Nothing is sent afterwards. */
  end(signal: AbortSignal): Promise<void>;
}

/** How often the status is checked: some changes, such as a growing lag, come without a fact. */
const CHECK_EVERY_MS = 15 * SECOND_MS;
/** The pause after a failure. Then the status of that time is reported. */
const PAUSE_MS = MINUTE_MS;

/**
 * @param document returns the current status
 * @throws ConfigError when a `caFile` cannot be read as certificates
 */
export function notifications(
  config: NotifyConfig,
  document: () => StatusDocument,
  observe: Observe,
  env: AgentOptions["env"],
): Notifications {
  const ended = new AbortController();
  const behind = new Map<string, Behind>();
  const channels = channelsOf(config, env).map((channel) => reporter(channel, observe, ended.signal));
  const heartbeats = config.heartbeat && heartbeat(config.heartbeat, document, observe, env, ended.signal);

  function check(): void {
    const { streams, now } = document();
    const at = epochMs(Date.parse(now));
    for (const status of streams) behind.set(status.stream, behindSince(behind.get(status.stream), status, at));
    for (const channel of channels) channel.report(streams, behind, at);
  }

  if (channels.length > 0) void every(CHECK_EVERY_MS, ended.signal, check);
  return {
    observe(fact) {
      const isTick = fact.kind === "tick.done" || fact.kind === "tick.failed" || fact.kind === "stream.stopped";
      if ((isTick || fact.kind === "reconciled") && channels.length > 0) check();
    },
    async end(signal) {
      await Promise.all(channels.map((channel) => channel.drained(signal)));
      ended.abort(new Error("the worker stops"));
      await heartbeats;
    },
  };
}

/**
 * Reports to one receiver what it does not know yet. A notice that could not be sent counts as not reported: after a pause, the
 * receiver gets the status of that time. A notice is not repeated when it may have arrived and would be there twice.
 */
function reporter({ notifier, messageOf }: Channel, observe: Observe, signal: AbortSignal) {
  const queue = sendQueue(notifier, observe, signal);
  const reported = new Map<string, Reported>();
  const arrived = new Map<string, Reported>();
  let checkedAt: EpochMs | undefined;
  let pausedUntil: EpochMs | undefined;

  function put(notice: Notice, then: Reported): void {
    const { kind, stream } = notice;
    const { part } = KINDS[kind];
    const copied = (to: Reported, from: Reported): Reported => ({ ...to, [part]: from[part] });
    const ended = (failure?: { readonly error: unknown }): void => {
      const before = arrived.get(stream) ?? NOTHING_REPORTED;
      // A notice that may have arrived and must not be there twice counts as arrived.
      if (failure === undefined || !mayRepeat(message, failure.error)) arrived.set(stream, copied(before, then));
      else {
        reported.set(stream, copied(reported.get(stream) ?? NOTHING_REPORTED, before));
        pausedUntil = epochMs((checkedAt ?? 0) + PAUSE_MS);
      }
    };
    const message = messageOf(notice);
    queue.put({ what: `${kind} ${stream}`, send: (limit) => send(message, limit), ended });
  }

  return {
    drained: (end: AbortSignal) => queue.drained(end),
    report(streams: readonly StreamStatus[], behind: ReadonlyMap<string, Behind>, now: EpochMs): void {
      checkedAt = now;
      if (pausedUntil !== undefined && now < pausedUntil) return;
      for (const status of streams) {
        const { stream } = status;
        const due = noticesOf(reported.get(stream) ?? NOTHING_REPORTED, status, behind.get(stream), now);
        reported.set(stream, due.reported);
        for (const notice of due.notices) put(notice, due.reported);
      }
    },
  };
}

interface Channel {
  readonly notifier: "webhook" | "pachca";
  readonly messageOf: (notice: Notice) => Message;
}

function channelsOf({ webhook, pachca }: NotifyConfig, env: AgentOptions["env"]): Channel[] {
  const channels: Channel[] = [];
  if (webhook !== undefined) {
    const message = {
      method: "POST",
      url: webhook.url,
      what: "POST to notify.webhook",
      key: "url",
      repeatable: true,
    } as const;
    const agents = createAgents({ caFile: webhook.caFile, env });
    channels.push({ notifier: "webhook", messageOf: (notice) => ({ ...message, agents, body: jsonOf(notice) }) });
  }
  if (pachca !== undefined) channels.push({ notifier: "pachca", messageOf: pachcaMessages(pachca, env) });
  return channels;
}

/** https://dev.pachca.com/messages: messages have no key by which Pachca could recognise a repeat. */
function pachcaMessages(
  { baseUrl, token, entityType, entityId, caFile }: NonNullable<NotifyConfig["pachca"]>,
  env: AgentOptions["env"],
): Channel["messageOf"] {
  const agents = createAgents({ caFile, env });
  const url = `${baseUrl}/messages`;
  const message = {
    method: "POST",
    url: () => url,
    what: "POST /messages",
    key: "baseUrl",
    agents,
    repeatable: false,
  } as const;
  const headers = () => ({ authorization: `Bearer ${token()}` });
  return (notice) => {
    const content = { entity_type: entityType, entity_id: entityId, content: textOf(notice) };
    return { ...message, headers, body: JSON.stringify({ message: content }) };
  };
}

function textOf({ kind, text, hint }: Notice): string {
  return `${KINDS[kind].sign} ${text}${hint === null ? "" : `\n→ ${hint}`}`;
}

/** Slack, Mattermost and similar receivers show the member `text`. */
function jsonOf(notice: Notice): string {
  return JSON.stringify({ ...notice, time: formatInstant(notice.time), message: notice.text, text: textOf(notice) });
}

/**
 * Dead man's switch: requests the URL while all streams are healthy and each one has finished a run, so that a monitor there can
 * alert when the requests stop. "Healthy" is what `severityOf` says, as for notices. Gaps, quarantined items and comparisons do
 * not stop the heartbeat: they have already happened when they become known.
 */
function heartbeat(
  { url, everyMs, caFile }: NonNullable<NotifyConfig["heartbeat"]>,
  document: () => StatusDocument,
  observe: Observe,
  env: AgentOptions["env"],
  signal: AbortSignal,
): Promise<void> {
  const what = "GET notify.heartbeat";
  const agents = createAgents({ caFile, env });
  const message: Message = { method: "GET", url, what, key: "url", agents, repeatable: true };
  const behind = new Map<string, Behind>();
  const queue = sendQueue("heartbeat", observe, signal);
  return every(everyMs, signal, async () => {
    const { streams, now } = document();
    const at = epochMs(Date.parse(now));
    for (const status of streams) behind.set(status.stream, behindSince(behind.get(status.stream), status, at));
    const isHealthy = (status: StreamStatus): boolean =>
      status.state !== "starting" && severityOf(status, behind.get(status.stream), at) === 0;
    if (!streams.every(isHealthy)) return;
    queue.put({ what: "heartbeat", send: (limit) => send(message, limit), ended: () => undefined });
    await queue.drained(signal);
  });
}

/** Acts now and then every `waitMs`, until the signal aborts. */
async function every(waitMs: number, signal: AbortSignal, act: () => void | Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await act();
    await sleep(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
  }
}
