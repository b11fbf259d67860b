import type { z } from "zod";
import type { Frozen } from "../config/values/values.ts";
import type { Source } from "../source.ts";
import { communicationsMining } from "./communications-mining/communications-mining.ts";
import type { Surroundings } from "./define.ts";
import { pachca } from "./pachca/pachca.ts";

/** All source types. The configuration, its schema and manual, the tables and the tests use this list. */
export const SOURCES = [pachca, communicationsMining] as const;

export type SourceConfig = Frozen<z.output<(typeof SOURCES)[number]["schema"]>>;

/** Opens the source that a configuration names. */
export function openSource(settings: SourceConfig, surroundings: Surroundings): Source {
  return definitionOf(settings.type).open(settings as never, surroundings);
}

/** The same source, restricted to some event keys; undefined if its API has no such filter. */
export function withEventKeys(settings: SourceConfig, eventKeys: readonly string[]): SourceConfig | undefined {
  const changed = definitionOf(settings.type).onlyKeys?.(settings as never, [...eventKeys]) as object | undefined;
  return changed && { ...settings, ...changed };
}

/** The default of `windows.lookback` for this source. */
export function lookbackMsOf({ type }: { readonly type: SourceConfig["type"] }): number {
  return definitionOf(type).lookbackMs;
}

function definitionOf(type: SourceConfig["type"]): (typeof SOURCES)[number] {
  const definition = SOURCES.find((one) => one.type === type);
  if (definition === undefined) throw new Error(`no source of type ${type}`);
  return definition;
}
