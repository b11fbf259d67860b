/** What happened: a small closed set, safe as a metric label. */
export type ErrorCode =
  | "config"
  | "timeout"
  | "network"
  | "rate_limited"
  | "unavailable"
  | "unauthorized"
  | "forbidden"
  | "not_found"
  | "bad_request"
  | "protocol"
  | "ledger"
  | "bug";

/** The part of a run in which an error occurred, added by `atStage`. */
export type Stage = "plan" | "fetch" | "write" | "commit";

export interface ErrorOptions {
  /** What a person can do about it: one sentence, no full stop needed. */
  readonly hint?: string | undefined;
  readonly cause?: unknown;
}

/** The class says what happens next, `code` what happened, `hint` what a person can do. */
export abstract class ExporterError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  stage: Stage | undefined;

  constructor(code: ErrorCode, message: string, { hint, cause }: ErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.code = code;
    this.hint = hint;
  }
}

/** The configuration is wrong: the worker does not start. */
export class ConfigError extends ExporterError {
  constructor(message: string, options?: ErrorOptions) {
    super("config", message, options);
  }
}

/** An outage: retried with backoff in one place; then the run ends, and the next run tries again. */
export class TransientError extends ExporterError {
  /** The shortest wait that the other side asked for, in milliseconds; 0 if it did not ask. */
  readonly retryAfterMs: number;

  constructor(
    code: "timeout" | "network" | "rate_limited" | "unavailable",
    message: string,
    options: ErrorOptions & { readonly retryAfterMs?: number | undefined } = {},
  ) {
    super(code, message, options);
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

/** The other side refused, and would refuse again: not retried before the next run. */
export class RefusedError extends ExporterError {
  // eslint-disable-next-line @typescript-eslint/no-useless-constructor -- it narrows the codes
  constructor(
    code: "unauthorized" | "forbidden" | "not_found" | "bad_request",
    message: string,
    options?: ErrorOptions,
  ) {
    super(code, message, options);
  }
}

/** The response breaks the contract of the API: the checkpoint must not move. */
export class ProtocolError extends ExporterError {
  constructor(message: string, options?: ErrorOptions) {
    super("protocol", message, options);
  }
}

/** The ledger is damaged, so the stream's position is unknown: the stream stops until someone fixes it. */
export class LedgerError extends ExporterError {
  constructor(message: string, options?: ErrorOptions) {
    super("ledger", message, options);
  }
}

/** The command line is wrong. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The code for logs and metrics: `bug` for every error that is not an ExporterError. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof ExporterError ? error.code : "bug";
}

/** The exit code of a process that ended with `error`, after sysexits.h. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return 64;
  switch (codeOf(error)) {
    case "config":
      return 78;
    case "timeout":
    case "network":
    case "rate_limited":
    case "unavailable":
      return 75;
    case "unauthorized":
    case "forbidden":
      return 77;
    case "not_found":
    case "bad_request":
      return 69;
    case "protocol":
      return 76;
    case "ledger":
      return 74;
    case "bug":
      return 70;
  }
}

/** Exit code of `verify` and `reconcile` when they found a problem in the archive. */
export const EXIT_FOUND = 65;

/** With several streams, the first of these that occurred is the exit code of the process. */
const EXIT_CODE_ORDER = [70, 74, 76, 77, 69, 75];

/** The exit code for several streams that ended with `codes`, one each (0: success). */
export function worstExitCode(codes: readonly number[]): number {
  return EXIT_CODE_ORDER.find((code) => codes.includes(code)) ?? codes.find((code) => code !== 0) ?? 0;
}

/** Adds the stage to an error on its way out; the innermost call counts. */
export async function atStage<Result>(stage: Stage, work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    throw withStage(error, stage);
  }
}

/** The same for items that are made one by one. What the consumer does between two of them is not at this stage. */
export async function* eachAtStage<Item>(stage: Stage, items: AsyncIterable<Item>): AsyncGenerator<Item> {
  try {
    yield* items;
  } catch (error) {
    throw withStage(error, stage);
  }
}

function withStage(error: unknown, stage: Stage): unknown {
  if (error instanceof ExporterError) error.stage ??= stage;
  return error;
}
