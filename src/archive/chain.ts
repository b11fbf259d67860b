import { LedgerError } from "../errors.ts";
import { isObject, parsedJson } from "../json/parse.ts";
import { manifestKey } from "../ledger/head.ts";
import { decodeManifest, sameSource, type Link, type Manifest } from "../ledger/manifest.ts";
import { verifySignature, type PublicKey } from "../ledger/signature.ts";
import { formatInstant, formatSpan, type EpochMs, type Span } from "../time.ts";
import { notice, wrong, type ArchiveFinding } from "./finding.ts";

export interface ChainOptions {
  readonly stream: string;
  /** Without a key, signatures are not checked; a missing one is still found. */
  readonly keys: readonly PublicKey[];
  /** The first sequence that must be there. */
  readonly firstSeq: number;
  /**
   * What the first manifest must name as the SHA-256 of the one before it: null for the very first manifest, undefined when it is
   * not known.
   */
  readonly expectPrev: string | null | undefined;
}

/** The manifests of a stream, each judged by those before it. Keeps three numbers of each. */
export interface Chain {
  /** Judges the next manifest, in rising order of sequence. `bytes` is undefined when it is listed but cannot be found. */
  add(seq: number, bytes: Buffer | undefined): JudgedLink;
  /** The sequences of the readable manifests that may have events in `span`, rising. */
  overlapping(span: Span): number[];
  readonly summary: ChainSummary;
}

export interface JudgedLink {
  readonly findings: readonly ArchiveFinding[];
  /** Undefined when it cannot be read, or belongs to another stream. */
  readonly link: Link | undefined;
  /**
   * The instant that names the folder of its objects: the start of its window; for a repair, of the newest window before it.
   * Undefined when that window is not known.
   */
  readonly folder: EpochMs | undefined;
}

/** A summary of the manifests so far. */
export interface ChainSummary {
  /** The highest sequence, readable or not; 0 when there is none. */
  readonly seq: number;
  /** The newest readable manifest. */
  readonly head: { readonly seq: number; readonly sha256: string } | undefined;
  /** The start of the first window, and the end of the last window or gap. */
  readonly from: EpochMs | undefined;
  readonly until: EpochMs | undefined;
  readonly windows: number;
  readonly repairs: number;
  readonly gaps: number;
  /** False after the first missing or unreadable manifest, hole in time or overlap. */
  readonly isContiguous: boolean;
  /** The first sequence with a valid signature. */
  readonly signedFrom: number | undefined;
}

/** What a manifest is judged by. */
interface ChainState {
  readonly summary: { -readonly [Name in keyof ChainSummary]: ChainSummary[Name] };
  /** The manifest right before the next one. Undefined when it is missing or unreadable: then nothing follows from it. */
  previous: Link | undefined;
  /** The start of the newest window or gap; undefined when its manifest is missing or unreadable. */
  folder: EpochMs | undefined;
  fingerprint: string | undefined;
}

/** The spans that may have events of a manifest: its window and its look-back. */
export function reachOf({ window, since = window.from }: Manifest): Span {
  return { from: since, to: window.to };
}

export function chainOf(options: ChainOptions): Chain {
  const summary: ChainState["summary"] = {
    ...{ seq: 0, head: undefined, from: undefined, until: undefined, signedFrom: undefined },
    ...{ windows: 0, repairs: 0, gaps: 0, isContiguous: true },
  };
  const state: ChainState = { summary, previous: undefined, folder: undefined, fingerprint: undefined };
  const reaches: { readonly seqs: number[]; readonly froms: number[]; readonly tos: number[] } = {
    ...{ seqs: [], froms: [], tos: [] },
  };
  return {
    summary,

    add(seq, bytes) {
      const read = bytes === undefined ? undefined : readManifest(bytes, options.stream, seq);
      const link = read !== undefined && "manifest" in read ? read : undefined;
      const hole = judgeHole(state, options, seq, link);
      if (hole.length > 0) forgetPrevious(state);
      summary.seq = seq;
      if (link === undefined) {
        forgetPrevious(state);
        summary.isContiguous = false;
        const missing = wrong("WINDOW_MISSING", manifestKey(seq), seq, "it is listed and cannot be found");
        return {
          findings: [...hole, read === undefined || "manifest" in read ? missing : read],
          link,
          folder: undefined,
        };
      }
      const broken = [...hole, ...judgePrevious(state, options, link), ...judgeTime(state, link.manifest)];
      if (broken.length > 0) summary.isContiguous = false;
      const notices = [...judgeSignature(state, options.keys, link), ...judgeSettings(state, link.manifest)];
      const { from, to } = reachOf(link.manifest);
      reaches.seqs.push(seq);
      reaches.froms.push(from);
      reaches.tos.push(to);
      return { findings: [...broken, ...notices, ...advance(state, link)], link, folder: state.folder };
    },

    overlapping: ({ from, to }) =>
      reaches.seqs.filter((_, index) => (reaches.froms[index] ?? 0) < to && (reaches.tos[index] ?? 0) > from),
  };
}

function forgetPrevious(state: ChainState): void {
  state.previous = undefined;
  state.folder = undefined;
}

/** What is missing before `seq`. `link`, the manifest at `seq`, tells which time is not proved. */
function judgeHole(
  { summary }: ChainState,
  { firstSeq }: ChainOptions,
  seq: number,
  link: Link | undefined,
): ArchiveFinding[] {
  const expected = summary.seq === 0 ? firstSeq : summary.seq + 1;
  if (seq === expected) return [];
  const key = manifestKey(expected);
  const which =
    seq - expected === 1 ? `manifest ${expected} is not there` : `manifests ${expected} to ${seq - 1} are not there`;
  if (summary.seq === 0) return [wrong("HEAD_MISSING", key, expected, `${which}: the chain starts at ${seq}`)];
  const { until } = summary;
  const next = link?.manifest.window.from;
  const span = until === undefined || next === undefined || next <= until ? "" : formatSpan({ from: until, to: next });
  return [wrong("WINDOW_MISSING", key, expected, span === "" ? which : `${which}: ${span}`)];
}

/** Whether it follows from the manifest before it. */
function judgePrevious(
  { previous }: ChainState,
  { firstSeq, expectPrev }: ChainOptions,
  { manifest: { seq, prev } }: Link,
): ArchiveFinding[] {
  const key = manifestKey(seq);
  const findings: ArchiveFinding[] = [];
  if (seq === firstSeq && expectPrev === null && prev !== null) {
    findings.push(wrong("HEAD_MISSING", key, seq, `it names a manifest before it, ${prev.seq}`));
  } else if (seq === firstSeq && typeof expectPrev === "string" && prev?.sha256 !== expectPrev) {
    findings.push(wrong("CHAIN_BROKEN", key, seq, `it does not follow from the manifest ${expectPrev}`));
  }
  if (seq > 1 && prev?.seq !== seq - 1) {
    const named = prev === null ? "none" : prev.seq;
    findings.push(wrong("CHAIN_BROKEN", key, seq, `it names ${named} as the manifest before it`));
  } else if (previous !== undefined && prev !== null && prev.sha256 !== previous.sha256) {
    const message = `it is not the manifest that ${seq} names as the one before it`;
    findings.push(wrong("CHAIN_BROKEN", manifestKey(seq - 1), seq - 1, message));
  }
  return findings;
}

/** Whether its window starts where the one before it ended. */
function judgeTime({ summary: { until }, previous }: ChainState, { seq, kind, window }: Manifest): ArchiveFinding[] {
  const key = manifestKey(seq);
  const findings: ArchiveFinding[] = [];
  if (window.to <= window.from) {
    findings.push(wrong("TIME_OVERLAP", key, seq, `${formatSpan(window)} ends before it starts`));
  }
  // A repair goes back to time that was exported before.
  if (kind === "repair" || until === undefined) return findings;
  if (window.from < until) {
    const message = `it starts at ${formatInstant(window.from)}, before the end of the window before it, ${formatInstant(until)}`;
    findings.push(wrong("TIME_OVERLAP", key, seq, message));
  } else if (window.from > until && previous !== undefined) {
    const message = `no manifest holds ${formatSpan({ from: until, to: window.from })}, before it`;
    findings.push(wrong("TIME_GAP", key, seq, message));
  }
  return findings;
}

function judgeSignature({ summary }: ChainState, keys: readonly PublicKey[], link: Link): ArchiveFinding[] {
  const { seq, keyId } = link.manifest;
  const key = manifestKey(seq);
  switch (verifySignature(link, keys)) {
    case "ok":
      summary.signedFrom ??= seq;
      return [];
    case "bad":
      return [wrong("SIG_BAD", key, seq, "its signature is not valid")];
    case "unknown key":
      if (keys.length === 0) return [];
      return [wrong("SIG_UNKNOWN_KEY", key, seq, `none of the given keys may sign it (key id ${keyId ?? ""})`)];
    case "missing": {
      // A key whose range starts later than 1 says that everything in its range is signed.
      const isDue = keys.some(({ fromSeq, toSeq }) => fromSeq > 1 && seq >= fromSeq && seq <= toSeq);
      if (summary.signedFrom === undefined && !isDue) return [];
      return [wrong("SIG_MISSING", key, seq, "it is not signed, and should be")];
    }
  }
}

function judgeSettings({ fingerprint: before }: ChainState, { seq, source }: Manifest): ArchiveFinding[] {
  if (before === undefined || source.fingerprint === before) return [];
  const message = sameSource(before, source.fingerprint)
    ? "from here on another filter, own-reads policy or format"
    : "from here on ANOTHER SOURCE, base URL or account";
  return [notice("FINGERPRINT_CHANGED", manifestKey(seq), seq, message)];
}

/** Takes the manifest into the state. Its gap, if it has one, is a finding. */
function advance(state: ChainState, link: Link): ArchiveFinding[] {
  const { summary } = state;
  const { seq, kind, window, missing, source } = link.manifest;
  state.previous = link;
  state.fingerprint = source.fingerprint;
  summary.head = { seq, sha256: link.sha256 };
  if (kind === "repair") {
    summary.repairs++;
    return [];
  }
  summary.from ??= window.from;
  summary.until = window.to;
  state.folder = window.from;
  if (kind === "window") summary.windows++;
  const gap = kind === "gap" ? window : missing;
  if (gap === undefined) return [];
  summary.gaps++;
  const message = `${formatSpan(gap)} was not to be had any more: the source had let it go`;
  return [notice("GAP", manifestKey(seq), seq, message)];
}

/** The manifest, or the finding that it is unreadable or has another name. */
function readManifest(bytes: Buffer, stream: string, seq: number): Link | ArchiveFinding {
  const key = manifestKey(seq);
  try {
    return decodeManifest(bytes, stream, seq, key);
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    const owner = ownerOf(bytes, key);
    if (owner !== undefined) {
      const message = `it is manifest ${owner.seq} of the stream ${JSON.stringify(owner.stream)}`;
      return wrong("MANIFEST_MOVED", key, seq, message);
    }
    return wrong("MANIFEST_UNREADABLE", key, seq, error.message.slice(`read ${key}: `.length));
  }
}

/** The manifest under the name that it gives itself; undefined when it is no valid manifest. */
function ownerOf(bytes: Buffer, place: string): Manifest | undefined {
  const shown = parsedJson(bytes.toString().split("\n")[0] ?? "");
  const { stream, seq } = isObject(shown) ? shown : {};
  if (typeof stream !== "string" || typeof seq !== "number") return undefined;
  try {
    return decodeManifest(bytes, stream, seq, place).manifest;
  } catch (error) {
    if (error instanceof LedgerError) return undefined;
    throw error;
  }
}
