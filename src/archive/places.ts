import type { Store } from "../store.ts";

/** Where the files of one stream lie. */
export interface Places {
  readonly stream: string;
  readonly ledger: Store;
  /** Undefined for a sink that keeps no objects. */
  readonly data: Store | undefined;
  readonly quarantine: Store;
}

export type StrayKind = "data" | "quarantine" | "ids";
