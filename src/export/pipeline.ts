import type { ObserveStream } from "../fact.ts";
import type { Ledger } from "../ledger/ledger.ts";
import type { Sink } from "../sink.ts";
import type { Source } from "../source.ts";
import type { Store } from "../store.ts";
import type { EpochMs } from "../time.ts";
import type { BatchLimits } from "./batch.ts";
import type { ReadAhead } from "./read-ahead.ts";
import type { WindowPolicy } from "./window.ts";

/** All parts of one stream. */
export interface Pipeline {
  readonly name: string;
  readonly source: Source;
  /** Reads the same source ahead of the loop. */
  readonly reader: ReadAhead;
  readonly sink: Sink;
  /** Where items go that cannot be exported. */
  readonly quarantine: Store;
  readonly ledger: Ledger;
  readonly windows: WindowPolicy;
  readonly batch: BatchLimits;
  /** An event with more bytes is quarantined. */
  readonly maxEventBytes: number;
  readonly fingerprint: string;
  readonly exporter: { readonly name: string; readonly version: string };
  readonly observe: ObserveStream;
}

/** A pipeline at work: what every window of one run has in common. */
export interface Run {
  readonly pipeline: Pipeline;
  /** The time at which the run began, by which windows settle: the earlier of our clock and the source's. */
  readonly now: EpochMs;
  /** The instant from which on the source still has all events. It moves on during a run. */
  readonly retainedFrom: () => EpochMs;
}
