import { pino, type DestinationStream, type Logger } from "pino";
import { ExporterError, LedgerError, TransientError } from "../errors.ts";
import type { Fact, Observe } from "../fact.ts";
import { formatInstant, formatSpan, type Span } from "../time.ts";

/** A failure that may pass is a warning so many ticks in a row; then it is an error, for someone must look. */
const WARNINGS_BEFORE_ERROR = 3;

/**
 * JSON lines on stderr. Synchronous: after a crash the last line is there.
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

/** A failure that stays the same is an error once, then again after this; what stands between is for `debug`. */
const ERROR_AGAIN_AFTER_MS = 60 * 60_000;

/** A tick that catches up may take hours: a window is shown as often as this. */
const CATCH_UP_LINE_EVERY_MS = 60_000;

/** Folds facts into log lines: one line a tick that did something, and what someone must know of. */
export function factLog(log: Logger, now: () => number = () => performance.now()): Observe {
  const failedInARow = new Map<string, number>();
  const shownAt = new Map<string, number>();
  const isRepeated = repetitions(now);
  return (fact) => {
    const failuresBefore = "stream" in fact ? (failedInARow.get(fact.stream) ?? 0) : 0;
    if (fact.kind === "tick.done") failedInARow.delete(fact.stream);
    const failures = fact.kind === "tick.failed" ? failuresBefore + 1 : 0;
    if (fact.kind === "tick.failed") failedInARow.set(fact.stream, failures);
    let level = levelOf(fact, failures);
    if (isRepeated(fact, level)) level = "debug";
    if (fact.kind === "tick.done" && failuresBefore > 0) level = "info";
    if (fact.kind === "window.committed" && now() - (shownAt.get(fact.stream) ?? now()) >= CATCH_UP_LINE_EVERY_MS) {
      level = "info";
    }
    const isShown = level === "info" || level === "warn" || level === "error";
    if ("stream" in fact && (isShown || !shownAt.has(fact.stream))) shownAt.set(fact.stream, now());
    log[level](membersOf(fact), MESSAGES[fact.kind]);
  };
}

/** Whether a failure, at this level, was logged not long ago and nothing went well since. */
function repetitions(now: () => number): (fact: Fact, level: Level) => boolean {
  const logged = new Map<string, { readonly what: string; readonly at: number }>();
  return (fact, level) => {
    if (fact.kind === "tick.done") logged.delete(`stream ${fact.stream}`);
    if (fact.kind === "notification.sent") logged.delete(`notifier ${fact.notifier}`);
    const isTick = fact.kind === "tick.failed" && level === "error";
    if (!isTick && fact.kind !== "notification.failed") return false;
    const who = "stream" in fact ? `stream ${fact.stream}` : `notifier ${fact.notifier}`;
    const what = `${fact.error.code} ${fact.error.stage ?? ""}`;
    const last = logged.get(who);
    if (last?.what === what && now() - last.at < ERROR_AGAIN_AFTER_MS) return true;
    logged.set(who, { what, at: now() });
    return false;
  };
}

type Level = "trace" | "debug" | "info" | "warn" | "error";

const LEVELS: Readonly<Record<Fact["kind"], Level>> = {
  "worker.started": "info",
  "worker.stopping": "info",
  "worker.stopped": "info",
  "notification.sent": "debug",
  "notification.failed": "warn",
  "notification.dropped": "warn",
  "stream.started": "info",
  "stream.stopped": "error",
  "head.found": "debug",
  "checkpoint.rebuilt": "warn",
  "checkpoint.failed": "warn",
  "ids.rebuilt": "warn",
  "settings.changed": "warn",
  "plan.adopted": "info",
  "object.taken": "info",
  "object.left": "warn",
  "item.left": "warn",
  "request.done": "trace",
  retrying: "warn",
  "object.written": "debug",
  "window.started": "debug",
  "window.committed": "debug",
  "past.read": "debug",
  "past.failed": "warn",
  "gap.found": "error",
  "retention.near": "warn",
  "events.truncated": "warn",
  "items.quarantined": "warn",
  reconciled: "info",
  "reconcile.failed": "warn",
  "window.lost": "info",
  "tick.done": "info",
  "tick.failed": "error",
};

const MESSAGES: Readonly<Record<Fact["kind"], string>> = {
  "worker.started": "worker started",
  "worker.stopping": "worker is stopping",
  "worker.stopped": "worker stopped",
  "notification.sent": "notification sent",
  "notification.failed": "a notification could not be sent; the export goes on",
  "notification.dropped": "a notification was dropped: too many are waiting",
  "stream.started": "stream started",
  "stream.stopped": "stream stopped for good: its ledger is damaged; the others go on",
  "head.found": "the ledger's head was found",
  "checkpoint.rebuilt": "checkpoint.json was rebuilt from the manifests; nothing is exported twice",
  "checkpoint.failed": "checkpoint.json could not be written; the manifests stand, and the next window writes it again",
  "ids.rebuilt": "an ids file was rebuilt from the objects of its window",
  "settings.changed": "the stream goes on with another filter, own-reads policy or format than before",
  "plan.adopted": "a window that was begun before is carried out",
  "object.taken": "an object of the broken attempt was taken over",
  "object.left": "an object of the broken attempt could not be taken over, and is left as it is",
  "item.left": "an item that is no event was left out",
  "request.done": "request done",
  retrying: "will try again",
  "object.written": "object written",
  "window.started": "window begun",
  "window.committed": "window committed",
  "past.read": "the windows that were committed before were read from the ledger, for the status",
  "past.failed": "the windows that were committed before could not be read; the status lacks them, the export does not",
  "gap.found": "the source does not keep this span any more: its events are lost, and the ledger says so",
  "retention.near": "more than half of the time that the source keeps its events has gone by since this stream's place",
  "events.truncated": "events were shortened to fit the sink's transport, and marked",
  "items.quarantined": "items that could not be written as events were put aside",
  reconciled: "a past span was compared with the source",
  "reconcile.failed": "a past span could not be compared with the source",
  "window.lost": "another worker committed the window first; going on from its head",
  "tick.done": "tick done",
  "tick.failed": "tick failed; the checkpoint stays where it is",
};

function levelOf(fact: Fact, failures: number): Level {
  if (fact.kind === "tick.done" && fact.windows === 0) return "debug";
  if (fact.kind === "reconciled" && fact.missing > 0) return "error";
  if (fact.kind === "reconcile.failed" && fact.error instanceof LedgerError) return "error";
  if (fact.kind === "tick.failed" && fact.error instanceof TransientError && failures <= WARNINGS_BEFORE_ERROR) {
    return "warn";
  }
  return LEVELS[fact.kind];
}

/** The fact's members as a log line shows them: instants readable, errors by allow-list. */
function membersOf(fact: Fact): Record<string, unknown> {
  const members: Record<string, unknown> = { fact: fact.kind };
  for (const [name, value] of Object.entries(fact) as [string, unknown][]) {
    if (name === "kind") continue;
    if (name === "error") members[name] = errorMembers(value);
    else if (name === "committed" && "committed" in fact) members["windows"] = fact.committed.length;
    else if (isSpan(value)) members[name] = formatSpan(value);
    else if (name === "exportedUntil" && "exportedUntil" in fact) {
      members[name] = fact.exportedUntil === undefined ? null : formatInstant(fact.exportedUntil);
    } else members[name] = value;
  }
  return members;
}

function isSpan(value: unknown): value is Span {
  return typeof value === "object" && value !== null && "from" in value && "to" in value;
}

/**
 * An error for the log, by allow-list: HTTP clients hang requests, headers and full URLs on theirs, and those hold tokens. Of
 * a cause only its name and code are shown; of a bug also the stack, with what follows a URL's path cut off.
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

/** Cuts user, password and query out of every URL of a text, and whatever stands behind a `Bearer`. */
export function withoutSecrets(text: string): string {
  return text
    .replaceAll(/([a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi, "$1")
    .replaceAll(/([a-z][a-z0-9+.-]*:\/\/[^\s?#"']*)[?#][^\s"')]*/gi, "$1")
    .replaceAll(/\b(Bearer|Basic)\s+[^\s"',]+/gi, "$1 …");
}
