import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { exportOnce, HOUR_MS, inFolder, instant, MIDNIGHT, percent, startApi, table, whole } from "./stage.ts";

const HOURS = { from: MIDNIGHT + 8 * HOUR_MS, to: MIDNIGHT + 10 * HOUR_MS };
const LEVELS = [1, 3, 6, 7, 9];

/** The size of the simulator's lines at each gzip level, and the CPU time. */
export async function compression(): Promise<void> {
  const api = await startApi(HOURS, "--events-per-day", 250_000, "--page-limit", 1000, "--rate-limit", 1_000_000);
  try {
    await inFolder(async (directory) => {
      const source = { ...api.source, requestsPerSecond: 1000, pageLimit: 1000 };
      await exportOnce(directory, {
        source,
        windows: { start: instant(HOURS.from) },
        sink: { type: "file", directory },
      });
      const objects = readdirSync(directory, { recursive: true, encoding: "utf8" }).filter((name) =>
        name.endsWith(".ndjson.gz"),
      );
      const lines = Buffer.concat(objects.map((name) => gunzipSync(readFileSync(join(directory, name)))));
      const rows = LEVELS.map((level) => {
        const before = process.cpuUsage();
        const { length } = gzipSync(lines, { level });
        const { user, system } = process.cpuUsage(before);
        return { level, size: percent(length / lines.length), "MB/CPU-s": whole(lines.length / (user + system)) };
      });
      table(`gzip of ${whole(lines.length / 1e6)} MB of lines`, rows);
    });
  } finally {
    await api.stop();
  }
}
