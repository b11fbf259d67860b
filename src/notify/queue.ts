import { once } from "node:events";
import { ExporterError, TransientError } from "../errors.ts";
import type { Notifier, Observe } from "../fact.ts";
import { withTimeLimit } from "../http/time-limit.ts";
import { MINUTE_MS } from "../time.ts";

/** What is waiting to be sent, with a word for it. */
interface Waiting {
  readonly what: string;
  readonly send: (signal: AbortSignal) => Promise<void>;
  /** Told that it was sent, or what befell it, unless the queue itself was ended. */
  readonly ended: (failure?: { readonly error: unknown }) => void;
}

/** Sends one after another, beside the export: whoever puts something in does not wait, and no failure comes back. */
export interface SendQueue {
  put(waiting: Waiting): void;
  /** Resolves when all is sent, or at the latest when `signal` aborts. */
  drained(signal: AbortSignal): Promise<void>;
}

/** An hour of a dozen streams that all go bad; more tell nobody anything new. */
const WAITING_MAX = 100;
/** For one message, its repetitions included. */
const ONE_TAKES_AT_MOST_MS = 2 * MINUTE_MS;

/** @param signal ends what is being sent, and the queue */
export function sendQueue(notifier: Notifier, observe: Observe, signal: AbortSignal): SendQueue {
  const waiting: Waiting[] = [];
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

  async function sendOne({ what, send, ended }: Waiting): Promise<void> {
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
    await withTimeLimit(ONE_TAKES_AT_MOST_MS, attempt, signal);
  }

  return {
    put(one) {
      if (waiting.length >= WAITING_MAX) {
        observe({ kind: "notification.dropped", notifier, what: one.what });
        one.ended({ error: new TransientError("rate_limited", "too many messages are waiting") });
      } else waiting.push(one);
      if (!isSending) void sendAll();
    },
    async drained(end) {
      if (!isSending || end.aborted) return;
      await once(idle, "idle", { signal: end }).catch(() => undefined);
    },
  };
}
