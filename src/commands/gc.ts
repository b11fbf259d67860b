import { styleText } from "node:util";
import { EXIT_FOUND, ExporterError, exitCodeOf, worstExitCode } from "../errors.ts";
import { collectGarbage, type GcItem } from "../archive/gc.ts";
import { epochMs } from "../time.ts";
import { openArchives, sequenceOf, type OpenArchive } from "./archive.ts";
import type { ConfigOptions } from "./streams.ts";

export interface GcOptions extends ConfigOptions {
  readonly stream?: readonly string[];
  /** Without it nothing is removed. */
  readonly delete?: boolean;
  readonly fromSeq?: string;
  readonly json?: boolean;
}

/** Shows what races of two workers left, or removes it. Resolves with the exit code. */
export async function gcCommand(options: GcOptions, signal: AbortSignal): Promise<number> {
  const firstSeq = sequenceOf("--from-seq", options.fromSeq);
  const codes: number[] = [];
  for (const open of await openArchives(options, options.stream)) {
    codes.push(await gcOne(open, firstSeq, options, signal));
  }
  return codes.includes(EXIT_FOUND) ? EXIT_FOUND : worstExitCode(codes);
}

async function gcOne(
  { stream, archive }: OpenArchive,
  firstSeq: number,
  { delete: isActing = false, json = false }: GcOptions,
  signal: AbortSignal,
): Promise<number> {
  const name = archive.stream;
  if (!json) process.stdout.write(`${styleText("bold", name)}\n`);
  const removers = isActing ? stream.removers : undefined;
  const total = { objects: 0, bytes: 0 };
  let code = 0;
  try {
    for await (const item of collectGarbage(archive, removers, { now: epochMs(Date.now()), firstSeq }, signal)) {
      if (item.kind === "refused") code = EXIT_FOUND;
      else if (item.kind !== "kept") {
        total.objects++;
        total.bytes += item.stray.bytes;
      }
      process.stdout.write(json ? `${JSON.stringify({ stream: name, ...shown(item) })}\n` : `${lineOf(item)}\n`);
    }
  } catch (error) {
    if (signal.aborted || !(error instanceof ExporterError)) throw error;
    const { code: what, message, hint } = error;
    process.stdout.write(
      json
        ? `${JSON.stringify({ stream: name, kind: "failed", code: what, message, hint })}\n`
        : `✗ ${message}${hint === undefined ? "" : `\n    → ${hint}`}\n`,
    );
    return exitCodeOf(error);
  }
  if (!json) process.stdout.write(`${sumOf(total, isActing, code)}\n\n`);
  return code;
}

function shown(item: GcItem) {
  if (item.kind === "refused") return { kind: item.kind, ...item.finding };
  const { key, seq, bytes } = item.stray;
  return { kind: item.kind, key, seq, bytes, ...(item.reason !== "" && { reason: item.reason }) };
}

function lineOf(item: GcItem): string {
  switch (item.kind) {
    case "refused":
      return `✗ ${item.finding.code} ${item.finding.key}: ${item.finding.message}`;
    case "kept":
      return `  kept ${item.stray.key}: ${item.reason}`;
    case "removable":
      return `! orphan ${item.stray.key} (${item.stray.bytes} bytes)`;
    case "removed":
      return `✓ removed ${item.stray.key} (${item.stray.bytes} bytes)`;
  }
}

function sumOf({ objects, bytes }: { objects: number; bytes: number }, isActing: boolean, code: number): string {
  if (code !== 0) return "the chain does not hold: nothing is removed; see siem-export verify";
  if (objects === 0) return "nothing to remove";
  const what = `${objects} file${objects === 1 ? "" : "s"}, ${bytes} bytes`;
  return isActing ? `removed: ${what}` : `to remove: ${what}; run again with --delete to do it`;
}
