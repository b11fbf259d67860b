import {
  exportOnce,
  HOUR_MS,
  inFolder,
  instant,
  MIDNIGHT,
  startApi,
  table,
  whole,
  withS3,
  type Api,
  type S3Sink,
} from "./stage.ts";

/** The busiest hour of the simulator's day, and its event rate relative to the mean. */
const HOUR = { from: MIDNIGHT + 8 * HOUR_MS, to: MIDNIGHT + 9 * HOUR_MS };
const BUSIER = 100 / 46.4;

/** Peak memory of the worker for one window, for increasing numbers of events. */
export async function memory(): Promise<void> {
  const rows: Record<string, string | number>[] = [];
  await withS3(async (s3) => {
    for (const events of [10_000, 100_000, 1_000_000]) {
      const api = await startApi(
        HOUR,
        "--events-per-day",
        Math.round((events * 24) / BUSIER),
        "--page-limit",
        1000,
        "--rate-limit",
        1_000_000,
      );
      try {
        for (const parallel of [1, 16]) rows.push(await measure(api, events, parallel, s3));
      } finally {
        await api.stop();
      }
    }
  });
  table("Peak memory of one window, S3 sink, pages of 1,000", rows);
}

function measure(api: Api, events: number, parallel: number, s3: S3Sink) {
  return inFolder(async (folder) => {
    const source = { ...api.source, requestsPerSecond: 1000, pageLimit: 1000 };
    const sink = { ...s3, prefix: `memory-${events}-${parallel}` };
    const usage = await exportOnce(folder, { source, windows: { start: instant(HOUR.from) }, parallel, sink });
    if (usage.windows !== 1) throw new Error(`${usage.windows} windows, not one`);
    console.error(`${usage.events} events at parallel ${parallel}: ${usage.peakMB.toFixed(0)} MB`);
    return {
      parallel,
      events: whole(usage.events),
      "peak MB": whole(usage.peakMB),
      "CPU-s": usage.cpuS.toFixed(2),
      "wall s": usage.wallS.toFixed(1),
    };
  });
}
