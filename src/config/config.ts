import { configSchema } from "./schema.ts";
import { lookupIn } from "./environment.ts";
import { readConfigFile } from "./file.ts";
import { mistakesOf, postponeSecrets, retype } from "./mistakes.ts";
import type { Secret } from "./values/secret.ts";
import type { EpochMs } from "../time.ts";
import { configError } from "./mistake.ts";

export type { Secret } from "./values/secret.ts";

/** All settings of a worker: checked once, then frozen. Paths are as written: relative ones to the working directory. */
export interface Config {
  readonly streams: readonly StreamConfig[];
  /** Ledgers of streams whose sink cannot hold one. */
  readonly stateDirectory: string;
  readonly server: false | ServerConfig;
  readonly notify: NotifyConfig;
  /** How long a worker that is asked to stop may take to finish the windows at hand. */
  readonly shutdownGraceMs: number;
  readonly log: { readonly level: LogLevel };
}

export type LogLevel = "silent" | "error" | "warn" | "info" | "debug" | "trace";

export interface ServerConfig {
  readonly host: string;
  readonly port: number;
  /** Asked for by all but health. */
  readonly token?: Secret | undefined;
}

/** Who is told when a stream is not well. */
export interface NotifyConfig {
  readonly webhook?: { readonly url: Secret; readonly caFile?: string | undefined } | undefined;
  readonly pachca?: PachcaNotifyConfig | undefined;
  readonly heartbeat?:
    { readonly url: Secret; readonly everyMs: number; readonly caFile?: string | undefined } | undefined;
}

export interface PachcaNotifyConfig {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  /** Of a bot. */
  readonly token: Secret;
  readonly entityType: "discussion" | "thread" | "user";
  readonly entityId: number;
  readonly caFile?: string | undefined;
}

/** One source account, one sink, one schedule, one ledger. */
export interface StreamConfig {
  readonly name: string;
  /** Five cron fields, UTC. */
  readonly schedule: string;
  readonly source: SourceConfig;
  readonly windows: WindowsConfig;
  /** Requests at once while catching up. */
  readonly parallel: number;
  readonly batch: { readonly maxEvents: number; readonly maxBytes: number; readonly maxEventBytes: number };
  readonly format: "raw" | "cef" | "leef";
  /** Severities of some event keys, 0 to 10, in place of the source's own. */
  readonly severities?: Readonly<Record<string, number>> | undefined;
  readonly sink: SinkConfig;
  /** Undefined: reckoned from windows and schedule. */
  readonly lagLimitMs?: number | undefined;
  readonly reconcile?: { readonly schedule: string; readonly spanMs: number } | undefined;
  readonly ledger?: LedgerConfig | undefined;
}

export interface WindowsConfig {
  readonly start: EpochMs;
  readonly sizeMs: number;
  readonly catchUpSizeMs: number;
  readonly lagMs: number;
  readonly lookbackMs: number;
}

export type SourceConfig = PachcaConfig | CommunicationsMiningConfig;

export interface PachcaConfig {
  readonly type: "pachca";
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly account: string;
  readonly token: Secret;
  readonly requestsPerSecond: number;
  readonly filter: {
    readonly eventKeys?: readonly string[] | undefined;
    readonly actorId?: string | undefined;
    readonly actorType?: string | undefined;
    readonly entityId?: string | undefined;
    readonly entityType?: string | undefined;
  };
  readonly ownReads: "keep" | "drop";
  readonly pageLimit: number;
  readonly caFile?: string | undefined;
}

export interface CommunicationsMiningConfig {
  readonly type: "communications-mining";
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly account: string;
  readonly token: Secret;
  readonly requestsPerSecond: number;
  readonly pageLimit: number;
  readonly caFile?: string | undefined;
}

export type SinkConfig = S3Config | FileConfig | SyslogConfig | { readonly type: "stdout" };
export type LedgerConfig = (S3Config | FileConfig | { readonly type: "beside" }) & {
  /** A PEM file with an Ed25519 private key. */
  readonly signingKeyFile?: string | undefined;
};

export interface FileConfig {
  readonly type: "file";
  readonly directory: string;
}

export interface SyslogConfig {
  readonly type: "syslog";
  readonly transport: "tcp" | "tls" | "udp" | "relp" | "relp+tls";
  readonly host: string;
  readonly port: number;
  readonly framing: "octet-counting" | "newline";
  /** 0 to 23. */
  readonly facility: number;
  /** Undefined: the stream's name. */
  readonly hostname?: string | undefined;
  readonly appName: string;
  readonly enterpriseId: number;
  readonly maxMessageBytes: number;
  readonly oversize: "truncate" | "quarantine";
  /** Undefined where the transport has none. */
  readonly tls:
    | {
        readonly caFile?: string | undefined;
        readonly certFile?: string | undefined;
        readonly keyFile?: string | undefined;
        readonly serverName?: string | undefined;
        readonly checkServerName: boolean;
      }
    | undefined;
}

export interface S3Config {
  readonly type: "s3";
  readonly bucket: string;
  /** Without slashes at its ends; "" for none. */
  readonly prefix: string;
  /** Undefined: as the AWS SDK finds it (profile). */
  readonly region?: string | undefined;
  /** Without a slash at its end. */
  readonly endpoint?: string | undefined;
  readonly forcePathStyle: boolean;
  /** Both or none; without them the AWS SDK's default chain. */
  readonly accessKeyId?: Secret | undefined;
  readonly secretAccessKey?: Secret | undefined;
  readonly sessionToken?: Secret | undefined;
  readonly serverSideEncryption?: "AES256" | "aws:kms" | undefined;
  readonly kmsKeyId?: string | undefined;
  readonly objectLock?: { readonly mode: "COMPLIANCE" | "GOVERNANCE"; readonly retainMs: number } | undefined;
  readonly caFile?: string | undefined;
}

/**
 * Whether a secret that is not there (its variable is not set, its file is missing) is a mistake of the configuration, or of
 * the command that uses it: then the secret throws the same ConfigError.
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
  // A variable's value is text; where a number or a yes-or-no is wanted, it is read again as YAML would read it.
  if (!result.success && retype(file, result.error.issues)) result = configSchema.safeParse(file.value);
  let postponed: ReadonlySet<string> = new Set();
  if (!result.success && secrets === "read when used") {
    postponed = postponeSecrets(file, result.error.issues);
    result = configSchema.safeParse(file.value);
  }
  const mistakes = [
    ...file.mistakes.filter((mistake) => !postponed.has(mistake.path)),
    ...mistakesOf(file, result.error?.issues ?? []),
  ];
  if (!result.success || mistakes.length > 0) throw configError(path, mistakes);
  return frozen(withRegions(result.data, lookup("AWS_REGION") ?? lookup("AWS_DEFAULT_REGION")));
}

/** The region that AWS's own tools would take, for those that name none: the SDK does not see `.env`. */
function withRegions(config: Config, region: string | undefined): Config {
  const complete = <Place extends SinkConfig | LedgerConfig>(place: Place): Place =>
    place.type === "s3" ? { ...place, region: place.region ?? region } : place;
  const streams = config.streams.map((stream) => ({
    ...stream,
    sink: complete(stream.sink),
    ...(stream.ledger === undefined ? {} : { ledger: complete(stream.ledger) }),
  }));
  return { ...config, streams };
}

function frozen<Value>(value: Value): Value {
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(frozen);
  return value;
}
