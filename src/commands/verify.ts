import { styleText } from "node:util";
import { EXIT_FOUND, ExporterError, exitCodeOf, UsageError, worstExitCode } from "../errors.ts";
import { progress, type Progress } from "../observe/progress.ts";
import { readPublicKey } from "../ledger/signature.ts";
import { epochMs, formatInstant, parseDuration } from "../time.ts";
import { countOf } from "../status/readable.ts";
import type { ArchiveFinding } from "../archive/finding.ts";
import type { Anchor } from "../archive/tail.ts";
import type { VerifyOptions, VerifySummary } from "../archive/verify.ts";
import type { Archive } from "../archive/window.ts";
import {
  argument,
  command,
  CONFIG,
  FROM_SEQ,
  sequenceOf,
  spanOf,
  STREAMS,
  text,
  texts,
  toggle,
  type OptionsOf,
} from "./command.ts";

const flags = {
  place: argument("the folder of one stream, or s3://bucket/prefix/stream; needs no configuration"),
  config: CONFIG,
  stream: STREAMS,
  ledger: text("place", "with a place: where the ledger of the stream is, if it is not there"),
  endpoint: text("url", "with an s3:// place: an S3 store that is not AWS"),
  from: text("time", "read only objects of windows that end after this; the whole chain is still checked"),
  to: text("time", "read only objects of windows that begin before this"),
  publicKey: texts("file", "check the signatures; FILE@FROM-TO for a key that signed only these sequences"),
  expectHead: text("seq:sha256", "a head recorded elsewhere: proves that nothing up to it was deleted or replaced"),
  maxAge: text("duration", "fail if the newest window ended longer ago than this, such as 1h"),
  fromSeq: FROM_SEQ,
  expectPrev: text("sha256", "the SHA-256 of the manifest before --from-seq"),
  json: toggle("a line of JSON for each finding, and one for the summary"),
};
type VerifyFlags = OptionsOf<typeof flags>;

export const verify = command({
  name: "verify",
  about: "verifies the archive offline: every manifest and object is there and unaltered, and nothing was added",
  flags,
  help: `
It only reads and lists the bucket or folder, and sends nothing to the source. With a place it needs no configuration: S3
credentials and region come from AWS's usual chain, and the stream's name comes from its manifests. If you give --stream,
the two names must be the same.

Without --public-key it proves only that the archive is consistent: anyone who can write there could have replaced all of it.
Without --expect-head or --max-age it cannot prove that the newest windows were not deleted. The log of each run and
status --json have the head: record it elsewhere.

Exit code: 0 nothing is wrong · 65 something is wrong · any other: an archive could not be read (see siem-export --help).

Examples:
  siem-export verify -s pachca-acme --public-key signing.pub --max-age 1h
  siem-export verify ./out/pachca-acme --public-key signing.pub
  siem-export verify s3://acme-siem/audit/pachca-acme --public-key signing.pub`,
  run: verifyArchives,
});

/** Prints a line for each finding, then the summary of each archive. */
async function verifyArchives(flags: VerifyFlags, signal: AbortSignal): Promise<number> {
  const options = optionsOf(flags);
  const archives = await archivesOf(flags, signal);
  if (archives.length > 1 && (options.anchor !== undefined || options.firstSeq > 1)) {
    throw new UsageError("--expect-head and --from-seq are for one stream: name it with --stream");
  }
  const codes: number[] = [];
  for (const archive of archives) codes.push(await verifyOne(archive, options, flags.json, signal));
  return codes.includes(EXIT_FOUND) ? EXIT_FOUND : worstExitCode(codes);
}

/** The archive at the place that is given, or those of the configuration. */
async function archivesOf(
  { place, ledger, endpoint, stream: names = [], config }: VerifyFlags,
  signal: AbortSignal,
): Promise<Archive[]> {
  const { openArchives, openPlace } = await import("./archive.ts");
  if (place === undefined) {
    if (ledger !== undefined)
      throw new UsageError("--ledger needs a place: siem-export verify <place> --ledger <place>");
    if (endpoint !== undefined)
      throw new UsageError("--endpoint needs a place: siem-export verify s3://… --endpoint <url>");
    return (await openArchives(config, names)).map(({ archive }) => archive);
  }
  if (names.length > 1) throw new UsageError("a place is the archive of one stream: give one --stream, or none");
  return [await openPlace({ place, ledger, endpoint, stream: names[0] }, signal)];
}

/** @throws UsageError, ConfigError when a key file cannot be read */
function optionsOf(options: VerifyFlags): VerifyOptions {
  const { from = "1970-01-01T00:00:00Z", to = "9999-12-31T00:00:00Z", expectHead, maxAge, expectPrev } = options;
  const firstSeq = sequenceOf("--from-seq", options.fromSeq);
  if (expectPrev !== undefined && firstSeq === 1) {
    throw new UsageError("--expect-prev needs --from-seq: it is the SHA-256 of the manifest before that sequence");
  }
  if (expectPrev !== undefined && !SHA256.test(expectPrev)) {
    throw new UsageError(`--expect-prev ${expectPrev}: not a SHA-256 (64 hex digits)`);
  }
  const maxAgeMs = maxAge === undefined ? undefined : parseDuration(maxAge);
  if (maxAge !== undefined && maxAgeMs === undefined)
    throw new UsageError(`--max-age ${maxAge}: not a duration, such as 1h`);
  const anchor = expectHead === undefined ? undefined : anchorOf(expectHead);
  if (anchor !== undefined && anchor.seq < firstSeq) {
    throw new UsageError(`--expect-head ${anchor.seq} is before --from-seq ${firstSeq}`);
  }
  return {
    ...{ firstSeq, expectPrev: expectPrev?.toLowerCase(), anchor, maxAgeMs },
    span: options.from === undefined && options.to === undefined ? undefined : spanOf({ from, to }),
    keys: (options.publicKey ?? []).map(readPublicKey),
    now: epochMs(Date.now()),
  };
}

const SHA256 = /^[0-9a-f]{64}$/i;

/** `42:9f86d0…`, or with a space in between, as the log and `status` show it. */
function anchorOf(text: string): Anchor {
  const [, seq, sha256 = ""] = /^([1-9]\d{0,11})[: ]([0-9a-f]{64})$/i.exec(text) ?? [];
  if (seq === undefined)
    throw new UsageError(`--expect-head ${text}: not SEQUENCE:SHA256, as in the log or in status --json`);
  return { seq: Number(seq), sha256: sha256.toLowerCase() };
}

async function verifyOne(
  archive: Archive,
  options: VerifyOptions,
  isJson: boolean,
  signal: AbortSignal,
): Promise<number> {
  const { verify } = await import("../archive/verify.ts");
  const { stream } = archive;
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  if (!isJson) say(styleText("bold", stream));
  let bar: Progress | undefined;
  let code = 0;
  try {
    for await (const item of verify(archive, options, signal)) {
      switch (item.kind) {
        case "progress":
          bar ??= progress(item, process.stderr);
          bar.update(item.until, item.events);
          break;
        case "finding": {
          if (item.finding.level === "error") code = EXIT_FOUND;
          say(isJson ? JSON.stringify({ stream, ...item.finding }) : lineOf(item.finding));
          break;
        }
        case "summary":
          bar?.end();
          say(isJson ? JSON.stringify({ stream, ...shown(item) }) : `${textOf(item)}\n`);
      }
    }
  } catch (error) {
    bar?.end();
    if (signal.aborted || !(error instanceof ExporterError)) throw error;
    const { code: name, message, hint } = error;
    say(
      isJson
        ? JSON.stringify({ stream, level: "failed", code: name, message, hint })
        : `✗ not verified: ${message}${hint === undefined ? "" : `\n    → ${hint}`}\n`,
    );
    return code === EXIT_FOUND ? EXIT_FOUND : exitCodeOf(error);
  }
  return code;
}

function lineOf({ level, code, key, message }: ArchiveFinding): string {
  const mark = level === "error" ? styleText("red", "✗") : styleText("yellow", "!");
  return `${mark} ${code} ${key}: ${message}`;
}

/** The summary for --json: instants as text. */
function shown({ from, until, signedFrom, anchored, head, ...rest }: VerifySummary) {
  const instants = { from: from === undefined ? null : formatInstant(from), to: until && formatInstant(until) };
  return { ...rest, ...instants, head: head ?? null, signedFrom: signedFrom ?? null, anchored: anchored ?? null };
}

function textOf(summary: VerifySummary): string {
  const { from, until, windows, events, objects, bytes, quarantined, repairs, gaps, errors, notices } = summary;
  const gapped = gaps === 0 ? "" : ` WITH ${countOf(gaps, "GAP").replace("GAPs", "GAPS")}`;
  const verdict = summary.isContiguous && from !== undefined ? `CONTIGUOUS${gapped}` : "NOT CONTIGUOUS";
  const span = from === undefined || until === undefined ? "" : ` ${formatInstant(from)} … ${formatInstant(until)}`;
  const parts = [
    countOf(windows, "window"),
    countOf(events, "event"),
    `${countOf(objects, "object")} read (${countOf(bytes, "byte")})`,
    ...(repairs > 0 ? [countOf(repairs, "repair")] : []),
    ...(quarantined > 0 ? [`${countOf(quarantined, "item")} in quarantine`] : []),
  ];
  const found = [
    errors === 0 ? "nothing wrong" : countOf(errors, "error"),
    ...(notices > 0 ? [countOf(notices, "notice")] : []),
  ];
  const mark = errors === 0 ? styleText("green", "✓") : styleText("red", "✗");
  return [
    `${verdict}${span}  ${parts.join(", ")}`,
    `authenticity: ${authenticityOf(summary)}`,
    `tail: ${tailOf(summary)}`,
    ...(summary.head === undefined ? [] : [`head: ${summary.head.seq}:${summary.head.sha256}`]),
    `${mark} ${found.join(", ")}`,
  ].join("\n");
}

function authenticityOf({ authenticity, errors, signedFrom = 1 }: VerifySummary): string {
  switch (authenticity) {
    case "authenticated":
      return signedFrom === 1
        ? "authenticated"
        : `authenticated; manifests before ${signedFrom} are not signed, only chained`;
    case "not authenticated":
      return errors === 0 ? "consistent, not authenticated (no --public-key)" : "not authenticated";
    case "refuted":
      return "REFUTED: a signature is missing, invalid or of another key";
  }
}

function tailOf({ tail, anchored, head, errors }: VerifySummary): string {
  switch (tail) {
    case "proven by anchor": {
      const beyond = anchored === head?.seq ? "" : ` up to manifest ${anchored ?? ""}, not proven after it`;
      return `proven by the expected head${beyond}`;
    }
    case "fresh":
      return "fresh (the newest window is within --max-age)";
    case "not proven":
      return errors === 0 ? "not proven (no --expect-head or --max-age)" : tail;
  }
}
