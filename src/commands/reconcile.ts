import { EXIT_FOUND, TransientError, UsageError } from "../errors.ts";
import { progress } from "../observe/progress.ts";
import type { Reconciliation } from "../export/reconcile.ts";
import { earlierClock } from "../source.ts";
import { epochMs, formatSpan, SECOND_MS, type Span } from "../time.ts";
import { command, CONFIG, FROM, required, spanOf, text, TO, toggle, type OptionsOf } from "./command.ts";

const flags = {
  config: CONFIG,
  stream: required(text("name", "the stream to compare", { short: "s" })),
  from: FROM,
  to: TO,
  repair: toggle("export what is missing; existing objects are not changed"),
  json: toggle("one JSON document"),
};

export const reconcile = command({
  name: "reconcile",
  about: "compares a past period of the source with the ledger, and reports missing and extra events",
  flags,
  help: "Exit code: 0 if nothing is missing, or all of it was repaired; 65 if events are missing.",
  run: compare,
});

async function compare(options: OptionsOf<typeof flags>, signal: AbortSignal): Promise<number> {
  const { assembleNow, loadStreams, logOf } = await import("./streams.ts");
  const { reconcile, repair } = await import("../export/reconcile.ts");
  const span = wholeSeconds(spanOf(options));
  const config = await loadStreams(options.config, [options.stream]);
  const log = logOf("warn");
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
    throw new TransientError("unavailable", `reconcile ${formatSpan(span)}: there is nothing to compare`, {
      hint: "the period is not exported yet, or older than the source keeps events; siem-export status shows how far the stream is",
    });
  }
  const added = options.repair && report.missing > 0 ? await repair(pipeline, report.span, now, signal) : undefined;
  // When stdout is the sink, it carries only events.
  const out = stream.config.sink.type === "stdout" ? process.stderr : process.stdout;
  out.write(options.json ? jsonOf(options.stream, report, added) : textOf(options.stream, report, added));
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
    `  extra    ${extra}${extra > 0 ? "  (in the ledger, but no longer returned by the source)" : ""}\n${some(extraIds, extra)}` +
    (repaired === undefined
      ? missing > 0
        ? "  → siem-export reconcile … --repair exports what is missing\n"
        : ""
      : `  repaired ${repaired}\n`)
  );
}
