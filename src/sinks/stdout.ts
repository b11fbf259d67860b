import type { Writable } from "node:stream";
import { TransientError } from "../errors.ts";
import type { Format } from "../format.ts";
import type { Sink } from "../sink.ts";
import { defineSink } from "./define.ts";
import { deliveredTally, linesOf } from "./delivered.ts";

export const stdout = defineSink({
  type: "stdout",
  about: "Lines on standard output, to try things out or for a pipe.",
  guarantee: "each event at least once, written to the pipe; no one can say whether it was read",
  keys: {},
  place: () => "stdout:/",
  send: (_, { format }) => stdoutSink(format),
});

/** Lines to a stream of this process. It cannot say whether anyone read them, so nothing is acknowledged. */
export function stdoutSink(format: Format, out: Writable = process.stdout): Sink {
  const tally = deliveredTally(false);
  return {
    place: "stdout",
    nothing: tally.nothing,

    async write({ part, chunks }, signal) {
      tally.begin(part);
      for await (const events of chunks) {
        signal.throwIfAborted();
        const text = linesOf(events, format);
        tally.add(events.length, text);
        await writeOut(out, text, signal);
      }
      return { delivered: tally.sum() };
    },

    async *leftovers() {
      // What went out is gone: a window tried again is written again.
    },

    async *check() {
      yield { state: "ok", what: "stdout: lines are written to this process's standard output, unacknowledged" };
    },
  };
}

/** Resolves when the text has left this process: what waits in our own buffer would be lost with us. */
export async function writeOut(out: Writable, text: Buffer, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (out.destroyed || out.errored) throw gone(out.errored ?? undefined);
  await new Promise<void>((resolve, reject) => {
    const giveUp = () => reject(signal.reason as Error);
    signal.addEventListener("abort", giveUp, { once: true });
    out.write(text, (error) => {
      signal.removeEventListener("abort", giveUp);
      if (error) reject(gone(error));
      else resolve();
    });
  });
}

function gone(cause: unknown): TransientError {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? "EPIPE";
  const what = code === "EPIPE" ? "write to stdout: its reader has gone" : `write the lines: ${code}`;
  return new TransientError("network", what, { cause });
}
