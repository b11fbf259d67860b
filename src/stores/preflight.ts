import { ExporterError, ProtocolError, RefusedError } from "../errors.ts";
import type { Finding } from "../source.ts";
import type { Store } from "../store.ts";

/** The content of the probe object. It explains itself to anyone who finds it. Never change it: archives hold it. */
export const PROBE = Buffer.from(
  "siem-export-worker: this object proves that an object cannot be created twice here. It can stay.\n",
);

/**
 * Proves that `create` never overwrites: of two creations, the second must find the first. If the object exists from an
 * earlier start, one attempt is enough.
 *
 * @throws RefusedError if both succeed
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
    `create ${store.place}/${probeKey} twice: the second overwrote the first, so two workers could overwrite each other's objects`,
    { hint },
  );
}

/** One step of a preflight. It passes if `run` resolves, with any value. */
export interface Step {
  readonly what: string;
  readonly run: () => Promise<unknown>;
}

/** The steps for every store: it can be listed, it creates an object only once, and it returns the same bytes. */
export function storeSteps(store: Store, probeKey: string, signal: AbortSignal): readonly Step[] {
  return [
    {
      what: `list ${store.place}`,
      run: async () => {
        // One entry is enough. The rest of a long listing would only take time.
        for await (const _ of store.list(probeKey, undefined, signal)) break;
      },
    },
    { what: "create an object once, and only once", run: () => store.probe(probeKey, signal) },
    {
      what: "read it back",
      run: async () => {
        const bytes = await store.read(probeKey, signal);
        if (bytes?.equals(PROBE) === true) return;
        const found = bytes === undefined ? "no such object" : "its bytes differ from those that were written";
        throw new ProtocolError(`read ${store.place}/${probeKey}: ${found}`, {
          hint: "the store, or something in front of it, changes objects: do not keep an archive there",
        });
      },
    },
  ];
}

/** Runs the steps until one fails: those after it would fail for the same reason. */
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
