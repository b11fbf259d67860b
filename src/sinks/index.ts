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

/** The list of sinks: a new one is a file and a line here. */
export const SINKS = [s3, file, syslog, stdout] as const satisfies readonly SinkDefinition[];

type Listed = (typeof SINKS)[number];
type ObjectSink = Extract<Listed, { ledger: unknown }>;

/** The ledger is where it is anyway. */
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
 * Where a stream writes, as the settings of these places. `data`: its objects, if its sink keeps any. `ledger`: where its own
 * setting says, else with the data, else in a folder of the state directory.
 */
export function placesOf(
  { sink, ledger }: { readonly sink: SinkConfig; readonly ledger?: LedgerConfig | undefined },
  stateDirectory: string,
): { readonly data: PlaceConfig | undefined; readonly ledger: PlaceConfig } {
  const data = objectSinkOf(sink.type) && (sink as PlaceConfig);
  const elsewhere = ledger === undefined || ledger.type === "beside" ? undefined : ledger;
  return { data, ledger: elsewhere ?? data ?? { type: "file", directory: stateDirectory } };
}

/** A place as text, to compare with others: see `SinkDescription.place`. Undefined if nothing can collide there. */
export function placeText(settings: Loose, stream: string): string | undefined {
  return sinkOf(settings["type"])?.place?.(settings, stream);
}

export function openPlace(settings: PlaceConfig, stream: string, env: Environment): Place {
  const sink = objectSinkOf(settings.type);
  if (sink === undefined) throw new Error(`sink ${settings.type} keeps no objects`);
  return sink.open(settings as never, stream, env);
}

/** The sink of a stream. `data` is where its objects are, for a sink that keeps any. */
export function openSink(settings: SinkConfig, data: Store | undefined, context: SinkContext): Sink {
  if (data !== undefined) return objects(data, context.format);
  const sink = sinkOf(settings.type);
  if (sink === undefined || "open" in sink) throw new Error(`sink ${settings.type} sends no lines`);
  return sink.send(settings as never, context);
}

/** Settings with what the environment or `.env` adds to them. */
export function completed<Settings extends SinkConfig | LedgerConfig>(settings: Settings, lookup: Lookup): Settings {
  return { ...settings, ...objectSinkOf(settings.type)?.complete?.(settings as never, lookup) };
}
