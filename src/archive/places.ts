import type { Store } from "../store.ts";

/** Where the files of one stream are. Verification only reads and lists them. */
export interface Places {
  readonly stream: string;
  readonly ledger: Store;
  /** Undefined for a sink that keeps no objects. */
  readonly data: Store | undefined;
  readonly quarantine: Store;
}

/** The kinds of files that manifests name; each is also the start of its files' keys. */
export type FileKind = "data" | "quarantine" | "ids";
