import { styleText } from "node:util";
import { EXIT_FOUND, ExporterError, exitCodeOf, UsageError, worstExitCode } from "../errors.ts";
import { progress, type Progress } from "../observe/progress.ts";
import { readPublicKey } from "../ledger/signature.ts";
import { epochMs, formatInstant, parseDuration } from "../time.ts";
import type { ArchiveFinding } from "../archive/finding.ts";
import type { Anchor } from "../archive/tail.ts";
import { verify, type VerifyOptions, type VerifySummary } from "../archive/verify.ts";
import { openArchives, sequenceOf, type OpenArchive } from "./archive.ts";
import { spanOf, type ConfigOptions } from "./streams.ts";

export interface VerifyCommandOptions extends ConfigOptions {
  readonly stream?: readonly string[];
  readonly from?: string;
  readonly to?: string;
  readonly publicKey?: readonly string[];
  readonly expectHead?: string;
  readonly maxAge?: string;
  readonly fromSeq?: string;
  readonly expectPrev?: string;
  readonly json?: boolean;
}

/**
 * Proves the archive of each stream: a line a finding, then what it comes to. Resolves with 65 when anything is wrong; where
 * an archive could not be read, and nothing is known to be wrong, with the code of why.
 */
export async function verifyCommand(options: VerifyCommandOptions, signal: AbortSignal): Promise<number> {
  const asked = askedOf(options);
  const archives = await openArchives(options, options.stream);
  if (archives.length > 1 && (asked.anchor !== undefined || asked.firstSeq > 1)) {
    throw new UsageError("--expect-head and --from-seq are of one stream: name it with --stream");
  }
  const codes: number[] = [];
  for (const open of archives) codes.push(await verifyOne(open, asked, options.json === true, signal));
  return codes.includes(EXIT_FOUND) ? EXIT_FOUND : worstExitCode(codes);
}

function askedOf(options: VerifyCommandOptions): VerifyOptions {
  const { from = "1970-01-01T00:00:00Z", to = "9999-12-31T00:00:00Z", expectHead, maxAge, expectPrev } = options;
  const firstSeq = sequenceOf("--from-seq", options.fromSeq);
  if (expectPrev !== undefined && firstSeq === 1) {
    throw new UsageError("--expect-prev is of the manifest before --from-seq: give both");
  }
  if (expectPrev !== undefined && !SHA256.test(expectPrev)) {
    throw new UsageError(`--expect-prev ${expectPrev}: not a SHA-256 in 64 hex digits`);
  }
  const maxAgeMs = maxAge === undefined ? undefined : parseDuration(maxAge);
  if (maxAge !== undefined && maxAgeMs === undefined)
    throw new UsageError(`--max-age ${maxAge}: not a duration, as 1h`);
  const anchor = expectHead === undefined ? undefined : anchorOf(expectHead);
  if (anchor !== undefined && anchor.seq < firstSeq) {
    throw new UsageError(`--expect-head ${anchor.seq} lies before --from-seq ${firstSeq}`);
  }
  return {
    ...{ firstSeq, expectPrev: expectPrev?.toLowerCase(), anchor, maxAgeMs },
    span: options.from === undefined && options.to === undefined ? undefined : spanOf({ from, to }),
    keys: (options.publicKey ?? []).map(readPublicKey),
    now: epochMs(Date.now()),
  };
}

const SHA256 = /^[0-9a-f]{64}$/i;

/** `42:9f86d0…`; with a space between, it is what the log and `status` show. */
function anchorOf(text: string): Anchor {
  const [, seq, sha256 = ""] = /^([1-9]\d{0,11})[: ]([0-9a-f]{64})$/i.exec(text) ?? [];
  if (seq === undefined) throw new UsageError(`--expect-head ${text}: not SEQUENCE:SHA256, such as status shows`);
  return { seq: Number(seq), sha256: sha256.toLowerCase() };
}

async function verifyOne(
  { archive }: OpenArchive,
  asked: VerifyOptions,
  isJson: boolean,
  signal: AbortSignal,
): Promise<number> {
  const { stream } = archive;
  const say = (line: string): void => void process.stdout.write(`${line}\n`);
  if (!isJson) say(styleText("bold", stream));
  let bar: Progress | undefined;
  let code = 0;
  try {
    for await (const item of verify(archive, asked, signal)) {
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

/** The summary as a program reads it: instants as text. */
function shown({ from, until, signedFrom, anchored, head, ...rest }: VerifySummary) {
  const instants = { from: from === undefined ? null : formatInstant(from), to: until && formatInstant(until) };
  return { ...rest, ...instants, head: head ?? null, signedFrom: signedFrom ?? null, anchored: anchored ?? null };
}

function textOf(summary: VerifySummary): string {
  const { from, until, windows, events, objects, bytes, quarantined, repairs, gaps, errors, notices } = summary;
  const count = (number: number, what: string): string =>
    `${number.toLocaleString("en")} ${what}${number === 1 ? "" : "s"}`;
  const gapped = gaps === 0 ? "" : ` WITH ${count(gaps, "GAP").replace("GAPs", "GAPS")}`;
  const verdict = summary.isContiguous && from !== undefined ? `CONTIGUOUS${gapped}` : "NOT CONTIGUOUS";
  const span = from === undefined || until === undefined ? "" : ` ${formatInstant(from)} … ${formatInstant(until)}`;
  const parts = [
    count(windows, "window"),
    count(events, "event"),
    `${count(objects, "object")} read (${count(bytes, "byte")})`,
    ...(repairs > 0 ? [count(repairs, "repair")] : []),
    ...(quarantined > 0 ? [`${count(quarantined, "item")} in quarantine`] : []),
  ];
  const found = [
    errors === 0 ? "nothing wrong" : count(errors, "error"),
    ...(notices > 0 ? [count(notices, "notice")] : []),
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
      return signedFrom === 1 ? "authenticated" : `authenticated; before manifest ${signedFrom} by the chain alone`;
    case "not authenticated":
      return errors === 0 ? "consistent, not authenticated (no --public-key)" : "not authenticated";
    case "refuted":
      return "REFUTED: a signature is missing, foreign or does not hold";
  }
}

function tailOf({ tail, anchored, head }: VerifySummary): string {
  if (tail !== "proven by anchor" || anchored === head?.seq) return tail;
  return `${tail} up to manifest ${anchored ?? ""}, not proven beyond`;
}
