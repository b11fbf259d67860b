import { LedgerError } from "../errors.ts";
import { CHECKPOINT_KEY, listSequences, manifestKey, readLink } from "../ledger/head.ts";
import { idSet } from "../ledger/ids.ts";
import type { PublicKey } from "../ledger/signature.ts";
import type { Span } from "../time.ts";
import { chainOf, type Chain, type ChainState, type Judged } from "./chain.ts";
import { notice, wrong, type ArchiveFinding, type VerifyProgress } from "./finding.ts";
import { judgeStrays } from "./strays.ts";
import { checkpointOf, tailWatch, type TailOptions, type TailProof, type TailWatch } from "./tail.ts";
import { links, windows, type Archive } from "./window.ts";

export interface VerifyOptions extends TailOptions {
  readonly keys: readonly PublicKey[];
  /** Only files of windows that overlap this span are read; the chain is judged as a whole. */
  readonly span: Span | undefined;
  /** Later than 1 where what came before has expired. */
  readonly firstSeq: number;
  /** Of the manifest before `firstSeq`; undefined where nobody knows. */
  readonly expectPrev: string | undefined;
}

/** What a verification came to. */
export interface VerifySummary extends Omit<ChainState, "seq">, TailProof {
  readonly kind: "summary";
  readonly events: number;
  /** Data objects that were read, and their bytes as stored. */
  readonly objects: number;
  readonly bytes: number;
  /** Items in quarantine. */
  readonly quarantined: number;
  readonly errors: number;
  readonly notices: number;
  /** `not authenticated`: no key was given. An archive can be consistent, and made anew by whoever can write there. */
  readonly authenticity: "authenticated" | "not authenticated" | "refuted";
}

export type VerifyItem =
  { readonly kind: "finding"; readonly finding: ArchiveFinding } | VerifyProgress | VerifySummary;

/**
 * Proves an archive, offline: the chain of its manifests, each file that they name, that there is no other, and where its
 * end is. What is wrong comes as findings, window by window; the summary comes last. Needs to read and to list, and
 * nothing else. Memory grows with the archive by some 50 bytes a file.
 *
 * @throws TransientError, RefusedError when a store cannot be read: then nothing is proved
 */
export async function* verify(
  archive: Archive,
  options: VerifyOptions,
  signal: AbortSignal,
): AsyncGenerator<VerifyItem> {
  const { firstSeq, keys, now, span } = options;
  const sum = { events: 0, objects: 0, bytes: 0, quarantined: 0, errors: 0, notices: 0 };
  const codes = new Set<string>();
  function told(finding: ArchiveFinding): VerifyItem {
    if (finding.level === "error") sum.errors++;
    else sum.notices++;
    codes.add(finding.code);
    return { kind: "finding", finding };
  }

  // Before the manifests, so that it cannot be ahead of them by the work of a worker.
  const checkpoint = await checkpointOf(archive.ledger, archive.stream, signal);
  const tail = tailWatch("sequence" in checkpoint ? checkpoint : undefined, options);
  const { seqs, others } = await listSequences(archive.ledger, firstSeq - 1, signal);
  for (const key of others) yield told(wrong("UNREFERENCED_OBJECT", key, undefined, "it has no manifest's name"));
  if (seqs.length === 0) {
    yield told(wrong("HEAD_MISSING", manifestKey(firstSeq), firstSeq, "there is no manifest: nothing is proved"));
  }
  const chain = chainOf({ stream: archive.stream, keys, firstSeq, expectPrev: prevOf(options) });
  const named = idSet();
  const judged = watched(links(archive, seqs, chain, named, signal), chain, tail);
  const whole = await wholeSpan(archive, seqs, signal);
  for await (const { findings, link, isRead } of windows(archive, judged, chain, span, signal)) {
    for (const finding of findings) yield told(finding);
    if (link === undefined) continue;
    const { objects, quarantine, events, window } = link.manifest;
    sum.events += events;
    sum.quarantined += quarantine.reduce((lines, object) => lines + object.lines, 0);
    sum.objects += isRead ? objects.length : 0;
    sum.bytes += isRead ? objects.reduce((bytes, object) => bytes + object.bytes, 0) : 0;
    if (whole !== undefined) yield { kind: "progress", ...whole, until: window.to, events: sum.events };
  }

  for await (const finding of judgeStrays(archive, chain, named, { firstSeq, now }, signal)) yield told(finding);
  const { findings, proof } = tail.end(chain.so);
  for (const finding of findings) yield told(finding);
  for (const finding of await staleCheckpoint(archive, chain.so, signal)) yield told(finding);
  const isDoubted = () => [...codes].some((code) => code.startsWith("SIG_"));
  if (!isDoubted()) for (const finding of neverSigned(keys, chain.so)) yield told(finding);
  const isRefuted = isDoubted();
  const authenticity = isRefuted
    ? "refuted"
    : chain.so.signedFrom === undefined
      ? "not authenticated"
      : "authenticated";
  const { seq: _, ...so } = chain.so;
  yield { kind: "summary", ...so, ...sum, ...proof, authenticity };
}

function prevOf({ firstSeq, expectPrev }: VerifyOptions): string | null | undefined {
  return firstSeq === 1 ? null : expectPrev;
}

/** The links, with what the tail's watch has to say of each. */
async function* watched(judged: AsyncIterable<Judged>, chain: Chain, tail: TailWatch): AsyncGenerator<Judged> {
  for await (const one of judged) {
    const findings = one.link === undefined ? [] : tail.see(one.link, chain.so.until);
    yield { ...one, findings: [...one.findings, ...findings] };
  }
}

/** From the first window to the last, to show how far the work has come; undefined where these cannot be read. */
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
    // That they cannot be read is told in their turn.
    if (error instanceof LedgerError) return undefined;
    throw error;
  }
}

/** Read again at the end: meanwhile it may have been written. */
async function staleCheckpoint(archive: Archive, { seq }: ChainState, signal: AbortSignal): Promise<ArchiveFinding[]> {
  const checkpoint = await checkpointOf(archive.ledger, archive.stream, signal);
  if (!("sequence" in checkpoint)) return seq === 0 && checkpoint.level === "notice" ? [] : [checkpoint];
  if (checkpoint.sequence >= seq) return [];
  const message = `it stands at ${checkpoint.sequence}, the manifests reach ${seq}`;
  return [notice("CHECKPOINT_STALE", CHECKPOINT_KEY, checkpoint.sequence, message)];
}

/** Were a chain without any signature let through, whoever can write could make it anew. */
function neverSigned(keys: readonly PublicKey[], { head, signedFrom }: ChainState): ArchiveFinding[] {
  if (keys.length === 0 || head === undefined || signedFrom !== undefined) return [];
  const message = "a key was given, and no manifest has a signature that it made";
  return [wrong("SIG_MISSING", manifestKey(head.seq), head.seq, message)];
}
