import { setTimeout as sleep } from "node:timers/promises";
import { createAgents, type AgentOptions } from "../http/agents.ts";
import type { NotifyConfig, PachcaNotifyConfig } from "../config/config.ts";
import type { StatusDocument, StreamStatus } from "../status/status-document.ts";
import type { Observe } from "../fact.ts";
import { epochMs, formatInstant, MINUTE_MS, SECOND_MS, type EpochMs } from "../time.ts";
import { exchange, mayRepeat, type Message } from "./exchange.ts";
import {
  behindSince,
  KINDS,
  NOTHING_TOLD,
  noticesOf,
  severityOf,
  type Behind,
  type Notice,
  type Told,
} from "./notice.ts";
import { sendQueue } from "./queue.ts";

/** Tells people, beside the export and never in its way. */
export interface Notifications {
  /** To be told of all facts: it looks at the status when a tick has ended. */
  readonly observe: Observe;
  /** Resolves when what is waiting is sent, at the latest when `signal` aborts; nothing is sent after it. */
  end(signal: AbortSignal): Promise<void>;
}

/** What happens without a fact, such as falling behind, is seen within this. */
const LOOK_EVERY_MS = 15 * SECOND_MS;
/** What could not be sent is told again, as it stands then, after this. */
const REST_MS = MINUTE_MS;

/**
 * @param document the status now
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
  const channels = channelsOf(config, env).map((channel) => teller(channel, observe, ended.signal));
  const beats = config.heartbeat && heartbeat(config.heartbeat, document, observe, env, ended.signal);

  function look(): void {
    const { streams, now } = document();
    const at = epochMs(Date.parse(now));
    for (const status of streams) behind.set(status.stream, behindSince(behind.get(status.stream), status, at));
    for (const channel of channels) channel.tell(streams, behind, at);
  }

  if (channels.length > 0) void every(LOOK_EVERY_MS, ended.signal, look);
  return {
    observe(fact) {
      const isTick = fact.kind === "tick.done" || fact.kind === "tick.failed" || fact.kind === "stream.stopped";
      if ((isTick || fact.kind === "reconciled") && channels.length > 0) look();
    },
    async end(signal) {
      await Promise.all(channels.map((channel) => channel.drained(signal)));
      ended.abort(new Error("the worker ends"));
      await beats;
    },
  };
}

/**
 * Tells one receiver what it was not told yet. What did not arrive counts as not told: when the receiver has had its rest, it
 * is told what stands then. A message that nobody knows of, and that would be there twice, is not sent again.
 */
function teller({ notifier, messageOf }: Channel, observe: Observe, signal: AbortSignal) {
  const queue = sendQueue(notifier, observe, signal);
  const told = new Map<string, Told>();
  const arrived = new Map<string, Told>();
  let lookedAt: EpochMs | undefined;
  let restsUntil: EpochMs | undefined;

  function put(notice: Notice, then: Told): void {
    const { kind, stream } = notice;
    const { about } = KINDS[kind];
    const copied = (to: Told, from: Told): Told => ({ ...to, [about]: from[about] });
    const ended = (failure?: { readonly error: unknown }): void => {
      const before = arrived.get(stream) ?? NOTHING_TOLD;
      // What may have arrived and would be there twice counts as arrived.
      if (failure === undefined || !mayRepeat(message, failure.error)) arrived.set(stream, copied(before, then));
      else {
        told.set(stream, copied(told.get(stream) ?? NOTHING_TOLD, before));
        restsUntil = epochMs((lookedAt ?? 0) + REST_MS);
      }
    };
    const message = messageOf(notice);
    queue.put({ what: `${kind} ${stream}`, send: (limit) => exchange(message, limit), ended });
  }

  return {
    drained: (end: AbortSignal) => queue.drained(end),
    tell(streams: readonly StreamStatus[], behind: ReadonlyMap<string, Behind>, now: EpochMs): void {
      lookedAt = now;
      if (restsUntil !== undefined && now < restsUntil) return;
      for (const status of streams) {
        const { stream } = status;
        const seen = noticesOf(told.get(stream) ?? NOTHING_TOLD, status, behind.get(stream), now);
        told.set(stream, seen.told);
        for (const notice of seen.notices) put(notice, seen.told);
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

/** https://dev.pachca.com/messages: a message has no key by which a second one would be known as the same. */
function pachcaMessages(
  { baseUrl, token, entityType, entityId, caFile }: PachcaNotifyConfig,
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
    const content = { entity_type: entityType, entity_id: entityId, content: wordsOf(notice) };
    return { ...message, headers, body: JSON.stringify({ message: content }) };
  };
}

function wordsOf({ kind, text, hint }: Notice): string {
  return `${KINDS[kind].sign} ${text}${hint === null ? "" : `\n→ ${hint}`}`;
}

/** `text` is where Slack, Mattermost and their like look. */
function jsonOf(notice: Notice): string {
  return JSON.stringify({ ...notice, time: formatInstant(notice.time), message: notice.text, text: wordsOf(notice) });
}

/**
 * Asks for the address while no stream needs anybody, by the measure of the notices, and each has ended a tick: a monitor there
 * calls when it does not hear. Gaps, quarantine and comparisons do not silence it: they are past when they are known.
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
    const isWell = (status: StreamStatus): boolean =>
      status.state !== "starting" && severityOf(status, behind.get(status.stream), at) === 0;
    if (!streams.every(isWell)) return;
    queue.put({ what: "heartbeat", send: (limit) => exchange(message, limit), ended: () => undefined });
    await queue.drained(signal);
  });
}

/** Acts at once, then again and again until the signal aborts. */
async function every(waitMs: number, signal: AbortSignal, act: () => void | Promise<void>): Promise<void> {
  while (!signal.aborted) {
    await act();
    await sleep(waitMs, undefined, { signal, ref: false }).catch(() => undefined);
  }
}
