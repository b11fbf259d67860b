import { EXIT_FOUND, TransientError, UsageError } from "../errors.ts";
import { factLog, logger } from "../observe/log.ts";
import { progress } from "../observe/progress.ts";
import { reconcile, repair, type Reconciliation } from "../export/reconcile.ts";
import { earlierClock } from "../source.ts";
import { epochMs, formatSpan, SECOND_MS, type Span } from "../time.ts";
import { assembleNow, loadStreams, logLevelOf, spanOf, type ConfigOptions } from "./streams.ts";

export interface ReconcileOptions extends ConfigOptions {
  readonly stream: string;
  readonly from: string;
  readonly to: string;
  /** Exports what is missing. */
  readonly repair?: boolean;
  readonly json?: boolean;
}

/** Source against ledger for a past span. Resolves with the exit code: 65 when something is missing and was not repaired. */
export async function reconcileCommand(options: ReconcileOptions, signal: AbortSignal): Promise<number> {
  const span = wholeSeconds(spanOf(options));
  const config = await loadStreams(options, [options.stream]);
  const log = factLog(logger(logLevelOf("warn")));
  const [stream] = assembleNow(config, log);
  if (stream === undefined) throw new UsageError(`no stream ${options.stream}`);
  const { pipeline } = stream;
  const now = await earlierClock(pipeline.source, epochMs(Date.now()), signal);

  const bar = progress(span, process.stderr);
  let report: Reconciliation | undefined;
  try {
    report = await reconcile(pipeline, span, now, signal, (until, items) => bar.update(until, items));
  } finally {
    bar.end();
  }
  if (report === undefined) {
    throw new TransientError("unavailable", `reconcile ${formatSpan(span)}: nothing of it can be compared`, {
      hint: "it is not exported yet, or older than the source keeps its events; siem-export status shows how far it is",
    });
  }
  const added =
    options.repair === true && report.missing > 0 ? await repair(pipeline, report.span, now, signal) : undefined;
  // Where stdout is the sink, it carries events and nothing else.
  const out = stream.config.sink.type === "stdout" ? process.stderr : process.stdout;
  out.write(options.json === true ? jsonOf(options.stream, report, added) : textOf(options.stream, report, added));
  return report.missing > (added ?? 0) ? EXIT_FOUND : 0;
}

function wholeSeconds({ from, to }: Span): Span {
  return {
    from: epochMs(Math.floor(from / SECOND_MS) * SECOND_MS),
    to: epochMs(Math.ceil(to / SECOND_MS) * SECOND_MS),
  };
}

function jsonOf(stream: string, { span, ...counts }: Reconciliation, repaired: number | undefined): string {
  return `${JSON.stringify({ stream, span: formatSpan(span), ...counts, repaired: repaired ?? null })}\n`;
}

function textOf(stream: string, report: Reconciliation, repaired: number | undefined): string {
  const { span, source, same, missing, missingIds, extra, extraIds } = report;
  const some = (ids: readonly string[], count: number): string =>
    count === 0
      ? ""
      : `    ${ids.join("\n    ")}${count > ids.length ? `\n    … and ${count - ids.length} more` : ""}\n`;
  return (
    `${stream}  ${formatSpan(span)}\n` +
    `  source   ${source}\n  same     ${same}\n  missing  ${missing}\n${some(missingIds, missing)}` +
    `  extra    ${extra}${extra > 0 ? "  (in the ledger, and not shown by the source any more)" : ""}\n${some(extraIds, extra)}` +
    (repaired === undefined
      ? missing > 0
        ? "  → siem-export reconcile … --repair exports what is missing\n"
        : ""
      : `  repaired ${repaired}\n`)
  );
}
