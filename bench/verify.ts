import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { tick } from "../src/export/tick.ts";
import { readAhead } from "../src/export/read-ahead.ts";
import type { Source } from "../src/source.ts";
import { epochMs, MINUTE_MS } from "../src/time.ts";
import { event, memoryStore, never, START, world } from "../test/support/world.ts";
import {
  countingProxy,
  exportOnce,
  HOUR_MS,
  inFolder,
  instant,
  MIDNIGHT,
  program,
  startApi,
  table,
  whole,
  withS3,
  type S3Sink,
} from "./stage.ts";

/** A year of five-minute windows. */
const WINDOWS = 105_120;
const SIZE_MS = 5 * MINUTE_MS;
/** Nothing listens here: `verify` does not use the source. */
const BASE_URL = "http://127.0.0.1:9/api";

/** `verify` of a year's folder: one window in ten has a small object. */
export async function verify(): Promise<void> {
  await inFolder(async (folder) => {
    const files = await yearOf(WINDOWS);
    const made = new Set<string>();
    for (const [key, bytes] of files) {
      const path = join(folder, "test", key);
      if (!made.has(dirname(path))) mkdirSync(dirname(path), { recursive: true });
      made.add(dirname(path));
      writeFileSync(path, bytes);
    }
    const source = { type: "pachca", baseUrl: BASE_URL, token: "unused", account: "acme" };
    const windows = { start: new Date(START).toISOString(), size: "5m", catchUpSize: "5m" };
    const stream = { name: "test", source, windows, sink: { type: "file", directory: folder } };
    const { wallS, cpuS, peakMB } = await program(folder, ["verify"], stream);
    table("`verify` of a year in a folder, one window in ten with a small object", [
      {
        windows: whole(WINDOWS),
        files: whole(files.size),
        "wall s": wallS.toFixed(1),
        "CPU-s": cpuS.toFixed(1),
        "peak MB": whole(peakMB),
      },
    ]);
  });
  await withS3(verifyBucket);
}

/** On S3, the requests per second of `verify` matter. A day is enough to measure them. */
async function verifyBucket(s3: S3Sink): Promise<void> {
  const day = { from: MIDNIGHT, to: MIDNIGHT + 24 * HOUR_MS };
  const api = await startApi(day);
  const proxy = await countingProxy(s3.endpoint);
  try {
    await inFolder(async (folder) => {
      const windows = { start: instant(day.from), size: "5m", catchUpSize: "5m" };
      const stream = { source: api.source, windows, sink: { ...s3, endpoint: proxy.url, prefix: "verify" } };
      const done = await exportOnce(folder, stream);
      const before = proxy.requests();
      const { wallS, cpuS, peakMB } = await program(folder, ["verify"], stream);
      const requests = proxy.requests() - before;
      table("`verify` of a day on S3 (Ceph RGW, through a proxy that counts)", [
        {
          windows: whole(done.windows),
          requests: whole(requests),
          "requests/s": whole(requests / wallS),
          "wall s": wallS.toFixed(1),
          "CPU-s": cpuS.toFixed(1),
          "peak MB": whole(peakMB),
        },
      ]);
    });
  } finally {
    proxy.close();
    await api.stop();
  }
}

/** The files of a year, exported to memory by the program's own loop. */
async function yearOf(count: number): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  const events = Array.from({ length: count / 10 }, (_, index) =>
    event(`00000000-0000-4000-8000-${String(index).padStart(12, "0")}`, epochMs(START + index * 10 * SIZE_MS + 1000)),
  );
  const { pipeline, source } = world([], {
    store: memoryStore(files),
    source: { identity: { type: "pachca", baseUrl: BASE_URL, account: "acme" } },
    selection: { filter: {}, ownReads: "keep" },
    windows: { sizeMs: SIZE_MS, catchUpSizeMs: SIZE_MS, lookbackMs: 0 },
  });
  // Indexed by the window's number: a search through all events for each window would take hours.
  const pages: Source["pages"] = async function* ({ from, to }) {
    const [first = 0, last = 0] = [from, to].map((time) => Math.floor((time - START) / SIZE_MS / 10));
    yield { events: events.slice(first, last + 1), poison: [] };
  };
  const reader = readAhead({ ...source, pages }, 16);
  await tick({ ...pipeline, reader }, epochMs(START + count * SIZE_MS + 2 * MINUTE_MS), never);
  return files;
}
