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

/** Where in a tick an error was met. Added on the way out, by `atStage`. */
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

/** Our configuration is wrong: the worker does not start. */
export class ConfigError extends ExporterError {
  constructor(message: string, options?: ErrorOptions) {
    super("config", message, options);
  }
}

/** May pass on its own: retried with backoff in one place, then the tick ends and the next one tries again. */
export class TransientError extends ExporterError {
  /** The least wait that the other side asked for, in milliseconds; 0 when it did not say. */
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

/** The other side said no, and would again: not retried before the next tick. */
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

/** It answered, but not what its contract says: the checkpoint must not move. */
export class ProtocolError extends ExporterError {
  constructor(message: string, options?: ErrorOptions) {
    super("protocol", message, options);
  }
}

/** Our own place is unknown, the ledger is damaged: that stream stops, loudly. */
export class LedgerError extends ExporterError {
  constructor(message: string, options?: ErrorOptions) {
    super("ledger", message, options);
  }
}

/** Wrong use of the command line. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The code for logs and metrics; anything that is not ours is a bug. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof ExporterError ? error.code : "bug";
}

/** Exit codes after sysexits.h: one for each class of outcome. */
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

/** A check of the archive found something: `verify`, `reconcile`. */
export const EXIT_FOUND = 65;

/** With several streams: the first of these that occurred is the exit code of the whole. */
const EXIT_CODE_ORDER = [70, 74, 76, 77, 69, 75];

/** The exit code of a run with several streams, each of which ended with one of `codes` (0: done). */
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
