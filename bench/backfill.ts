import { exportOnce, HOUR_MS, inFolder, instant, MIDNIGHT, percent, startApi, table, whole } from "./stage.ts";

const DAY = { from: MIDNIGHT, to: MIDNIGHT + 24 * HOUR_MS };
const EVENTS = 250_000;
const LIMIT = 50;
const PAGE = 50;
const PARALLEL = 16;

/** A day of history at the vendor's limits and 200 ms per answer: how near the limit the worker comes, and whether it exceeds it. */
export async function backfill(): Promise<void> {
  const limits = [
    "--latency",
    200,
    "--rate-limit",
    LIMIT,
    "--page-limit",
    PAGE,
    "--events-per-day",
    EVENTS,
    "--verbose",
  ];
  const api = await startApi(DAY, ...limits);
  try {
    await inFolder(async (directory) => {
      const source = { ...api.source, requestsPerSecond: LIMIT };
      const stream = {
        source,
        windows: { start: instant(DAY.from) },
        parallel: PARALLEL,
        sink: { type: "file", directory },
      };
      const { events, peakMB, cpuS } = await exportOnce(directory, stream);
      const all = api.requests().sort((one, other) => one.atMs - other.atMs);
      // The first request reads the clock. A rate is requests per time since the first one, so the first one does not count.
      const rateOf = (requests: typeof all) => {
        const [first, last] = [requests[0]?.atMs ?? 0, requests.at(-1)?.atMs ?? 0];
        return (requests.length - 1) / ((last - first) / 1000);
      };
      const steady = rateOf(all.slice(0, -PARALLEL));
      table(`Back-fill: 200 ms an answer, ${LIMIT} requests in any second, pages of ${PAGE}, parallel ${PARALLEL}`, [
        {
          events: whole(events),
          requests: whole(all.length),
          "pages at least": whole(Math.ceil(events / PAGE)),
          "answers 429": all.filter(({ status }) => status === 429).length,
          "requests/s": rateOf(all).toFixed(2),
          "of the limit": percent(rateOf(all) / LIMIT),
          "until the last 16 pages": percent(steady / LIMIT),
          "events/s": whole((events / all.length) * rateOf(all)),
          "CPU-s": cpuS.toFixed(2),
          "peak MB": whole(peakMB),
        },
      ]);
    });
  } finally {
    await api.stop();
  }
}
