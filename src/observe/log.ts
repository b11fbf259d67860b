import { pino, type DestinationStream, type Logger } from "pino";
import { ExporterError } from "../errors.ts";
import { entryOf, formatHead, type Fact, type Level, type Observe } from "../fact.ts";
import { formatInstant, formatSpan, type Span } from "../time.ts";

/**
 * Writes JSON lines to stderr, synchronously: a crash does not lose the last line.
 * @param level `silent`, or pino's `trace` to `fatal`
 */
export function logger(
  level: string,
  destination: DestinationStream = pino.destination({ fd: 2, sync: true }),
): Logger {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
}

/** An error that repeats is logged as an error once, then again after this time; in between at `debug`. */
const ERROR_AGAIN_AFTER_MS = 60 * 60_000;

/** A run that catches up may take hours: one of its windows is logged at `info` this often. */
const CATCH_UP_LINE_EVERY_MS = 60_000;

/** Folds facts into log lines. */
export function factLog(log: Logger, now: () => number = () => performance.now()): Observe {
  const failedRuns = new Map<string, number>();
  const lastShownAt = new Map<string, number>();
  const isRepeated = repetitions(now);
  return (fact) => {
    const stream = "stream" in fact ? fact.stream : "";
    if (fact.kind === "tick.failed") failedRuns.set(stream, (failedRuns.get(stream) ?? 0) + 1);
    const { level: usual, levelIf, text } = entryOf(fact);
    let level = levelIf?.(fact, failedRuns.get(stream) ?? 0) ?? usual;
    if (fact.kind === "tick.done") failedRuns.delete(stream);
    if (isRepeated(fact, level)) level = "debug";
    if (fact.kind === "window.committed" && now() - (lastShownAt.get(stream) ?? now()) >= CATCH_UP_LINE_EVERY_MS) {
      level = "info";
    }
    const isShown = level === "info" || level === "warn" || level === "error";
    if (isShown || !lastShownAt.has(stream)) lastShownAt.set(stream, now());
    log[level](membersOf(fact), text);
  };
}

/** Whether a failure was already logged at this level a short time ago, with no success since. */
function repetitions(now: () => number): (fact: Fact, level: Level) => boolean {
  const logged = new Map<string, { readonly failure: string; readonly at: number }>();
  return (fact, level) => {
    if (fact.kind === "tick.done") logged.delete(`stream ${fact.stream}`);
    if (fact.kind === "notification.sent") logged.delete(`notifier ${fact.notifier}`);
    const isFailedRun = fact.kind === "tick.failed" && level === "error";
    if (!isFailedRun && fact.kind !== "notification.failed") return false;
    // A stream may have the name of a notifier.
    const origin = "stream" in fact ? `stream ${fact.stream}` : `notifier ${fact.notifier}`;
    const failure = `${fact.error.code} ${fact.error.stage ?? ""}`;
    const last = logged.get(origin);
    if (last?.failure === failure && now() - last.at < ERROR_AGAIN_AFTER_MS) return true;
    logged.set(origin, { failure, at: now() });
    return false;
  };
}

/** The members of a fact as a log line shows them: readable instants, errors by allow-list. */
function membersOf(fact: Fact): Record<string, unknown> {
  const members: Record<string, unknown> = { fact: fact.kind };
  for (const [name, value] of Object.entries<unknown>(fact)) {
    if (name === "kind") continue;
    if (name === "error") members[name] = errorMembers(value);
    else if (isSpan(value)) members[name] = formatSpan(value);
    else members[name] = value;
  }
  if ("exportedUntil" in fact) {
    members["exportedUntil"] = fact.exportedUntil === undefined ? null : formatInstant(fact.exportedUntil);
  }
  if (fact.kind === "tick.done") members["head"] = formatHead(fact.head);
  if (fact.kind === "past.read") {
    delete members["committed"];
    members["windows"] = fact.committed.length;
  }
  return members;
}

function isSpan(value: unknown): value is Span {
  return typeof value === "object" && value !== null && "from" in value && "to" in value;
}

/**
 * An error for the log, by allow-list: HTTP clients attach requests, headers and full URLs to theirs, which contain tokens. Of
 * a cause only its name and code are shown. Of a bug the stack is shown too, with secrets removed from URLs.
 */
export function errorMembers(error: unknown): Record<string, unknown> {
  if (error instanceof ExporterError) {
    const { name, code, stage, message, hint } = error;
    return { name, code, stage, message, hint, ...causeMembers(error.cause) };
  }
  if (!(error instanceof Error)) return { name: typeof error, message: "not an error" };
  return {
    name: error.name,
    code: "bug",
    message: withoutSecrets(error.message),
    stack: withoutSecrets(error.stack ?? ""),
  };
}

function causeMembers(cause: unknown): Record<string, unknown> {
  if (!(cause instanceof Error)) return {};
  return {
    cause: { name: cause.name, ...("code" in cause && typeof cause.code === "string" && { code: cause.code }) },
  };
}

/** Removes user, password and query from every URL in a text, and credentials after `Bearer` and `Basic`. */
export function withoutSecrets(text: string): string {
  return text
    .replaceAll(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi, "$1")
    .replaceAll(/([a-z][a-z0-9+.-]*:\/\/[^\s?#"']*)[?#][^\s"')]*/gi, "$1")
    .replaceAll(/\b(Bearer|Basic)\s+[^\s"',]+/gi, "$1 …");
}
