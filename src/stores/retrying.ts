import type { Store } from "../store.ts";
import { type RetryPolicy, type OnRetry, withRetry } from "../http/retry.ts";

/**
 * The same store, whose operations are tried again when a failure may pass. `replace` is not: the checkpoint is written
 * again with the next window anyway. Neither are the findings of `check`, nor a listing that has shown something already.
 */
export function retryingStore(store: Store, policy: RetryPolicy, onRetry: OnRetry): Store {
  return {
    ...store,
    create: (key, bytes, signal) => withRetry(() => store.create(key, bytes, signal), policy, signal, onRetry),
    read: (key, signal) => withRetry(() => store.read(key, signal), policy, signal, onRetry),
    async *list(prefix, after, signal) {
      const begin = async () => {
        const entries = store.list(prefix, after, signal)[Symbol.asyncIterator]();
        return { entries, first: await entries.next() };
      };
      const { entries, first } = await withRetry(begin, policy, signal, onRetry);
      for (let next = first; next.done !== true; next = await entries.next()) yield next.value;
    },
    probe: (key, signal) => withRetry(() => store.probe(key, signal), policy, signal, onRetry),
  };
}
