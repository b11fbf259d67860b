import { once } from "node:events";
import { PassThrough, Writable } from "node:stream";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { printHistory, simulateCommand } from "../../src/commands/run-simulator.ts";
import { pachcaHistory } from "../../src/simulator/pachca-history.ts";
import { simulator } from "../../src/simulator/simulator.ts";
import { HOUR_MS, epochMs } from "../../src/time.ts";

const never = new AbortController().signal;
const from = epochMs(Date.UTC(2026, 4, 12, 9));
const to = epochMs(Date.UTC(2026, 4, 12, 11));

test("with json it prints its addresses in one line, serves until aborted, and logs requests only with verbose", async () => {
  for (const verbose of [false, true]) {
    const [out, err, stop] = [new PassThrough(), new PassThrough(), new AbortController()];
    const done = simulateCommand({ json: true, verbose, out, err, token: "a-token-to-be-hidden" }, stop.signal);
    const [line] = (await once(out, "data")) as [Buffer];
    const { url, token, mining } = JSON.parse(line.toString()) as {
      url: string;
      token: string;
      mining: { url: string };
    };
    expect(new URL(mining.url).host).toBe(new URL(url).host);
    const response = await fetch(`${url}/audit_events?limit=1`, { headers: { authorization: `Bearer ${token}` } });
    expect(response.status).toBe(200);
    await response.text();
    stop.abort();
    await done;
    const log = String(err.read() ?? "");
    if (verbose) expect(log).toMatch(/^\S+Z GET \/api\/shared\/v1\/audit_events 200 \d+ B [\d.]+ ms\n$/);
    else expect(log).toBe("");
    expect(log).not.toContain(token);
    await expect(fetch(url)).rejects.toThrow();
  }
});

test("it prints how to configure a source of each type", async () => {
  const [out, stop] = [new PassThrough(), new AbortController()];
  const done = simulateCommand({ out, token: 'to"ken' }, stop.signal);
  const [text] = (await once(out, "data")) as [Buffer];
  stop.abort();
  await done;
  const sources = (
    parse(
      `streams:\n${text
        .toString()
        .replaceAll(/^ {2}source:/gm, "  - source:")
        .replace(/^\S.*\n/, "")}`,
    ) as {
      streams: { source: Record<string, string> }[];
    }
  ).streams.map(({ source }) => source);
  expect(sources).toEqual([
    { type: "pachca", baseUrl: expect.stringMatching(/^http.*:\d+\/api\/shared\/v1$/) as string, token: 'to"ken' },
    {
      type: "communications-mining",
      baseUrl: expect.stringMatching(/^http.*:\d+\/[^/]+\/[^/]+\/reinfer_$/) as string,
      token: 'to"ken',
    },
  ]);
});

test("when aborted before the start it ends at once", async () => {
  await simulateCommand({ out: new PassThrough() }, AbortSignal.abort());
});

test("it prints its history as lines, the same that it serves, and leaves the output open", async () => {
  const out = new PassThrough({ highWaterMark: 2 ** 30 });
  await printHistory({ seed: 3, eventsPerDay: 50_000, from, to }, out, never);
  expect(out.writableEnded).toBe(false);
  const lines = String(out.read()).split("\n");
  expect(lines.pop()).toBe("");
  const events = pachcaHistory({ seed: 3, eventsPerDay: 50_000 }).events({ from, to });
  expect(lines).toEqual(Array.from(events, ({ record }) => record.toString()));
});

test("it prints the history of communications-mining, with the resources of each event", async () => {
  const [out, api] = [
    new PassThrough({ highWaterMark: 2 ** 30 }),
    await simulator({ seed: 3, since: epochMs(from - HOUR_MS) }),
  ];
  await printHistory({ of: "communications-mining", seed: 3, from, to }, out, never);
  const expected = Array.from(api.mining.history({ from, to }), (line) => `${line.toString()}\n`);
  await api.close();
  const printed = String(out.read());
  expect(expected.length).toBeGreaterThan(1000);
  expect(printed).toBe(expected.join(""));
  expect(printed).toContain('"_resources":{"users":[');
});

test("a slow output slows down the history", async () => {
  let most = 0;
  let bytes = 0;
  const slow = new Writable({
    highWaterMark: 16 * 1024,
    write(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      most = Math.max(most, this.writableLength);
      setImmediate(done);
    },
  });
  await printHistory({ eventsPerDay: 100_000, from, to }, slow, never);
  expect(bytes).toBeGreaterThan(2_000_000);
  expect(most).toBeLessThan(300_000);
});

test("it stops when aborted, or when the reader stops reading", async () => {
  const stop = new AbortController();
  let writes = 0;
  const counting = new Writable({
    write(_chunk, _encoding, done) {
      if (++writes === 2) stop.abort();
      done();
    },
  });
  await printHistory({ eventsPerDay: 1_000_000, from, to }, counting, stop.signal);
  expect(writes).toBeLessThan(5);

  const broken = new Writable({
    write(_chunk, _encoding, done) {
      done(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
    },
  });
  await printHistory({ from, to }, broken, never);
});
