import { Option, type Command } from "commander";
import { UsageError } from "../errors.ts";
import { parseInstant, type Span } from "../time.ts";

/** One flag of a command. Its long name comes from its key: `publicKey` is `--public-key`. */
export interface Flag<Value> {
  readonly about: string;
  readonly short?: string;
  /** What follows it: `<file>`, `<file...>` for one or more, `[file]` for one or none. Without it the flag is a switch. */
  readonly takes?: string;
  readonly isRequired?: boolean;
  readonly fallback?: Value;
  /** The environment variable that gives the value when the flag is not used. */
  readonly env?: string;
  /** What the text means. `before` is the value so far, for a flag that may be repeated. @throws InvalidArgumentError */
  readonly parse?: (text: string, before: never) => Value;
  /** True for a place in the command line instead of a flag: `siem-export verify ./archive`. */
  readonly isArgument?: boolean;
}

type Flags = Readonly<Record<string, Flag<unknown>>>;

/** What a command gets: each flag's value by the flag's key. */
export type OptionsOf<Of extends Flags> = {
  readonly [Key in keyof Of]: Of[Key] extends Flag<infer Value> ? Value : never;
};

/** A command: all that the command line says about it, and what it does. */
export interface CommandDefinition<Of extends Flags = Flags> {
  readonly name: string;
  /** One line for the list of commands. */
  readonly about: string;
  readonly flags: Of;
  /** More text below the flags: details, exit codes, examples. */
  readonly help?: string;
  /**
   * Resolves with the exit code. Imports what is slow to load (configuration, log, stores) only when it is called, so that
   * `--help` is fast.
   */
  run(options: OptionsOf<Of>, signal: AbortSignal): Promise<number>;
}

/** A command with its options, ready to start. */
export type Run = (signal: AbortSignal) => Promise<number>;

export const command = <Of extends Flags>(definition: CommandDefinition<Of>): CommandDefinition<Of> => definition;

type More<Value> = Pick<Flag<Value>, "short" | "env">;

export function text(takes: string, about: string, more?: More<string>): Flag<string | undefined> {
  return { takes: `<${takes}>`, about, ...more };
}

/** A flag whose value is one text at least: `-s one two -s three`. */
export function texts(takes: string, about: string, more?: More<string>): Flag<readonly string[] | undefined> {
  return { takes: `<${takes}...>`, about, ...more };
}

export const toggle = (about: string): Flag<boolean> => ({ about, fallback: false });

export const required = <Value>(flag: Flag<Value | undefined>): Flag<Value> => ({
  ...(flag as Flag<Value>),
  isRequired: true,
});

export const withDefault = <Value>(flag: Flag<Value | undefined>, fallback: Value): Flag<Value> => ({
  ...(flag as Flag<Value>),
  fallback,
});

export const argument = (about: string): Flag<string | undefined> => ({ about, isArgument: true });

export const DEFAULT_CONFIG = "config/exporter.yaml";

/** The flags that several commands have. */
export const CONFIG = withDefault(
  text("file", "the configuration", { short: "c", env: "SIEM_EXPORT_CONFIG" }),
  DEFAULT_CONFIG,
);
export const STREAMS = texts("name", "only these streams", { short: "s" });
export const FROM_SEQ = text("seq", "start at this sequence; earlier manifests have expired");
export const FROM = required(text("time", "inclusive, such as 2026-11-01T00:00:00Z"));
export const TO = required(text("time", "exclusive"));

/** Adds a command to the command line. `choose` gets what the command line asks for. */
export function addCommand(parent: Command, definition: CommandDefinition, choose: (run: Run) => void): void {
  const { name, about, flags, help } = definition;
  const added = parent.command(name).description(about);
  const named = Object.entries(flags);
  const places = named.filter(([, flag]) => flag.isArgument === true).map(([key]) => key);
  const switches = named.filter(([, flag]) => flag.fallback === false).map(([key]) => [key, false] as const);
  for (const [key, flag] of named) {
    if (flag.isArgument === true) added.argument(`[${key}]`, flag.about);
    else added.addOption(optionOf(key, flag));
  }
  if (help !== undefined) added.addHelpText("after", `\n${help.trim()}\n`);
  added.action((...given: unknown[]) => {
    const placed = places.map((key, index) => [key, given[index]] as const);
    const options = {
      ...Object.fromEntries<unknown>([...switches, ...placed]),
      ...added.opts<Record<string, unknown>>(),
    };
    choose((signal) => definition.run(options, signal));
  });
}

function optionOf(key: string, flag: Flag<unknown>): Option {
  const { about, short, takes = "", isRequired = false, fallback, env, parse } = flag;
  // A switch that is on by default is there to be turned off.
  const long = `--${takes === "" && fallback === true ? "no-" : ""}${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const option = new Option(`${short === undefined ? "" : `-${short}, `}${long} ${takes}`.trim(), about);
  if (isRequired) option.makeOptionMandatory();
  // Commander shows every default that it knows; the help need not say that a switch is off.
  if (fallback !== undefined && takes !== "") option.default(fallback);
  if (env !== undefined) option.env(env);
  if (parse !== undefined) option.argParser(parse as (text: string, before: unknown) => unknown);
  return option;
}

/** The span of `--from` and `--to`. @throws UsageError */
export function spanOf({ from, to }: { readonly from: string; readonly to: string }): Span {
  const instants = { from: parseInstant(from), to: parseInstant(to) };
  if (instants.from === undefined)
    throw new UsageError(`--from ${from}: not a time in UTC, such as 2026-11-01T00:00:00Z`);
  if (instants.to === undefined) throw new UsageError(`--to ${to}: not a time in UTC, such as 2026-11-02T00:00:00Z`);
  if (instants.to <= instants.from) throw new UsageError("--to must be later than --from");
  return { from: instants.from, to: instants.to };
}

/** The first sequence to look at, of `--from-seq`. @throws UsageError */
export function sequenceOf(flag: string, given: string | undefined): number {
  if (given === undefined) return 1;
  if (!/^[1-9]\d{0,11}$/.test(given)) throw new UsageError(`${flag} ${given}: not a sequence, such as 42`);
  return Number(given);
}
