import { LedgerError } from "../errors.ts";
import { CHECKPOINT_KEY, listSequences, manifestKey, readLink } from "../ledger/head.ts";
import { idSet } from "../ledger/ids.ts";
import type { PublicKey } from "../ledger/signature.ts";
import type { Span } from "../time.ts";
import { chainOf, type Chain, type ChainSummary, type JudgedLink } from "./chain.ts";
import { notice, wrong, type ArchiveFinding, type VerifyProgress } from "./finding.ts";
import { checkpointOf, tailWatch, type TailOptions, type TailProof, type TailWatch } from "./tail.ts";
import { judgeUnreferenced } from "./unreferenced.ts";
import { links, windows, type Archive } from "./window.ts";

export interface VerifyOptions extends TailOptions {
  readonly keys: readonly PublicKey[];
  /** Only files of windows that overlap this span are read; the whole chain is judged. */
  readonly span: Span | undefined;
  /** Later than 1 when earlier manifests have expired. */
  readonly firstSeq: number;
  /** The SHA-256 of the manifest before `firstSeq`; undefined when it is not known. */
  readonly expectPrev: string | undefined;
}

/** The result of a verification. */
export interface VerifySummary extends Omit<ChainSummary, "seq">, TailProof {
  readonly kind: "summary";
  readonly events: number;
  /** Data objects that were read, and their bytes as stored. */
  readonly objects: number;
  readonly bytes: number;
  /** Quarantined items. */
  readonly quarantined: number;
  readonly errors: number;
  readonly notices: number;
  /** `not authenticated`: no key was given. A consistent archive can have been replaced by anyone who can write there. */
  readonly authenticity: "authenticated" | "not authenticated" | "refuted";
}

export type VerifyItem =
  { readonly kind: "finding"; readonly finding: ArchiveFinding } | VerifyProgress | VerifySummary;

/**
 * Verifies an archive offline: the chain of its manifests, each file that they name, that there is no other file, and the end of the
 * chain. Yields findings window by window, and the summary last. Only reads and lists. Memory grows with the archive by some 50
 * bytes a file.
 *
 * @throws TransientError, RefusedError when a store cannot be read: then nothing is proved
 */
export async function* verify(
  archive: Archive,
  options: VerifyOptions,
  signal: AbortSignal,
): AsyncGenerator<VerifyItem> {
  const { firstSeq, keys, now, span } = options;
  const sums = { events: 0, objects: 0, bytes: 0, quarantined: 0, errors: 0, notices: 0 };
  let signatureFindings = 0;
  function* counted(findings: readonly ArchiveFinding[]): Generator<VerifyItem> {
    for (const finding of findings) {
      if (finding.level === "error") sums.errors++;
      else sums.notices++;
      if (finding.code.startsWith("SIG_")) signatureFindings++;
      yield { kind: "finding", finding };
    }
  }

  // Read before the manifests are listed, so that a running worker cannot put it ahead of them.
  const checkpoint = await checkpointOf(archive.ledger, archive.stream, signal);
  const tail = tailWatch("sequence" in checkpoint ? checkpoint : undefined, options);
  const { seqs, others } = await listSequences(archive.ledger, firstSeq - 1, signal);
  yield* counted(listFindings(seqs, others, firstSeq));
  const chain = chainOf({ stream: archive.stream, keys, firstSeq, expectPrev: expectedPrev(options) });
  const named = idSet();
  const judged = withTail(links(archive, seqs, chain, named, signal), chain, tail);
  const whole = await wholeSpan(archive, seqs, signal);
  for await (const { findings, link, isRead } of windows(archive, judged, chain, span, signal)) {
    yield* counted(findings);
    if (link === undefined) continue;
    const { objects, quarantine, events, window } = link.manifest;
    sums.events += events;
    sums.quarantined += quarantine.reduce((lines, object) => lines + object.lines, 0);
    sums.objects += isRead ? objects.length : 0;
    sums.bytes += isRead ? objects.reduce((bytes, object) => bytes + object.bytes, 0) : 0;
    if (whole !== undefined) yield { kind: "progress", ...whole, until: window.to, events: sums.events };
  }

  for await (const finding of judgeUnreferenced(archive, chain, named, { firstSeq, now }, signal)) {
    yield* counted([finding]);
  }
  const { seq: _, ...summary } = chain.summary;
  const { findings, proof } = tail.end(chain.summary);
  yield* counted(findings);
  yield* counted(await staleCheckpoint(archive, chain.summary, signal));
  if (signatureFindings === 0) yield* counted(neverSigned(keys, chain.summary));
  const isSigned = summary.signedFrom !== undefined;
  const authenticity = signatureFindings > 0 ? "refuted" : isSigned ? "authenticated" : "not authenticated";
  yield { kind: "summary", ...summary, ...sums, ...proof, authenticity };
}

function listFindings(seqs: readonly number[], others: readonly string[], firstSeq: number): ArchiveFinding[] {
  const findings = others.map((key) =>
    wrong("UNREFERENCED_OBJECT", key, undefined, "its name is not that of a manifest"),
  );
  if (seqs.length > 0) return findings;
  const message = "there is no manifest: nothing is proved";
  return [...findings, wrong("HEAD_MISSING", manifestKey(firstSeq), firstSeq, message)];
}

function expectedPrev({ firstSeq, expectPrev }: VerifyOptions): string | null | undefined {
  return firstSeq === 1 ? null : expectPrev;
}

/** The links, with the findings of the tail's watch. */
async function* withTail(judged: AsyncIterable<JudgedLink>, chain: Chain, tail: TailWatch): AsyncGenerator<JudgedLink> {
  for await (const one of judged) {
    const findings = one.link === undefined ? [] : tail.see(one.link, chain.summary.until);
    yield { ...one, findings: [...one.findings, ...findings] };
  }
}

/** From the first window to the last, for progress; undefined when their manifests cannot be read. */
async function wholeSpan(
  { ledger, stream }: Archive,
  seqs: readonly number[],
  signal: AbortSignal,
): Promise<Span | undefined> {
  const [first, last] = [seqs[0], seqs.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  try {
    const { manifest: oldest } = await readLink(ledger, stream, first, signal);
    const { manifest: newest } = await readLink(ledger, stream, last, signal);
    return { from: oldest.window.from, to: newest.window.to };
  } catch (error) {
    // It becomes a finding when its turn comes.
    if (error instanceof LedgerError) return undefined;
    throw error;
  }
}

/** Whether the checkpoint is behind. It is read again at the end, because it may have been written meanwhile. */
async function staleCheckpoint(
  archive: Archive,
  { seq }: ChainSummary,
  signal: AbortSignal,
): Promise<ArchiveFinding[]> {
  const checkpoint = await checkpointOf(archive.ledger, archive.stream, signal);
  if (!("sequence" in checkpoint)) return seq === 0 && checkpoint.level === "notice" ? [] : [checkpoint];
  if (checkpoint.sequence >= seq) return [];
  const message = `it is at ${checkpoint.sequence}, the manifests are at ${seq}`;
  return [notice("CHECKPOINT_STALE", CHECKPOINT_KEY, checkpoint.sequence, message)];
}

/** Without this finding, anyone who can write could replace a signed chain by an unsigned one. */
function neverSigned(keys: readonly PublicKey[], { head, signedFrom }: ChainSummary): ArchiveFinding[] {
  if (keys.length === 0 || head === undefined || signedFrom !== undefined) return [];
  const message = "a key was given, but no manifest is signed with it";
  return [wrong("SIG_MISSING", manifestKey(head.seq), head.seq, message)];
}
