import { createAgents } from "./http/agents.ts";
import { requestBudget, type RequestBudget } from "./http/budget.ts";
import type { Config, SourceConfig, StreamConfig } from "./config/config.ts";
import { ConfigError } from "./errors.ts";
import type { Observe, ObserveStream } from "./fact.ts";
import type { Format } from "./format.ts";
import { formatOf } from "./formats/index.ts";
import type { Removers } from "./archive/gc.ts";
import { ledger } from "./ledger/ledger.ts";
import { fingerprintOf } from "./ledger/manifest.ts";
import { withSeverities } from "./vocabulary.ts";
import { readAhead } from "./export/read-ahead.ts";
import { idsFromObjects } from "./archive/rebuild-ids.ts";
import { DEFAULT_RETRY } from "./http/retry.ts";
import { readSigner } from "./ledger/signature.ts";
import type { Place } from "./sinks/define.ts";
import { openPlace, openSink, placesOf } from "./sinks/index.ts";
import type { Source } from "./source.ts";
import { openSource } from "./sources/index.ts";
import { storeUnder, type Store } from "./store.ts";
import { formatInstant, type EpochMs } from "./time.ts";
import { EXPORTER } from "./version.ts";
import { retryingStore } from "./stores/retrying.ts";
import type { Pipeline } from "./export/pipeline.ts";

/** A stream put together: what runs, and the places that a preflight or a status looks into. */
export interface Stream {
  readonly pipeline: Pipeline;
  readonly config: StreamConfig;
  /** Where its ledger lies. */
  readonly ledgerStore: Store;
  /** Where its objects lie; undefined for a sink without objects. */
  readonly dataStore: Store | undefined;
  readonly format: Format;
  /** For `gc` alone: nothing of the pipeline can delete. */
  readonly removers: Removers;
}

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly observe: Observe;
  readonly now: EpochMs;
}

/**
 * Puts the streams together: the one place that knows every source, format, store and sink.
 * @throws ConfigError when a stream starts in the future, or a certificate file cannot be read
 */
export function assemble(config: Config, surroundings: Surroundings): Stream[] {
  const budgets = budgetsOf(config.streams);
  return config.streams.map((stream) => assembleStream(stream, config.stateDirectory, budgets, surroundings));
}

function assembleStream(
  config: StreamConfig,
  stateDirectory: string,
  budgets: ReadonlyMap<string, RequestBudget>,
  { env, now, ...surroundings }: Surroundings,
): Stream {
  const { name, windows } = config;
  if (windows.start > now) {
    throw new ConfigError(`stream ${name}: windows.start is in the future (${formatInstant(windows.start)})`, {
      hint: `nothing could be exported before then; it is ${formatInstant(now)} by this machine's clock`,
    });
  }
  const observe = observeStream(surroundings.observe, name);
  const source = sourceOf(config, budgets.get(accountKey(config.source)), env, observe);
  const format = formatOf(config.format, source);
  const retried = (store: Store): Store =>
    retryingStore(store, DEFAULT_RETRY, (error, attempt, delayMs) =>
      observe({ kind: "retrying", stage: "store", error, attempt, delayMs }),
    );
  const places = placesOf(config, stateDirectory);
  const dataPlace = places.data && openPlace(places.data, name, env);
  const home = dataPlace && places.ledger === places.data ? dataPlace : openPlace(places.ledger, name, env);
  const ledgerStore = storeUnder(home.store, "ledger/");
  const data = dataPlace && retried(dataPlace.store);
  const fingerprint = fingerprintOf(source.identity, source.selection, format.name);
  const pipeline: Pipeline = {
    name,
    source,
    reader: readAhead(source, config.parallel),
    sink: openSink(config.sink, data, { stream: name, format, vocabulary: source.vocabulary, observe }),
    quarantine: data ?? retried(home.store),
    ledger: ledger({
      stream: name,
      store: retried(ledgerStore),
      data,
      fingerprint,
      lookbackMs: windows.lookbackMs,
      rebuildIds: data && ((manifest, signal) => idsFromObjects(manifest, data, format, signal)),
      signer: config.ledger?.signingKeyFile === undefined ? undefined : readSigner(config.ledger.signingKeyFile),
      observe,
    }),
    windows,
    batch: config.batch,
    maxEventBytes: config.batch.maxEventBytes,
    fingerprint,
    exporter: EXPORTER,
    observe,
  };
  return { pipeline, config, ledgerStore, dataStore: dataPlace?.store, format, removers: removersOf(dataPlace, home) };
}

/** Quarantine files are with the data. */
function removersOf(data: Place | undefined, home: Place): Removers {
  const { remove } = data ?? home;
  return { data: remove, quarantine: remove, ids: (key, signal) => home.remove(`ledger/${key}`, signal) };
}

/** A stream's source and format alone, with a request budget of their own: for reading without a ledger. */
export function sourceFor(
  config: StreamConfig,
  { env, observe }: Omit<Surroundings, "now">,
): { readonly source: Source; readonly format: Format } {
  const source = sourceOf(config, undefined, env, observeStream(observe, config.name));
  return { source, format: formatOf(config.format, source) };
}

function observeStream(observe: Observe, stream: string): ObserveStream {
  return (fact) => observe({ ...fact, stream });
}

/** One budget an account, whatever the number of its streams; where they differ, the smallest limit counts. */
function budgetsOf(streams: readonly StreamConfig[]): ReadonlyMap<string, RequestBudget> {
  const limits = new Map<string, number>();
  for (const { source } of streams) {
    const key = accountKey(source);
    limits.set(key, Math.min(limits.get(key) ?? Infinity, source.requestsPerSecond));
  }
  return new Map([...limits].map(([key, limit]) => [key, requestBudget(limit)]));
}

function accountKey({ type, baseUrl, account }: SourceConfig): string {
  return JSON.stringify([type, baseUrl, account]);
}

function sourceOf(
  config: StreamConfig,
  budget = requestBudget(config.source.requestsPerSecond),
  env: Surroundings["env"],
  observe: ObserveStream,
): Source {
  const { name, source, parallel, severities, windows } = config;
  const userAgent = `${EXPORTER.name}/${EXPORTER.version} (${name})`;
  const agents = createAgents({ caFile: source.caFile, env, maxSockets: parallel });
  const plain = openSource(source, { agents, userAgent, budget, observe, lagMs: windows.lagMs });
  return { ...plain, vocabulary: withSeverities(plain.vocabulary, severities) };
}
