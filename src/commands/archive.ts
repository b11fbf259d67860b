import type { Archive } from "../archive/window.ts";
import type { Stream } from "../assemble.ts";
import type { Observe } from "../fact.ts";
import { DEFAULT_RETRY } from "../http/retry.ts";
import type { Store } from "../store.ts";
import { retryingStore } from "../stores/retrying.ts";
import { assembleNow, loadStreams, logOf } from "./streams.ts";

/** A stream's archive, for the commands that only read it. Reads are retried after failures that may pass. */
export interface OpenArchive {
  readonly stream: Stream;
  readonly archive: Archive;
}

/** The archives of the streams, or of the named ones. The log on stderr reports only retries. */
export async function openArchives(path: string, names?: readonly string[]): Promise<OpenArchive[]> {
  const log = logOf("warn");
  const streams = assembleNow(await loadStreams(path, names, "read when used"), log);
  return streams.map((stream) => ({ stream, archive: archiveOf(stream, log) }));
}

function archiveOf({ pipeline, ledgerStore, dataStore, format }: Stream, log: Observe): Archive {
  const { name } = pipeline;
  const retrying = (store: Store): Store =>
    retryingStore(store, DEFAULT_RETRY, (error, attempt, delayMs) =>
      log({ kind: "retrying", stage: "store", stream: name, error, attempt, delayMs }),
    );
  return {
    stream: name,
    ledger: retrying(ledgerStore),
    data: dataStore && retrying(dataStore),
    quarantine: pipeline.quarantine,
    read: (line) => format.read(line),
  };
}
