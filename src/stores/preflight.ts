import { ExporterError, ProtocolError, RefusedError } from "../errors.ts";
import type { Finding } from "../source.ts";
import type { Store } from "../store.ts";

/** Why it is there and that it may stay: whoever finds this object in an archive shall not have to guess. */
export const PROBE = Buffer.from(
  "siem-export-worker: this object proves that an object cannot be created twice here. It can stay.\n",
);

/**
 * Proves that `create` is what it says: the second of two must find the first. Where the object is there from an
 * earlier start, one try is enough.
 *
 * @throws RefusedError when both succeed
 */
export async function proveCreate(
  store: Pick<Store, "place" | "create">,
  probeKey: string,
  hint: string,
  signal: AbortSignal,
): Promise<void> {
  if (!(await store.create(probeKey, PROBE, signal))) return;
  if (!(await store.create(probeKey, PROBE, signal))) return;
  throw new RefusedError(
    "bad_request",
    `create ${store.place}/${probeKey} twice: the second overwrote the first, so two workers could overwrite each other`,
    { hint },
  );
}

/** One step of a preflight; well when `run` resolves, whatever to. */
export interface Step {
  readonly what: string;
  readonly run: () => Promise<unknown>;
}

/** What every store can be asked: is it there, does it create once, does it give back what it was given. */
export function storeSteps(store: Store, probeKey: string, signal: AbortSignal): readonly Step[] {
  return [
    {
      what: `list ${store.place}`,
      run: async () => {
        // One entry is enough, the rest of a long listing would only take time.
        for await (const _ of store.list(probeKey, undefined, signal)) break;
      },
    },
    { what: `create an object once, and only once`, run: () => store.probe(probeKey, signal) },
    {
      what: `read it back`,
      run: async () => {
        const bytes = await store.read(probeKey, signal);
        if (bytes?.equals(PROBE) === true) return;
        const found = bytes === undefined ? "there is no such object" : "its bytes are not those that were written";
        throw new ProtocolError(`read ${store.place}/${probeKey}: ${found}`, {
          hint: "something between here and the store changes what is stored; no archive can be trusted to it",
        });
      },
    },
  ];
}

/** Runs the steps up to the first that fails: those after it would fail for the same reason. */
export async function* findings(steps: readonly Step[], signal: AbortSignal): AsyncGenerator<Finding> {
  for (const { what, run } of steps) {
    try {
      await run();
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ExporterError)) throw error;
      yield { state: "failed", what: error.message, hint: error.hint, error };
      return;
    }
    yield { state: "ok", what };
  }
}
