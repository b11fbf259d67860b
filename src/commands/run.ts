import { resolve } from "node:path";
import { command, CONFIG } from "./command.ts";

export const run = command({
  name: "run",
  about: "runs the worker: exports each stream on its schedule until SIGTERM",
  flags: { config: CONFIG },
  help: `
Example:
  siem-export run --config /etc/siem-export/exporter.yaml`,
  async run({ config: path }, signal) {
    const { loadStreams } = await import("./streams.ts");
    const { runWorker } = await import("./run-worker.ts");
    return runWorker({ config: await loadStreams(path), configPath: resolve(path), env: process.env }, signal);
  },
});
