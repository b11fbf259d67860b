import type { Finding } from "./source.ts";
import type { EpochMs } from "./time.ts";

/** One object as a listing shows it. */
export interface Entry {
  readonly key: string;
  /** Size as stored. */
  readonly bytes: number;
  readonly modified: EpochMs;
}

/**
 * Where the objects of one stream lie: a folder, or a prefix of a bucket. Keys are relative to it, with `/` between their
 * parts. Every method may throw TransientError (it may pass), RefusedError (no permission, no such bucket) and the
 * reason of the signal; none of them retries.
 */
export interface Store {
  /** Where this is, for people: `s3://bucket/prefix/stream`, `/var/lib/siem-export/stream`. */
  readonly place: string;

  /**
   * Creates `key` with these bytes if there is no such object. Durable when it resolves, and never visible half-written.
   * Resolves to false if the object exists already, with whatever content: read it to compare. Never overwrites.
   */
  create(key: string, bytes: Buffer, signal: AbortSignal): Promise<boolean>;

  /** The bytes of `key`, or undefined when there is no such object. */
  read(key: string, signal: AbortSignal): Promise<Buffer | undefined>;

  /** All objects whose key starts with `prefix` and sorts after `after`, in no promised order. */
  list(prefix: string, after: string | undefined, signal: AbortSignal): AsyncIterable<Entry>;

  /** Writes `key`, in one step, over what is there. For checkpoint.json alone. */
  replace(key: string, bytes: Buffer, signal: AbortSignal): Promise<void>;

  /**
   * Proves that `create` is what it says here, by an object `probeKey` made once; it needs no right to delete.
   * @throws RefusedError when the store ignores or does not know the condition
   */
  probe(probeKey: string, signal: AbortSignal): Promise<void>;

  /** The preflight: reach, rights, conditional writes. Findings, not exceptions. */
  check(probeKey: string, signal: AbortSignal): AsyncIterable<Finding>;
}

/** The part of a store below `prefix` (which ends with `/`), as a store of its own. */
export function storeUnder(store: Store, prefix: string): Store {
  return {
    place: `${store.place}/${prefix.slice(0, -1)}`,
    create: (key, bytes, signal) => store.create(prefix + key, bytes, signal),
    read: (key, signal) => store.read(prefix + key, signal),
    async *list(keyPrefix, after, signal) {
      const from = after === undefined ? undefined : prefix + after;
      for await (const entry of store.list(prefix + keyPrefix, from, signal)) {
        yield { ...entry, key: entry.key.slice(prefix.length) };
      }
    },
    replace: (key, bytes, signal) => store.replace(prefix + key, bytes, signal),
    probe: (key, signal) => store.probe(prefix + key, signal),
    check: (key, signal) => store.check(prefix + key, signal),
  };
}

/**
 * Removes one object; resolves also when there is none. Not a store's method: the worker must never need the right to
 * delete, nor be able to.
 */
export type Remover = (key: string, signal: AbortSignal) => Promise<void>;
