import { setTimeout as sleep } from "node:timers/promises";
import { createAgents, type AgentOptions } from "../agents.ts";
import type { NotifyConfig, PachcaNotifyConfig } from "../config.ts";
import type { StatusDocument } from "../document.ts";
import type { Observe } from "../fact.ts";
import { epochMs, formatInstant, SECOND_MS } from "../time.ts";
import { exchange, type Message } from "./exchange.ts";
import { NOTHING_TOLD, noticesOf, type Notice } from "./notice.ts";
import { sendQueue, type SendQueue } from "./queue.ts";

/** Tells people, beside the export and never in its way. */
export interface Notifications {
  /** To be told of all facts: it looks at the status when a tick has ended. */
  readonly observe: Observe;
  /** Resolves when what is waiting is sent, at the latest when `signal` aborts; nothing is sent after it. */
  end(signal: AbortSignal): Promise<void>;
}

/** What happens without a fact, such as falling behind, is seen within this. */
const LOOK_EVERY_MS = 15 * SECOND_MS;

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
  const watched = new Map<string, typeof NOTHING_TOLD>();
  const channels = channelsOf(config, env).map(({ notifier, messageOf }) => {
    const queue = sendQueue(notifier, observe, ended.signal);
    return { queue, messageOf };
  });
  const beats = config.heartbeat && heartbeat(config.heartbeat, document, observe, env, ended.signal);

  function look(): void {
    const { streams, now } = document();
    for (const status of streams) {
      const at = epochMs(Date.parse(now));
      const seen = noticesOf(watched.get(status.stream) ?? NOTHING_TOLD, status, at);
      watched.set(status.stream, seen.watched);
      for (const notice of seen.notices)
        for (const { queue, messageOf } of channels) put(queue, notice, messageOf(notice));
    }
  }

  if (channels.length > 0) void every(LOOK_EVERY_MS, ended.signal, look);
  return {
    observe(fact) {
      const isTick = fact.kind === "tick.done" || fact.kind === "tick.failed" || fact.kind === "stream.stopped";
      if (isTick && channels.length > 0) look();
    },
    async end(signal) {
      await Promise.all(channels.map(({ queue }) => queue.drained(signal)));
      ended.abort(new Error("the worker ends"));
      await beats;
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
    const message = { method: "POST", url: webhook.url, what: "POST to notify.webhook", repeatable: true } as const;
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
  const message = { method: "POST", url: () => url, what: "POST /messages", agents, repeatable: false } as const;
  const headers = () => ({ authorization: `Bearer ${token()}` });
  return (notice) => {
    const content = { entity_type: entityType, entity_id: entityId, content: wordsOf(notice) };
    return { ...message, headers, body: JSON.stringify({ message: content }) };
  };
}

const SIGNS: Readonly<Record<Notice["kind"], string>> = {
  unhealthy: "🔴",
  recovered: "🟢",
  gap: "🔴",
  quarantine: "🟡",
};

function wordsOf({ kind, text, hint }: Notice): string {
  return `${SIGNS[kind]} ${text}${hint === null ? "" : `\n→ ${hint}`}`;
}

/** `text` is where Slack, Mattermost and their like look. */
function jsonOf(notice: Notice): string {
  return JSON.stringify({ ...notice, time: formatInstant(notice.time), message: notice.text, text: wordsOf(notice) });
}

function put(queue: SendQueue, { kind, stream }: Notice, message: Message): void {
  queue.put({ what: `${kind} ${stream}`, send: (signal) => exchange(message, signal) });
}

/** Asks for the address while every stream is well, and is silent else: a monitor there calls when it does not hear. */
function heartbeat(
  { url, everyMs, caFile }: NonNullable<NotifyConfig["heartbeat"]>,
  document: () => StatusDocument,
  observe: Observe,
  env: AgentOptions["env"],
  signal: AbortSignal,
): Promise<void> {
  const what = "GET notify.heartbeat";
  const message: Message = { method: "GET", url, what, agents: createAgents({ caFile, env }), repeatable: true };
  const queue = sendQueue("heartbeat", observe, signal);
  return every(everyMs, signal, async () => {
    if (document().streams.some(({ state }) => state !== "ok")) return;
    queue.put({ what: "heartbeat", send: (limit) => exchange(message, limit) });
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
