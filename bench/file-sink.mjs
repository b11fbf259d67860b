// A day of 200,000 events from the simulator, in a process of its own, to the file sink: `npm run bench`.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const EVENTS = 200_000;
const program = fileURLToPath(new URL("../dist/main.js", import.meta.url));
const usage = new URL("usage.mjs", import.meta.url).href;

const midnight = new Date(Math.floor(Date.now() / 86_400_000 - 1) * 86_400_000);
const since = midnight.toISOString();
const until = new Date(midnight.getTime() + 86_400_000).toISOString();

console.log(
  `node ${process.version}, ${cpus()[0].model.trim()}, ${cpus().length} cores, ${new Date().toISOString().slice(0, 10)}`,
);
for (const pageLimit of [1000, 50]) await measure(pageLimit);

async function measure(pageLimit) {
  const directory = await mkdtemp(join(tmpdir(), "siem-export-bench-"));
  const flags = ["--events-per-day", EVENTS, "--page-limit", pageLimit, "--since", since, "--until", until];
  const api = spawn(
    process.execPath,
    [program, "simulate", "--json", "--port", "0", "--rate-limit", "1000000", "--no-record-reads", ...flags],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  try {
    const [line] = await once(api.stdout, "data");
    const { url, token } = JSON.parse(line);
    const config = join(directory, "exporter.yaml");
    await writeFile(
      config,
      JSON.stringify({
        streams: [
          {
            name: "bench",
            source: { type: "pachca", baseUrl: url, token, requestsPerSecond: 1000, pageLimit },
            windows: { start: since },
            sink: { type: "file", directory },
          },
        ],
      }),
    );
    // The simulator makes its history when it is first asked: that is not what is measured.
    await exportDay(config, directory);
    const started = performance.now();
    const { userS, systemS, peakMiB, report } = await measureOnce(config);
    const wallS = (performance.now() - started) / 1000;
    const cpuS = userS + systemS;
    const { events, bytes } = report;
    console.log(
      `pages of ${pageLimit}: ${events} events, ${(bytes / 1024 / 1024).toFixed(1)} MiB gzip; ${wallS.toFixed(2)} s wall, ` +
        `${cpuS.toFixed(2)} CPU-s (${userS.toFixed(2)} user + ${systemS.toFixed(2)} system), ${peakMiB.toFixed(0)} MiB peak; ` +
        `${Math.round(events / wallS)} events/s, ${Math.round(events / cpuS)} events/CPU-s`,
    );
  } finally {
    api.kill();
    await rm(directory, { recursive: true, force: true });
  }
}

async function exportDay(config, directory) {
  const out = join(directory, "warm-up.ndjson");
  const child = spawn(
    process.execPath,
    [program, "export", "-c", config, "-s", "bench", "--from", since, "--to", until, "-o", out],
    {
      stdio: ["ignore", "ignore", "ignore"],
    },
  );
  await once(child, "exit");
}

async function measureOnce(config) {
  const child = spawn(process.execPath, ["--import", usage, program, "once", "--json", "-c", config], {
    stdio: ["ignore", "pipe", "inherit", "pipe"],
  });
  const texts = ["", ""];
  child.stdout.on("data", (text) => (texts[0] += text));
  child.stdio[3].on("data", (text) => (texts[1] += text));
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`once ended with ${code}`);
  return { ...JSON.parse(texts[1]), report: JSON.parse(texts[0]) };
}
