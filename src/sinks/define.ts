import { z } from "zod";
import { group } from "../config/values/values.ts";
import { rules, type Rule } from "../config/values/rules.ts";
import type { ObserveStream } from "../fact.ts";
import type { Format } from "../format.ts";
import type { Sink } from "../sink.ts";
import type { Remover, Store } from "../store.ts";
import type { Vocabulary } from "../vocabulary.ts";
import { signing, type Signing } from "./signing.ts";

/** Settings as written: any of them may be missing or wrong. */
export type Loose = Readonly<Record<string, unknown>>;
/** The value of an environment variable; undefined if it is not set. */
export type Lookup = (name: string) => string | undefined;
export type Environment = Readonly<Record<string, string | undefined>>;

/** Where the files of one stream are. */
export interface Place {
  readonly store: Store;
  /** Only for `gc`. */
  readonly remove: Remover;
}

/** What a sink that sends lines gets from its stream. */
export interface SinkContext {
  /** The stream's name. */
  readonly stream: string;
  readonly format: Format;
  readonly vocabulary: Vocabulary;
  readonly observe: ObserveStream;
}

/** The schema of settings with a `type`. */
export type Variant<Settings> = z.ZodType<Settings> & z.core.$ZodTypeDiscriminable;

/** What both kinds of sinks have. */
export interface SinkDescription<Type extends string> {
  readonly type: Type;
  /** What it is, for the manual. */
  readonly about: string;
  /** What it guarantees, for the table of the README. */
  readonly guarantee: string;
  /**
   * Where a stream writes, as text that ends with a slash. Two streams would overwrite each other if their texts are equal, or if
   * one starts with the other. Without this function, streams never overwrite each other.
   */
  place?(settings: Loose, stream: string): string;
}

/** A sink that keeps objects in a store. It can also hold a ledger: its own stream's or another's. */
export interface ObjectSink<Type extends string, Settings, Output = Settings> extends SinkDescription<Type> {
  place(settings: Loose, stream: string): string;
  open(settings: Settings, stream: string, env: Environment): Place;
  /** The settings that are missing and that the environment or `.env` has. */
  complete?(settings: Settings, lookup: Lookup): Partial<Output>;
  readonly settings: Variant<Output & { readonly type: Type }>;
  /** The settings of a ledger that is kept in such a store. */
  readonly ledger: Variant<Output & Signing & { readonly type: Type }>;
}

/** A sink that sends lines elsewhere and keeps nothing. */
export interface Transport<Type extends string, Settings, Output = Settings> extends SinkDescription<Type> {
  send(settings: Settings, context: SinkContext): Sink;
  readonly settings: Variant<Output & { readonly type: Type }>;
}

export type AnyObjectSink = ObjectSink<string, never, unknown>;
/** Any sink of the list. */
export type SinkDefinition = AnyObjectSink | Transport<string, never, unknown>;

/** The settings of a sink: keys with descriptions, rules between keys, and how valid keys become its settings. */
interface Keys<Shape extends z.ZodRawShape, Settings> {
  readonly keys: Shape;
  readonly rules?: (keys: Loose) => readonly Rule[];
  readonly read?: (keys: z.output<z.ZodObject<Shape>>) => Settings;
}

type Read<Shape extends z.ZodRawShape> = [keyof Shape] extends [never] ? unknown : z.output<z.ZodObject<Shape>>;
type Derived = "settings" | "ledger";

/** A sink, described once. Its schema and its types are made from its keys, rules and `read`. */
export function defineSink<const Type extends string, Shape extends z.ZodRawShape, Settings = Read<Shape>>(
  definition: Keys<Shape, Settings> & Omit<ObjectSink<Type, Settings>, Derived>,
): ObjectSink<Type, Settings>;
export function defineSink<const Type extends string, Shape extends z.ZodRawShape, Settings = Read<Shape>>(
  definition: Keys<Shape, Settings> & Omit<Transport<Type, Settings>, Derived>,
): Transport<Type, Settings>;
export function defineSink({
  keys,
  rules: find,
  read = (settings) => settings,
  ...definition
}: Keys<z.ZodRawShape, object> & SinkDescription<string>): object {
  const schema = (more: z.ZodRawShape) => {
    const all = group({ type: z.literal(definition.type).describe(definition.about), ...keys, ...more });
    return (find === undefined ? all : all.check(rules(find))).transform((found: Record<string, unknown>) => {
      const { type, signingKeyFile, ...own } = found;
      return { type, ...read(own), ...(signingKeyFile !== undefined && { signingKeyFile }) };
    });
  };
  return { ...definition, settings: schema({}), ...("open" in definition && { ledger: schema(signing) }) };
}
