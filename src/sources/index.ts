import type { z } from "zod";
import type { Frozen } from "../config/values/values.ts";
import type { Source } from "../source.ts";
import { communicationsMining } from "./communications-mining/communications-mining.ts";
import type { Surroundings } from "./define.ts";
import { pachca } from "./pachca/pachca.ts";

/** Every kind of source. The configuration, its schema and manual, the tables and the tests are made from this list. */
export const SOURCES = [pachca, communicationsMining] as const;

export type SourceConfig = Frozen<z.output<(typeof SOURCES)[number]["schema"]>>;

/** Opens the source that a configuration names. */
export function openSource(settings: SourceConfig, surroundings: Surroundings): Source {
  return definitionOf(settings.type).open(settings as never, surroundings);
}

/** The same source, asked for some keys of events only; undefined where its API cannot be asked so. */
export function withEventKeys(settings: SourceConfig, eventKeys: readonly string[]): SourceConfig | undefined {
  const changed = definitionOf(settings.type).onlyKeys?.(settings as never, [...eventKeys]) as object | undefined;
  return changed && { ...settings, ...changed };
}

/** How far a run looks back for late events where the configuration does not say. */
export function lookbackMsOf({ type }: { readonly type: SourceConfig["type"] }): number {
  return definitionOf(type).lookbackMs;
}

function definitionOf(type: SourceConfig["type"]): (typeof SOURCES)[number] {
  const definition = SOURCES.find((one) => one.type === type);
  if (definition === undefined) throw new Error(`no source of type ${type}`);
  return definition;
}
