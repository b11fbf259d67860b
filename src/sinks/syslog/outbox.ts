import type { AuditEvent } from "../../source.ts";

/** The messages of one batch. Each is kept until it is acknowledged, so that it can be sent again. */
export interface Outbox {
  /** The next message to send; undefined if none is in memory: then call `hasMore`. */
  take(): Buffer | undefined;
  /** Reads more of the batch if necessary. Resolves with false at the end of the batch. Throws what the batch throws. */
  hasMore(): Promise<boolean>;
  /** Drops a message that was taken, because the receiver has acknowledged it. */
  acknowledge(message: Buffer): void;
  readonly acknowledgedCount: number;
  /** Puts back everything that was taken and not acknowledged. It is taken again first, in the same order. */
  rewind(): void;
  /** The error of the batch itself. Sending again cannot fix it. */
  readonly failure: { readonly error: unknown } | undefined;
  /** Ends the iteration of the batch. */
  close(): Promise<void>;
}

/** @param messageOf called once for each event, in order, when its message is taken for the first time */
export function outbox(chunks: AsyncIterable<readonly AuditEvent[]>, messageOf: (event: AuditEvent) => Buffer): Outbox {
  const batch = chunks[Symbol.asyncIterator]();
  // A set keeps its order, and deletes a message in the middle as cheaply as the first one.
  const unacknowledged = new Set<Buffer>();
  let resent: Buffer[] = [];
  let resentAt = 0;
  let events: readonly AuditEvent[] = [];
  let eventAt = 0;
  let isOver = false;
  let acknowledgedCount = 0;
  let failure: Outbox["failure"];

  function next(): Buffer | undefined {
    const message = resent[resentAt];
    if (message !== undefined) {
      resentAt++;
      return message;
    }
    const event = events[eventAt];
    if (event === undefined) return undefined;
    eventAt++;
    return messageOf(event);
  }

  return {
    take() {
      const message = next();
      if (message !== undefined) unacknowledged.add(message);
      return message;
    },

    async hasMore() {
      while (resentAt === resent.length && eventAt === events.length) {
        if (isOver) return false;
        try {
          const next = await batch.next();
          isOver = next.done === true;
          events = next.done === true ? [] : next.value;
          eventAt = 0;
        } catch (error) {
          failure = { error };
          throw error;
        }
      }
      return true;
    },

    acknowledge(message) {
      if (unacknowledged.delete(message)) acknowledgedCount++;
    },
    get acknowledgedCount() {
      return acknowledgedCount;
    },
    rewind() {
      resent = [...unacknowledged, ...resent.slice(resentAt)];
      resentAt = 0;
      unacknowledged.clear();
    },
    get failure() {
      return failure;
    },
    async close() {
      await batch.return?.();
    },
  };
}
