import type { Source } from "../source.ts";
import type { ReadAhead } from "./read-ahead.ts";
import type { Sink } from "../sink.ts";
import type { Store } from "../store.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { WindowPolicy } from "./window.ts";
import type { BatchLimits } from "./batch.ts";
import type { ObserveStream } from "../fact.ts";

/** All that one stream is made of. */
export interface Pipeline {
  readonly name: string;
  readonly source: Source;
  /** The same source, read ahead of the loop. */
  readonly reader: ReadAhead;
  readonly sink: Sink;
  /** Where items go that cannot be exported. */
  readonly quarantine: Store;
  readonly ledger: Ledger;
  readonly windows: WindowPolicy;
  readonly batch: BatchLimits;
  /** An event with more bytes is put aside. */
  readonly maxEventBytes: number;
  readonly fingerprint: string;
  readonly exporter: { readonly name: string; readonly version: string };
  readonly observe: ObserveStream;
}
