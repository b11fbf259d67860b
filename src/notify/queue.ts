import { once } from "node:events";
import { ExporterError, TransientError } from "../errors.ts";
import type { Notifier, Observe } from "../fact.ts";
import { withTimeLimit } from "../http/time-limit.ts";
import { MINUTE_MS } from "../time.ts";

/** One thing to send. */
interface Item {
  /** What the log calls it. */
  readonly what: string;
  readonly send: (signal: AbortSignal) => Promise<void>;
  /** Called when it was sent, or with the failure. Not called when the queue was stopped. */
  readonly ended: (failure?: { readonly error: unknown }) => void;
}

/** Sends one item after another in the background: `put` does not wait and does not throw. */
export interface SendQueue {
  put(item: Item): void;
  /** Resolves when the queue is empty, at the latest when `signal` aborts. */
  drained(signal: AbortSignal): Promise<void>;
}

/** An hour of notices when a dozen streams fail; more than these would contain nothing new. */
const WAITING_MAX = 100;
/** For one item, with its retries. */
const TIMEOUT_MS = 2 * MINUTE_MS;

/** @param signal stops the queue and what it is sending */
export function sendQueue(notifier: Notifier, observe: Observe, signal: AbortSignal): SendQueue {
  const waiting: Item[] = [];
  const idle = new EventTarget();
  let isSending = false;

  async function sendAll(): Promise<void> {
    isSending = true;
    for (let next = waiting.shift(); next !== undefined && !signal.aborted; next = waiting.shift()) {
      await sendOne(next);
    }
    isSending = false;
    idle.dispatchEvent(new Event("idle"));
  }

  async function sendOne({ what, send, ended }: Item): Promise<void> {
    const attempt = async (limit: AbortSignal): Promise<void> => {
      try {
        await send(limit);
        observe({ kind: "notification.sent", notifier, what });
        ended();
      } catch (error) {
        if (error instanceof ExporterError) observe({ kind: "notification.failed", notifier, what, error });
        else if (!limit.aborted) throw error;
        else if (!signal.aborted) observe({ kind: "notification.dropped", notifier, what });
        if (!signal.aborted) ended({ error });
      }
    };
    await withTimeLimit(TIMEOUT_MS, attempt, signal);
  }

  return {
    put(item) {
      if (waiting.length >= WAITING_MAX) {
        observe({ kind: "notification.dropped", notifier, what: item.what });
        item.ended({ error: new TransientError("rate_limited", "too many messages are waiting") });
      } else waiting.push(item);
      if (!isSending) void sendAll();
    },
    async drained(end) {
      if (!isSending || end.aborted) return;
      await once(idle, "idle", { signal: end }).catch(() => undefined);
    },
  };
}
