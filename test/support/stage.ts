import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { simulator, type Simulator, type SimulatorOptions } from "../../src/simulator/simulator.ts";
import { DAY_MS, epochMs, formatInstant, HOUR_MS, MINUTE_MS, type EpochMs } from "../../src/time.ts";
import { readFolder, type Files } from "./archive.ts";
import { run, start, type Ended, type Program, type ProgramOptions } from "./program.ts";

/** A token that is easy to find where it must not be. */
export const CANARY = "canary-token-4f1c9a7e";

/** 10:00 on the day before yesterday: the start of a busy hour of the simulator's history. */
export const TEN: EpochMs = epochMs(Math.floor(Date.now() / DAY_MS - 2) * DAY_MS + 10 * HOUR_MS);

/** `TEN` plus `count` minutes. */
export const minutes = (count: number): EpochMs => epochMs(TEN + count * MINUTE_MS);

type Part = Readonly<Record<string, unknown>>;

export interface StageOptions {
  readonly simulator?: SimulatorOptions;
  /** The initial time of the API's clock. The earlier of two clocks decides which windows are ready. Default: 11:30. */
  readonly now?: EpochMs | "real";
  readonly stream?: Part;
  readonly source?: Part;
  readonly windows?: Part;
  readonly sink?: Part;
  /** Members beside `streams`. */
  readonly config?: Part;
  /** Further streams: each a copy of the first with these changes. */
  readonly more?: readonly Part[];
}

/** A simulator, a folder, and a configuration that exports from the simulator to the folder. */
export interface Stage {
  readonly api: Simulator;
  readonly folder: string;
  readonly config: string;
  /** The configuration as written. Change it and call `write`. */
  readonly settings: Record<string, unknown>;
  write(settings: unknown): void;
  run(args: readonly string[], options?: ProgramOptions): Promise<Ended>;
  start(args: readonly string[], options?: ProgramOptions): Program;
  /** The archive of a stream in the folder. */
  files(stream?: string): Files;
  close(): Promise<void>;
}

/** @param atEnd gets the function that closes the stage */
export async function openStage(options: StageOptions, atEnd: (close: () => Promise<void>) => void): Promise<Stage> {
  const { now = minutes(90) } = options;
  const api = await simulator({
    ...{ eventsPerDay: 20_000, requestsPerSecond: 10_000, pageLimit: 500, recordReads: false, token: CANARY },
    ...{ since: TEN, until: minutes(60), clockOffsetMs: now === "real" ? 0 : now - Date.now() },
    ...options.simulator,
  });
  const folder = mkdtempSync(join(tmpdir(), "siem-export-stage-"));
  const config = join(folder, "exporter.yaml");
  const settings = settingsOf(options, api.url);
  // YAML understands JSON.
  const write = (text: unknown) => writeFileSync(config, JSON.stringify(text, undefined, 2));
  write(settings);
  const inFolder = (more: ProgramOptions = {}): ProgramOptions => ({
    cwd: folder,
    ...more,
    env: { TOKEN: CANARY, ...more.env },
  });
  const stage: Stage = {
    ...{ api, folder, config, settings, write },
    run: (args, more) => run([...args, "--config", config], inFolder(more)),
    start: (args, more) => start([...args, "--config", config], inFolder(more)),
    files: (stream = "demo") => readFolder(join(folder, "out", stream)),
    async close() {
      await api.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  atEnd(() => stage.close());
  return stage;
}

function settingsOf({ stream, source, windows, sink, config, more = [] }: StageOptions, baseUrl: string) {
  const first = {
    name: "demo",
    schedule: "* * * * *",
    source: {
      ...{ type: "pachca", baseUrl, token: "${TOKEN}", account: "acme" },
      ...{ requestsPerSecond: 1000, pageLimit: 500, ...source },
    },
    windows: { start: formatInstant(TEN), size: "5m", catchUpSize: "30m", lag: "2m", lookback: "5m", ...windows },
    parallel: 4,
    sink: sink ?? { type: "file", directory: "out" },
    ...stream,
  };
  return { streams: [first, ...more.map((changes) => ({ ...first, ...changes }))], server: false, ...config };
}
