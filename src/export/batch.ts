import type { Batch, Plan } from "../sink.ts";
import type { AuditEvent } from "../source.ts";

/** Limits of one object, before compression. A single event may be larger: then it has an object of its own. */
export interface BatchLimits {
  readonly maxEvents: number;
  readonly maxBytes: number;
}

/**
 * Cuts the events of a window into batches, in order, each as large as the limits allow. Without events there is no batch. A batch
 * must be read to its end before the next is requested: only the current chunk is held.
 */
export async function* batches(
  events: AsyncIterable<readonly AuditEvent[]>,
  plan: Plan,
  limits: BatchLimits,
  firstPart = 0,
): AsyncGenerator<Batch> {
  const source = events[Symbol.asyncIterator]();
  let rest: readonly AuditEvent[] = [];

  async function moreEvents(): Promise<boolean> {
    while (rest.length === 0) {
      const next = await source.next();
      if (next.done === true) return false;
      rest = next.value;
    }
    return true;
  }

  async function* oneBatch(): AsyncGenerator<readonly AuditEvent[]> {
    let count = 0;
    let bytes = 0;
    while (await moreEvents()) {
      let fitting = 0;
      for (const event of rest) {
        const lineBytes = event.record.length + 1;
        if (count > 0 && (count === limits.maxEvents || bytes + lineBytes > limits.maxBytes)) break;
        count++;
        bytes += lineBytes;
        fitting++;
      }
      if (fitting === 0) return;
      const chunk = rest.slice(0, fitting);
      rest = rest.slice(fitting);
      yield chunk;
    }
  }

  try {
    for (let part = firstPart; await moreEvents(); part++) yield { plan, part, chunks: oneBatch() };
  } finally {
    await source.return?.();
  }
}
