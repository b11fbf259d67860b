import type { Writable } from "node:stream";
import { TransientError } from "../errors.ts";
import type { Format } from "../format.ts";
import type { Sink } from "../sink.ts";
import { defineSink } from "./define.ts";
import { deliveryCounter, linesOf } from "./delivered.ts";

export const stdout = defineSink({
  type: "stdout",
  about: "Lines on standard output, for a first try or for a pipe.",
  guarantee: "each event at least once, written to the pipe; no one can say whether it was read",
  keys: {},
  place: () => "stdout:/",
  send: (_, { format }) => stdoutSink(format),
});

/** A sink that writes lines to a stream of this process. No one can say whether they were read, so nothing is acknowledged. */
export function stdoutSink(format: Format, out: Writable = process.stdout): Sink {
  const counter = deliveryCounter(false);
  return {
    place: "stdout",
    nothing: counter.nothing,

    async write({ part, chunks }, signal) {
      counter.begin(part);
      for await (const events of chunks) {
        signal.throwIfAborted();
        const text = linesOf(events, format);
        counter.add(events.length, text);
        await writeOut(out, text, signal);
      }
      return { delivered: counter.sum() };
    },

    async *leftovers() {
      // Nothing can be reused: a window that is retried is written again as a whole.
    },

    async *check() {
      yield { state: "ok", what: "stdout: lines are written to the standard output of this process, unacknowledged" };
    },
  };
}

/** Resolves when the text has left this process: what is still in its buffer would be lost in a crash. */
export async function writeOut(out: Writable, text: Buffer, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (out.destroyed || out.errored) throw writeFailure(out.errored ?? undefined);
  await new Promise<void>((resolve, reject) => {
    const onAbort = () => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    out.write(text, (error) => {
      signal.removeEventListener("abort", onAbort);
      if (error) reject(writeFailure(error));
      else resolve();
    });
  });
}

function writeFailure(cause: unknown): TransientError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? "EPIPE";
  const what = code === "EPIPE" ? "the reader has closed the pipe" : code;
  return new TransientError("network", `write to stdout: ${what}`, { cause });
}
