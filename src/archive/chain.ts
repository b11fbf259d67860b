import { LedgerError } from "../errors.ts";
import { manifestKey } from "../ledger/head.ts";
import { decodeManifest, sameSource, type Link, type Manifest } from "../ledger/manifest.ts";
import { verifySignature, type PublicKey } from "../ledger/signature.ts";
import { formatInstant, formatSpan, type EpochMs, type Span } from "../time.ts";
import { notice, wrong, type ArchiveFinding } from "./finding.ts";

export interface ChainOptions {
  readonly stream: string;
  /** None: of a signature it is only seen whether it was taken away. */
  readonly keys: readonly PublicKey[];
  /** The first sequence that must be there. */
  readonly firstSeq: number;
  /** What the first manifest must name as the SHA-256 of the one before: null at the very start, undefined when nobody knows. */
  readonly expectPrev: string | null | undefined;
}

/** One link after another, each judged by those before it. Holds two numbers a link, and nothing else of it. */
export interface Chain {
  /** Judges the next manifest, in rising order of sequence; `bytes` undefined: it is listed and cannot be found. */
  add(seq: number, bytes: Buffer | undefined): Judged;
  /** The sequences of which some event may lie in `span`, rising, as far as their manifests could be read. */
  overlapping(span: Span): number[];
  readonly so: ChainState;
}

export interface Judged {
  readonly findings: readonly ArchiveFinding[];
  /** Undefined when it cannot be read, or is another's. */
  readonly link: Link | undefined;
  /**
   * What names the folder of its objects: its window's start, or for a repair that of the newest window before it. Undefined
   * where that one is not known.
   */
  readonly folder: EpochMs | undefined;
}

/** What the links so far come to. */
export interface ChainState {
  /** The highest sequence seen, readable or not; 0 when there is none. */
  readonly seq: number;
  /** The newest link that could be read. */
  readonly head: { readonly seq: number; readonly sha256: string } | undefined;
  /** Where the first window begins, and the last window or gap ends. */
  readonly from: EpochMs | undefined;
  readonly until: EpochMs | undefined;
  readonly windows: number;
  readonly repairs: number;
  readonly gaps: number;
  /** False from the first hole, unreadable link, gap of time or overlap on. */
  readonly isContiguous: boolean;
  /** The first sequence with a signature that holds. */
  readonly signedFrom: number | undefined;
}

/** What spans the events of a manifest may lie in: its window, and its look-back. */
export function reachOf({ window, since = window.from }: Manifest): Span {
  return { from: since, to: window.to };
}

export function chainOf(options: ChainOptions): Chain {
  const so: { -readonly [Name in keyof ChainState]: ChainState[Name] } = {
    ...{ seq: 0, head: undefined, from: undefined, until: undefined, signedFrom: undefined },
    ...{ windows: 0, repairs: 0, gaps: 0, isContiguous: true },
  };
  const reaches: { readonly seqs: number[]; readonly froms: number[]; readonly tos: number[] } = {
    ...{ seqs: [], froms: [], tos: [] },
  };
  /** The link right before the next one; undefined where it is missing or cannot be read: then it refutes nothing. */
  let before: Link | undefined;
  let folder: EpochMs | undefined;
  let isFolderKnown = options.firstSeq === 1;
  let fingerprint: string | undefined;

  function broken(findings: ArchiveFinding[], finding: ArchiveFinding): void {
    findings.push(finding);
    so.isContiguous = false;
  }

  /** What is not there before `seq`; `link` is what was found at `seq`, to say which time is not proven. */
  function judgeHole(seq: number, link: Link | undefined, findings: ArchiveFinding[]): void {
    const expected = so.seq === 0 ? options.firstSeq : so.seq + 1;
    if (seq === expected) return;
    before = undefined;
    isFolderKnown = false;
    const which =
      seq - expected === 1 ? `manifest ${expected} is not there` : `manifests ${expected} to ${seq - 1} are not there`;
    if (so.seq === 0) {
      broken(findings, wrong("HEAD_MISSING", manifestKey(expected), expected, `${which}: the chain begins at ${seq}`));
      return;
    }
    const to = link?.manifest.window.from;
    const span =
      so.until === undefined || to === undefined || to <= so.until ? "" : `: ${formatSpan({ from: so.until, to })}`;
    broken(findings, wrong("WINDOW_MISSING", manifestKey(expected), expected, which + span));
  }

  function judgePrev({ manifest: { seq, prev } }: Link, findings: ArchiveFinding[]): void {
    const key = manifestKey(seq);
    if (seq === options.firstSeq) {
      const { expectPrev } = options;
      if (expectPrev === null && prev !== null) {
        broken(findings, wrong("HEAD_MISSING", key, seq, `it names a manifest before it, ${prev.seq}`));
      } else if (typeof expectPrev === "string" && prev?.sha256 !== expectPrev) {
        broken(findings, wrong("CHAIN_BROKEN", key, seq, `it does not follow from the manifest ${expectPrev}`));
      }
    }
    if (seq > 1 && prev?.seq !== seq - 1) {
      const named = prev === null ? "none" : prev.seq;
      broken(findings, wrong("CHAIN_BROKEN", key, seq, `it names ${named} as the manifest before it`));
    } else if (before !== undefined && prev !== null && prev.sha256 !== before.sha256) {
      const message = `it is not the manifest that ${seq} names as the one before it`;
      broken(findings, wrong("CHAIN_BROKEN", manifestKey(seq - 1), seq - 1, message));
    }
  }

  function judgeTime(
    { manifest: { seq, kind, window } }: Link,
    isAfterHole: boolean,
    findings: ArchiveFinding[],
  ): void {
    const key = manifestKey(seq);
    if (window.to <= window.from) {
      broken(findings, wrong("TIME_OVERLAP", key, seq, `${formatSpan(window)} ends before it begins`));
    }
    // Repairs go back into time that was exported; contiguity is no matter of theirs.
    if (kind === "repair") return;
    if (so.until !== undefined && window.from < so.until) {
      const message = `it begins at ${formatInstant(window.from)}, before the end of what came before, ${formatInstant(so.until)}`;
      broken(findings, wrong("TIME_OVERLAP", key, seq, message));
    } else if (so.until !== undefined && window.from > so.until && !isAfterHole) {
      const message = `no manifest holds ${formatSpan({ from: so.until, to: window.from })}, before it`;
      broken(findings, wrong("TIME_GAP", key, seq, message));
    }
  }

  function judgeSignature(link: Link, findings: ArchiveFinding[]): void {
    const { keys } = options;
    const { seq, keyId } = link.manifest;
    const key = manifestKey(seq);
    switch (verifySignature(link, keys)) {
      case "ok":
        so.signedFrom ??= seq;
        return;
      case "bad":
        findings.push(wrong("SIG_BAD", key, seq, "its signature does not hold"));
        return;
      case "unknown key":
        if (keys.length === 0) return;
        findings.push(wrong("SIG_UNKNOWN_KEY", key, seq, `none of the keys given may sign it (key id ${keyId ?? ""})`));
        return;
      case "missing": {
        // A key whose range begins later than 1 says that from there on all is signed.
        const isDue = keys.some(({ fromSeq, toSeq }) => fromSeq > 1 && seq >= fromSeq && seq <= toSeq);
        if (so.signedFrom !== undefined || isDue) {
          findings.push(wrong("SIG_MISSING", key, seq, "it is not signed, and should be"));
        }
      }
    }
  }

  function judgeSettings({ seq, source }: Manifest, findings: ArchiveFinding[]): void {
    if (fingerprint !== undefined && source.fingerprint !== fingerprint) {
      const message = sameSource(fingerprint, source.fingerprint)
        ? "from here on another filter, own-reads policy or format"
        : "from here on ANOTHER SOURCE, base URL or account";
      findings.push(notice("FINGERPRINT_CHANGED", manifestKey(seq), seq, message));
    }
    fingerprint = source.fingerprint;
  }

  function advance({ manifest, sha256 }: Link, findings: ArchiveFinding[]): void {
    const { seq, kind, window, missing } = manifest;
    const reach = reachOf(manifest);
    reaches.seqs.push(seq);
    reaches.froms.push(reach.from);
    reaches.tos.push(reach.to);
    so.head = { seq, sha256 };
    if (kind === "repair") {
      so.repairs++;
      return;
    }
    so.from ??= window.from;
    so.until = window.to;
    folder = window.from;
    isFolderKnown = true;
    if (kind === "window") so.windows++;
    const gap = kind === "gap" ? window : missing;
    if (gap === undefined) return;
    so.gaps++;
    const message = `${formatSpan(gap)} was not to be had any more: the source had let it go`;
    findings.push(notice("GAP", manifestKey(seq), seq, message));
  }

  return {
    so,

    add(seq, bytes) {
      const findings: ArchiveFinding[] = [];
      const read = bytes && readManifest(bytes, options.stream, seq);
      const link = read !== undefined && "manifest" in read ? read : undefined;
      judgeHole(seq, link, findings);
      const isAfterHole = before === undefined;
      so.seq = seq;
      if (link === undefined) {
        before = undefined;
        isFolderKnown = false;
        const missing = wrong("WINDOW_MISSING", manifestKey(seq), seq, "it is listed and cannot be found");
        broken(findings, read === undefined || "manifest" in read ? missing : read);
        return { findings, link, folder: undefined };
      }
      judgePrev(link, findings);
      judgeTime(link, isAfterHole, findings);
      judgeSignature(link, findings);
      judgeSettings(link.manifest, findings);
      advance(link, findings);
      before = link;
      const { kind, window } = link.manifest;
      const place = kind === "repair" ? (folder ?? window.from) : window.from;
      return { findings, link, folder: kind === "repair" && !isFolderKnown ? undefined : place };
    },

    overlapping: ({ from, to }) =>
      reaches.seqs.filter((_, index) => (reaches.froms[index] ?? 0) < to && (reaches.tos[index] ?? 0) > from),
  };
}

/** The manifest, or why it is none, or not the one of this name. */
function readManifest(bytes: Buffer, stream: string, seq: number): Link | ArchiveFinding {
  const key = manifestKey(seq);
  try {
    return decodeManifest(bytes, stream, seq, key);
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    const whose = ownerOf(bytes, key);
    if (whose !== undefined) {
      const message = `it is manifest ${whose.seq} of the stream ${JSON.stringify(whose.stream)}`;
      return wrong("MANIFEST_MOVED", key, seq, message);
    }
    return wrong("MANIFEST_UNREADABLE", key, seq, error.message.slice(`read ${key}: `.length));
  }
}

/** Whose manifest it is, if it is a sound one. */
function ownerOf(bytes: Buffer, place: string): Manifest | undefined {
  try {
    const { stream, seq } = JSON.parse(bytes.toString().split("\n")[0] ?? "") as { stream: string; seq: number };
    return decodeManifest(bytes, stream, seq, place).manifest;
  } catch (error) {
    if (error instanceof LedgerError || error instanceof SyntaxError || error instanceof TypeError) return undefined;
    throw error;
  }
}
