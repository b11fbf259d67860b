import type { z } from "zod";
import { configSchema } from "./schema.ts";
import { lookupIn, type Lookup } from "./environment.ts";
import { readConfigFile } from "./file.ts";
import { mistakesOf, postpone, retype } from "./mistakes.ts";
import type { Frozen } from "./values/values.ts";
import { completed } from "../sinks/index.ts";
import { configError } from "./mistake.ts";

/** All settings of a worker: checked once, then frozen. Relative paths are relative to the working directory. */
export type Config = Frozen<z.output<typeof configSchema>>;
/** One source account, one sink, one schedule, one ledger. */
export type StreamConfig = Config["streams"][number];
export type SourceConfig = StreamConfig["source"];
export type ServerConfig = Exclude<Config["server"], false>;
export type NotifyConfig = Config["notify"];

/**
 * When a missing secret, key or certificate (its variable is not set, its file cannot be read) is a ConfigError: when the
 * configuration is loaded, or when it is used.
 */
export type SecretsAre = "required" | "read when used";

/**
 * Reads and checks the configuration at `path`. `${NAME}` is taken from `env`, else from `.env` in the working directory.
 *
 * @throws ConfigError with all mistakes, each with its place and what is accepted; never with a secret
 */
export async function loadConfig(
  path: string,
  env: NodeJS.ProcessEnv,
  secrets: SecretsAre = "required",
): Promise<Config> {
  const lookup = await lookupIn(env);
  const file = await readConfigFile(path, lookup);

  let result = configSchema.safeParse(file.value);
  // A variable's value is text. Where the schema expects a number or a boolean, it is read again as YAML would read it.
  if (!result.success && retype(file, result.error.issues)) result = configSchema.safeParse(file.value);
  let postponed: ReadonlySet<string> = new Set();
  if (!result.success && secrets === "read when used") {
    postponed = postpone(file, result.error.issues);
    result = configSchema.safeParse(file.value);
  }
  const mistakes = [
    ...file.mistakes.filter((mistake) => !postponed.has(mistake.path)),
    ...mistakesOf(file, result.error?.issues ?? []),
  ];
  if (!result.success || mistakes.length > 0) throw configError(path, mistakes);
  return frozen(withEnvironment(result.data, lookup));
}

/** Completes the settings of sinks and ledgers from the environment and `.env`. */
function withEnvironment(config: Config, lookup: Lookup): Config {
  const streams = config.streams.map(({ ledger, ...stream }) => ({
    ...stream,
    sink: completed(stream.sink, lookup),
    ...(ledger !== undefined && { ledger: completed(ledger, lookup) }),
  }));
  return { ...config, streams };
}

function frozen<Value>(value: Value): Value {
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}
