import type { Removers } from "./archive/gc.ts";
import { idsFromObjects } from "./archive/rebuild-ids.ts";
import type { Config, SecretsAre, SourceConfig, StreamConfig } from "./config/config.ts";
import { ConfigError } from "./errors.ts";
import type { Pipeline } from "./export/pipeline.ts";
import { readAhead } from "./export/read-ahead.ts";
import type { Observe, ObserveStream } from "./fact.ts";
import type { Format } from "./format.ts";
import { formatOf } from "./formats/index.ts";
import { createAgents } from "./http/agents.ts";
import { requestBudget, type RequestBudget } from "./http/budget.ts";
import { DEFAULT_RETRY } from "./http/retry.ts";
import { ledger } from "./ledger/ledger.ts";
import { fingerprintOf } from "./ledger/manifest.ts";
import { readSigner, type Signer } from "./ledger/signature.ts";
import type { Place } from "./sinks/define.ts";
import { openPlace, openSink, placesOf } from "./sinks/index.ts";
import type { Source } from "./source.ts";
import { openSource } from "./sources/index.ts";
import { storeUnder, type Store } from "./store.ts";
import { retryingStore } from "./stores/retrying.ts";
import { formatInstant, type EpochMs } from "./time.ts";
import { EXPORTER } from "./version.ts";
import { withSeverities } from "./vocabulary.ts";

/** A stream with all its parts: the pipeline that runs, and the stores that commands read. */
export interface Stream {
  readonly pipeline: Pipeline;
  readonly config: StreamConfig;
  /** The store of its ledger. */
  readonly ledgerStore: Store;
  /** The store of its objects; undefined for a sink without objects. */
  readonly dataStore: Store | undefined;
  readonly format: Format;
  /** Only for `gc`: no part of the pipeline can delete. */
  readonly removers: Removers;
}

export interface Surroundings {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly observe: Observe;
  readonly now: EpochMs;
  /** `read when used`: for commands that only read the archive. They need neither the signing key nor the source's `caFile`. */
  readonly secrets?: SecretsAre;
}

/**
 * Assembles the streams: the only place that knows every source, format, store and sink. It sends and writes nothing.
 * @throws ConfigError when a stream starts in the future, or its signing key or the source's `caFile` cannot be read
 */
export function assemble(config: Config, surroundings: Surroundings): Stream[] {
  const budgets = budgetsOf(config.streams);
  return config.streams.map((stream) => assembleStream(stream, config.stateDirectory, budgets, surroundings));
}

function assembleStream(
  config: StreamConfig,
  stateDirectory: string,
  budgets: ReadonlyMap<string, RequestBudget>,
  surroundings: Surroundings,
): Stream {
  const { name, windows } = config;
  const { env, now, secrets = "required" } = surroundings;
  if (windows.start > now) {
    throw new ConfigError(`stream ${name}: windows.start is in the future (${formatInstant(windows.start)})`, {
      hint: `there is nothing to export before that time; this machine's clock shows ${formatInstant(now)}`,
    });
  }
  const observe = observeStream(surroundings.observe, name);
  const source = sourceOf(config, budgets.get(accountKey(config.source)), { env, observe, secrets });
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
      signer: signerOf(config.ledger?.signingKeyFile, secrets),
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

/** One request budget for each account, shared by all its streams. If their limits differ, the smallest one applies. */
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

function observeStream(observe: Observe, stream: string): ObserveStream {
  return (fact) => observe({ ...fact, stream });
}

interface SourceSurroundings {
  readonly env: Surroundings["env"];
  readonly observe: ObserveStream;
  readonly secrets: SecretsAre;
}

function sourceOf(
  config: StreamConfig,
  budget = requestBudget(config.source.requestsPerSecond),
  { env, observe, secrets }: SourceSurroundings,
): Source {
  const { name, source, parallel, severities, windows } = config;
  const userAgent = `${EXPORTER.name}/${EXPORTER.version} (${name})`;
  const caFile = secrets === "required" ? source.caFile : undefined;
  const agents = createAgents({ caFile, env, maxSockets: parallel });
  const plain = openSource(source, { agents, userAgent, budget, observe, lagMs: windows.lagMs });
  return { ...plain, vocabulary: withSeverities(plain.vocabulary, severities) };
}

/** A worker with a wrong key must fail at its start, not at the first commit. */
function signerOf(path: string | undefined, secrets: SecretsAre): Signer | undefined {
  if (path === undefined) return undefined;
  if (secrets === "required") return readSigner(path);
  return {
    get keyId() {
      return readSigner(path).keyId;
    },
    sign: (line) => readSigner(path).sign(line),
  };
}

/** Quarantine files are stored with the data. */
function removersOf(data: Place | undefined, home: Place): Removers {
  const { remove } = data ?? home;
  return { data: remove, quarantine: remove, ids: (key, signal) => home.remove(`ledger/${key}`, signal) };
}

/** Only the source and the format of a stream, with a request budget of their own: to read without a ledger. */
export function sourceFor(
  config: StreamConfig,
  { env, observe }: Pick<Surroundings, "env" | "observe">,
): { readonly source: Source; readonly format: Format } {
  const source = sourceOf(config, undefined, {
    env,
    observe: observeStream(observe, config.name),
    secrets: "required",
  });
  return { source, format: formatOf(config.format, source) };
}
