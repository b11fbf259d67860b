import type { Stream } from "../assemble.ts";
import { UsageError } from "../errors.ts";
import type { Observe } from "../fact.ts";
import { factLog, logger } from "../observe/log.ts";
import { DEFAULT_RETRY } from "../http/retry.ts";
import { type Store } from "../store.ts";
import type { Archive } from "../archive/window.ts";
import { assembleNow, loadStreams, logLevelOf, type ConfigOptions } from "./streams.ts";
import { retryingStore } from "../stores/retrying.ts";

/** A stream's archive as the commands see it that read it: nothing is written, and failures that may pass are tried again. */
export interface OpenArchive {
  readonly stream: Stream;
  readonly archive: Archive;
}

/** The archives of the streams, or of those that are named. The log, on stderr, tells of retries alone. */
export async function openArchives(options: ConfigOptions, names: readonly string[] = []): Promise<OpenArchive[]> {
  const log = factLog(logger(logLevelOf("warn")));
  const streams = assembleNow(await loadStreams(options, names, "read when used"), log);
  return streams.map((stream) => ({ stream, archive: archiveOf(stream, log) }));
}

function archiveOf({ pipeline, ledgerStore, dataStore, format }: Stream, log: Observe): Archive {
  const { name } = pipeline;
  const patient = (store: Store): Store =>
    retryingStore(store, DEFAULT_RETRY, (error, attempt, delayMs) =>
      log({ kind: "retrying", stage: "store", stream: name, error, attempt, delayMs }),
    );
  return {
    stream: name,
    ledger: patient(ledgerStore),
    data: dataStore && patient(dataStore),
    quarantine: pipeline.quarantine,
    read: (line) => format.read(line),
  };
}

/** The first sequence to look at. @throws UsageError */
export function sequenceOf(flag: string, text: string | undefined): number {
  if (text === undefined) return 1;
  if (!/^[1-9]\d{0,11}$/.test(text)) throw new UsageError(`${flag} ${text}: not a sequence, such as 42`);
  return Number(text);
}
