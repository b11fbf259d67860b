import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { tick } from "../../src/export/tick.ts";
import { raw } from "../../src/formats/raw.ts";
import { stdoutSink, writeOut } from "../../src/sinks/stdout.ts";
import { epochMs, MINUTE_MS } from "../../src/time.ts";
import { eventsOver, manifestsIn, never, START, world } from "../support/world.ts";

/** A stream that buffers everything, and passes it on only when `release` is called. */
function slowReader() {
  const waiting: (() => void)[] = [];
  const out = new Writable({ highWaterMark: 1 << 20, write: (_chunk, _encoding, done) => waiting.push(done) });
  return { out, release: () => waiting.splice(0).forEach((done) => done()) };
}

test("lines count as written when they have left the process, not when its buffer has them", async () => {
  const { out, release } = slowReader();
  let isDone = false;
  const writing = writeOut(out, Buffer.from("line\n"), never).then(() => (isDone = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(isDone).toBe(false);
  release();
  await writing;
  expect(isDone).toBe(true);
});

test("an abort ends the wait for a reader that does not read, with the signal's reason", async () => {
  const stop = new AbortController();
  const reason = new Error("asked to stop");
  const writing = writeOut(slowReader().out, Buffer.from("line\n"), stop.signal);
  stop.abort(reason);
  await expect(writing).rejects.toBe(reason);
});

test("a reader that closed the pipe is an outage, not a bug", async () => {
  const { out } = slowReader();
  out.on("error", () => undefined);
  out.destroy(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
  await expect(writeOut(out, Buffer.from("line\n"), never)).rejects.toThrow(
    "write to stdout: the reader has closed the pipe",
  );
});

test("a manifest counts the lines that were written, unacknowledged; an empty window has none", async () => {
  const history = eventsOver(START, epochMs(START + 5 * MINUTE_MS), 9);
  const lines: Buffer[] = [];
  const out = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk);
      done();
    },
  });
  const { pipeline, source, files } = world(history);
  await tick({ ...pipeline, sink: stdoutSink(raw.of(source), out) }, epochMs(START + 12 * MINUTE_MS), never);
  expect(Buffer.concat(lines).toString().trimEnd().split("\n")).toHaveLength(9);
  expect(manifestsIn(files)).toMatchObject([
    { events: 9, objects: [], delivered: { lines: 9, acknowledged: false } },
    { events: 0, objects: [], delivered: { lines: 0, acknowledged: false } },
  ]);
});
