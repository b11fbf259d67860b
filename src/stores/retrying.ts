import type { Store } from "../store.ts";
import { type RetryPolicy, type OnRetry, withRetry } from "../http/retry.ts";

/**
 * The same store, which retries operations after a TransientError. It does not retry `replace`, because the next window writes
 * the checkpoint again anyway. It does not retry `check`, nor a listing that has returned entries already.
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
