import { get } from "node:http";
import { buffer } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import * as http from "node:http";
import {
  exportOnce,
  HOUR_MS,
  inFolder,
  instant,
  measured,
  MIDNIGHT,
  percent,
  startApi,
  table,
  whole,
  withS3,
  type Api,
  type S3Sink,
} from "./stage.ts";

const FLOOR = fileURLToPath(new URL("floor.mjs", import.meta.url));
const DAY = { from: MIDNIGHT, to: MIDNIGHT + 24 * HOUR_MS };
/** A million, so that the cost of the start is negligible. Pages of 50 mean twenty times as many requests, so fewer events. */
const EVENTS: Readonly<Record<number, number>> = { 1000: 1_000_000, 50: 250_000 };
/** As in the program: see RESULTS.md. */
const GZIP_LEVEL = 6;
const BATCH = 50_000;

/** CPU-seconds for a day of events, compared with a minimal script that gets, parses, compresses and puts the same pages. */
export async function cpu(): Promise<void> {
  const rows = await withS3(async (s3) => [
    ...(await measure(1000, "S3 (Ceph RGW)", s3)),
    ...(await measure(1000, "files", undefined)),
    ...(await measure(50, "S3 (Ceph RGW)", s3)),
    ...(await measure(50, "files", undefined)),
  ]);
  table("CPU-bound: latency 0, no limit, a day of events", rows);
}

async function measure(pageLimit: number, sinkName: string, s3: S3Sink | undefined) {
  const eventsPerDay = EVENTS[pageLimit] ?? 0;
  const api = await startApi(
    DAY,
    "--events-per-day",
    eventsPerDay,
    "--page-limit",
    pageLimit,
    "--rate-limit",
    1_000_000,
  );
  try {
    const ceiling = eventsPerDay / (await walk(api, pageLimit));
    return await inFolder(async (directory) => {
      const sink = s3 === undefined ? { type: "file", directory } : { ...s3, prefix: `cpu-${pageLimit}` };
      const source = { ...api.source, requestsPerSecond: 1000, pageLimit };
      const worker = await exportOnce(directory, { source, windows: { start: instant(DAY.from) }, sink });
      const task = {
        api,
        from: instant(DAY.from),
        to: instant(DAY.to),
        limit: pageLimit,
        level: GZIP_LEVEL,
        batch: BATCH,
      };
      const floor = await measured([FLOOR], JSON.stringify({ ...task, sink: s3 ?? { type: "file", directory } }));
      const { events } = JSON.parse(floor.stdout) as { events: number };
      if (events !== worker.events) throw new Error(`the floor saw ${events} events, the worker ${worker.events}`);
      const [rate, floorRate] = [events / worker.cpuS, events / floor.cpuS];
      const row = (who: string, cpuS: number, wallS: number, peakMB: number) => ({
        pages: pageLimit,
        sink: sinkName,
        who,
        events: whole(events),
        "CPU-s": cpuS.toFixed(2),
        "events/CPU-s": whole(events / cpuS),
        "of the floor": percent(events / cpuS / floorRate),
        "events/s": whole(events / wallS),
        "simulator alone, events/s": whole(ceiling),
        "peak MB": whole(peakMB),
      });
      console.error(`pages of ${pageLimit}, ${sinkName}: ${percent(rate / floorRate)} of the floor`);
      return [
        row("worker", worker.cpuS, worker.wallS, worker.peakMB),
        row("floor", floor.cpuS, floor.wallS, floor.peakMB),
      ];
    });
  } finally {
    await api.stop();
  }
}

/** Seconds that the simulator takes to serve a day to a client that only counts bytes. */
async function walk(api: Api, limit: number): Promise<number> {
  const agent = new http.Agent({ keepAlive: true });
  const chain = async (hour: number): Promise<number> => {
    let pages = 0;
    for (let cursor = "", more = true; more; pages++) {
      const query = new URLSearchParams({
        start_time: instant(DAY.from + hour * HOUR_MS),
        end_time: instant(DAY.from + (hour + 1) * HOUR_MS - 1),
        limit: String(limit),
        ...(cursor !== "" && { cursor }),
      });
      const body = await new Promise<Buffer>((resolve, reject) => {
        const options = { agent, headers: { authorization: `Bearer ${api.token}` } };
        get(
          `${api.url}/audit_events?${query.toString()}`,
          options,
          (answer) => void buffer(answer).then(resolve, reject),
        ).on("error", reject);
      });
      const tail = body.toString("latin1", body.length - 400);
      cursor = /"next_page":"([^"]+)"/.exec(tail)?.[1] ?? "";
      more = tail.includes('"has_next":true');
    }
    return pages;
  };
  const startedMs = performance.now();
  await Promise.all(Array.from({ length: 24 }, (_, hour) => chain(hour)));
  agent.destroy();
  return (performance.now() - startedMs) / 1000;
}
