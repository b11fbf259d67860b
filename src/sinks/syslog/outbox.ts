import type { AuditEvent } from "../../source.ts";

/** The messages of one batch on their way: each is kept until it is safe, and can be sent again. */
export interface Outbox {
  /** The next message to send; undefined when none is at hand. */
  take(): Buffer | undefined;
  /** Waits for the batch to give more; false when there is nothing more to take. Throws what the batch throws. */
  more(): Promise<boolean>;
  /** A message that was taken has arrived, and is let go. */
  safe(message: Buffer): void;
  /** How many are safe. */
  readonly safeCount: number;
  /** Puts back all that was taken and is not safe, to be taken again first, in the same order. */
  rewind(): void;
  /** What the batch threw: nothing that another try at sending could mend. */
  readonly failure: { readonly error: unknown } | undefined;
  /** Lets go of the batch. */
  close(): Promise<void>;
}

/** @param messageOf is asked once for each event, in order, when its message is taken for the first time */
export function outbox(chunks: AsyncIterable<readonly AuditEvent[]>, messageOf: (event: AuditEvent) => Buffer): Outbox {
  const batch = chunks[Symbol.asyncIterator]();
  // A set keeps its order, and lets go of a message in the middle as cheaply as of the first.
  const unsafe = new Set<Buffer>();
  let again: Buffer[] = [];
  let againAt = 0;
  let events: readonly AuditEvent[] = [];
  let eventAt = 0;
  let isOver = false;
  let safeCount = 0;
  let failure: Outbox["failure"];

  function next(): Buffer | undefined {
    const known = again[againAt];
    if (known !== undefined) {
      againAt++;
      return known;
    }
    const event = events[eventAt];
    if (event === undefined) return undefined;
    eventAt++;
    return messageOf(event);
  }

  return {
    take() {
      const message = next();
      if (message !== undefined) unsafe.add(message);
      return message;
    },

    async more() {
      while (againAt === again.length && eventAt === events.length) {
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

    safe(message) {
      if (unsafe.delete(message)) safeCount++;
    },
    get safeCount() {
      return safeCount;
    },
    rewind() {
      again = [...unsafe, ...again.slice(againAt)];
      againAt = 0;
      unsafe.clear();
    },
    get failure() {
      return failure;
    },
    async close() {
      await batch.return?.();
    },
  };
}
