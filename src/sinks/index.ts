import { z } from "zod";
import { group, oneOf } from "../config/values/values.ts";
import type { Sink } from "../sink.ts";
import type { Store } from "../store.ts";
import type { AnyObjectSink, Environment, Lookup, Loose, Place, SinkContext, SinkDefinition } from "./define.ts";
import { file } from "./file.ts";
import { objects } from "./objects.ts";
import { s3 } from "./s3.ts";
import { signing } from "./signing.ts";
import { stdout } from "./stdout.ts";
import { syslog } from "./syslog/syslog.ts";

/** The list of sinks. A new sink is one file, and one line here. */
export const SINKS = [s3, file, syslog, stdout] as const satisfies readonly SinkDefinition[];

type Listed = (typeof SINKS)[number];
type ObjectSink = Extract<Listed, { ledger: unknown }>;

/** The default place of a ledger. */
const beside = group({
  type: z.literal("beside").describe("With the data, or in stateDirectory if the sink keeps no objects."),
  ...signing,
});

const keepsObjects = (sink: Listed): sink is ObjectSink => "open" in sink;

export const sinkSettings = oneOf(
  "the sink",
  SINKS.map(({ settings }): Listed["settings"] => settings),
);
export const ledgerSettings = oneOf("the ledger's place", [
  beside,
  ...SINKS.filter(keepsObjects).map(({ ledger }): ObjectSink["ledger"] => ledger),
]);

export type SinkConfig = z.output<Listed["settings"]>;
export type LedgerConfig = z.output<typeof beside | ObjectSink["ledger"]>;
/** Settings of a sink that keeps objects. */
export type PlaceConfig = z.output<ObjectSink["settings"]>;

/** The definition of the sink with this type; undefined for any other value. */
function sinkOf(type: unknown): SinkDefinition | undefined {
  return SINKS.find((sink) => sink.type === type);
}

function objectSinkOf(type: unknown): AnyObjectSink | undefined {
  return SINKS.filter(keepsObjects).find((sink) => sink.type === type);
}

/**
 * The settings of the places that a stream writes to. `data`: its objects, if its sink keeps any. `ledger`: the place that its
 * own setting names; otherwise with the data; otherwise a folder in the state directory.
 */
export function placesOf(
  { sink, ledger }: { readonly sink: SinkConfig; readonly ledger?: LedgerConfig | undefined },
  stateDirectory: string,
): { readonly data: PlaceConfig | undefined; readonly ledger: PlaceConfig } {
  const data = objectSinkOf(sink.type) && (sink as PlaceConfig);
  const elsewhere = ledger === undefined || ledger.type === "beside" ? undefined : ledger;
  return { data, ledger: elsewhere ?? data ?? { type: "file", directory: stateDirectory } };
}

/** A place as text, to compare with others: see `SinkDescription.place`. Undefined if streams never overwrite each other. */
export function placeText(settings: Loose, stream: string): string | undefined {
  return sinkOf(settings["type"])?.place?.(settings, stream);
}

export function openPlace(settings: PlaceConfig, stream: string, env: Environment): Place {
  const sink = objectSinkOf(settings.type);
  if (sink === undefined) throw new Error(`sink ${settings.type} keeps no objects`);
  return sink.open(settings as never, stream, env);
}

/** The sink of a stream. `data` is the store of its objects, if the sink keeps any. */
export function openSink(settings: SinkConfig, data: Store | undefined, context: SinkContext): Sink {
  if (data !== undefined) return objects(data, context.format);
  const sink = sinkOf(settings.type);
  if (sink === undefined || "open" in sink) throw new Error(`sink ${settings.type} sends no lines`);
  return sink.send(settings as never, context);
}

/** Settings, with those that are missing and that the environment or `.env` has. */
export function completed<Settings extends SinkConfig | LedgerConfig>(settings: Settings, lookup: Lookup): Settings {
  return { ...settings, ...objectSinkOf(settings.type)?.complete?.(settings as never, lookup) };
}
