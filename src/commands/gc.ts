import { styleText } from "node:util";
import { EXIT_FOUND, ExporterError, exitCodeOf, worstExitCode } from "../errors.ts";
import type { GcItem } from "../archive/gc.ts";
import { epochMs } from "../time.ts";
import type { OpenArchive } from "./archive.ts";
import { command, CONFIG, FROM_SEQ, sequenceOf, STREAMS, toggle, type OptionsOf } from "./command.ts";

const flags = {
  config: CONFIG,
  stream: STREAMS,
  delete: toggle("remove the files; without this they are only listed"),
  fromSeq: FROM_SEQ,
  json: toggle("a line of JSON for each file"),
};
type GcOptions = OptionsOf<typeof flags>;

export const gc = command({
  name: "gc",
  about: "finds (with --delete removes) unreferenced files left by concurrent workers",
  flags,
  help: `
A file is removed only if no manifest names it, its sequence is not above the newest manifest, it is at least a day old, and
each of its lines is also in an intact object that a manifest names. If the chain of manifests is broken, nothing is removed
and the exit code is 65. --delete needs the permission to delete (s3:DeleteObject), which the worker does not need.`,
  run: collect,
});

async function collect(options: GcOptions, signal: AbortSignal): Promise<number> {
  const { openArchives } = await import("./archive.ts");
  const firstSeq = sequenceOf("--from-seq", options.fromSeq);
  const codes: number[] = [];
  for (const open of await openArchives(options.config, options.stream)) {
    codes.push(await gcOne(open, firstSeq, options, signal));
  }
  return codes.includes(EXIT_FOUND) ? EXIT_FOUND : worstExitCode(codes);
}

async function gcOne(
  { stream, archive }: OpenArchive,
  firstSeq: number,
  { delete: isDeleting, json }: GcOptions,
  signal: AbortSignal,
): Promise<number> {
  const { collectGarbage } = await import("../archive/gc.ts");
  const name = archive.stream;
  if (!json) process.stdout.write(`${styleText("bold", name)}\n`);
  const removers = isDeleting ? stream.removers : undefined;
  const total = { objects: 0, bytes: 0 };
  let code = 0;
  try {
    for await (const item of collectGarbage(archive, removers, { now: epochMs(Date.now()), firstSeq }, signal)) {
      if (item.kind === "refused") code = EXIT_FOUND;
      else if (item.kind !== "kept") {
        total.objects++;
        total.bytes += item.file.bytes;
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
  if (!json) process.stdout.write(`${sumOf(total, isDeleting, code)}\n\n`);
  return code;
}

function shown(item: GcItem) {
  if (item.kind === "refused") return { kind: item.kind, ...item.finding };
  const { key, seq, bytes } = item.file;
  return { kind: item.kind, key, seq, bytes, ...(item.reason !== "" && { reason: item.reason }) };
}

function lineOf(item: GcItem): string {
  switch (item.kind) {
    case "refused":
      return `✗ ${item.finding.code} ${item.finding.key}: ${item.finding.message}`;
    case "kept":
      return `  kept ${item.file.key}: ${item.reason}`;
    case "removable":
      return `! orphan ${item.file.key} (${item.file.bytes} bytes)`;
    case "removed":
      return `✓ removed ${item.file.key} (${item.file.bytes} bytes)`;
  }
}

function sumOf({ objects, bytes }: { objects: number; bytes: number }, isDeleting: boolean, code: number): string {
  if (code !== 0) return "the chain of manifests is broken: nothing is removed; see siem-export verify";
  if (objects === 0) return "nothing to remove";
  const what = `${objects} file${objects === 1 ? "" : "s"}, ${bytes} bytes`;
  return isDeleting ? `removed: ${what}` : `to remove: ${what}; run again with --delete to do it`;
}
