import { createHash } from "node:crypto";
import { z } from "zod";
import { LedgerError } from "../errors.ts";
import { parsedJson } from "../json/parse.ts";
import type { EventMembers, SourceIdentity } from "../source.ts";
import { formatInstant, jsonSpan, parseInstant, type EpochMs, type Span } from "../time.ts";
import type { ManifestKind, Plan, StoredLines, StoredObject, Delivered } from "../sink.ts";
import type { KindCounts, LatenessCounts, Committed } from "../totals.ts";

/** An object of items that could not be exported. */
export type QuarantineObject = StoredLines;

/** An ids file, relative to the ledger. */
export interface IdsFile {
  readonly key: string;
  readonly sha256: string;
}

/** What one window exported: one link of the chain, and its commit point. */
export interface Manifest {
  readonly stream: string;
  readonly seq: number;
  readonly kind: ManifestKind;
  readonly window: Span;
  /** The start of the window's look-back, if it had one: the window may hold events from this instant on. */
  readonly since?: EpochMs | undefined;
  readonly events: number;
  readonly late: number;
  /** How late the late events were when they were first seen. */
  readonly lateness?: LatenessCounts | undefined;
  /** Its events by kind: the most frequent ones, at most 50. Only for the status; it proves nothing. */
  readonly keys?: KindCounts | undefined;
  readonly objects: readonly StoredObject[];
  readonly delivered?: Delivered | undefined;
  /** The part of the window that the source no longer kept when it was read. */
  readonly missing?: Span | undefined;
  readonly quarantine: readonly QuarantineObject[];
  readonly ids: IdsFile | null;
  /** The previous link: its sequence and the SHA-256 of its first line. */
  readonly prev: { readonly seq: number; readonly sha256: string } | null;
  readonly source: {
    readonly type: string;
    readonly fingerprint: string;
    /** Where a line of the format `raw` has its id, time and kind. Manifests of earlier versions do not say it. */
    readonly members?: EventMembers | undefined;
  };
  readonly exporter: { readonly name: string; readonly version: string };
  /** The id of the key that signed it; null if it is not signed. It is in line 1, too, so that removing the signature is noticed. */
  readonly keyId: string | null;
}

/** A manifest as it is in the ledger. */
export interface Link {
  readonly manifest: Manifest;
  /** SHA-256 of its first line, which the next manifest names. */
  readonly sha256: string;
  /** Its first line, byte for byte: what is signed. */
  readonly line: string;
  readonly signature: Signature;
}

/** A manifest's second line. */
export type Signature =
  { readonly alg: "none" } | { readonly alg: "Ed25519"; readonly keyId: string; readonly sig: string };

const SCHEMA = "siem-export/manifest/v1";
const instant = z.string().transform((text, context) => {
  const read = parseInstant(text);
  if (read === undefined) context.addIssue({ code: "custom", message: "not an instant" });
  return read ?? (0 as EpochMs);
});
const count = z.int().min(0);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);
const span = z.object({ from: instant, to: instant });
const kind = z.enum(["window", "gap", "repair"]);

const members: z.ZodType<EventMembers> = z.object({
  id: z.array(z.object({ path: z.string(), format: z.enum(["text", "integer"]) })),
  idElse: z.literal("content").optional(),
  time: z.array(z.object({ path: z.string(), format: z.enum(["iso", "epoch-seconds", "epoch-milliseconds"]) })),
  kind: z.array(z.string()),
});

// Unknown members are accepted: a later version may add some, and an earlier version must be able to take the ledger back.
const PlanShape = span.extend({ seq: count.min(1), kind, since: instant, fingerprint: z.string() });
const ManifestShape = z.object({
  schema: z.literal(SCHEMA),
  stream: z.string(),
  seq: count.min(1),
  kind,
  window: span,
  since: instant.optional(),
  events: count,
  late: count,
  lateness: z.record(z.string(), count).optional(),
  keys: z.record(z.string(), count).optional(),
  objects: z.array(
    z.object({
      key: z.string(),
      bytes: count,
      sha256,
      contentSha256: sha256,
      contentBytes: count,
      lines: count,
      first: instant,
      last: instant,
    }),
  ),
  delivered: z
    .object({ lines: count, truncated: count.optional(), contentSha256: sha256, acknowledged: z.boolean() })
    .optional(),
  missing: span.optional(),
  quarantine: z.array(z.object({ key: z.string(), bytes: count, sha256, lines: count })),
  ids: z.object({ key: z.string(), sha256 }).nullable(),
  prev: z.object({ seq: count.min(1), sha256 }).nullable(),
  // Members in a form that only a later version knows count as absent: the chain does not depend on them.
  source: z.object({ type: z.string(), fingerprint: z.string(), members: members.optional().catch(undefined) }),
  exporter: z.object({ name: z.string(), version: z.string() }),
  keyId: z.string().nullable(),
});
const SignatureShape = z.discriminatedUnion("alg", [
  z.object({ alg: z.literal("none") }),
  z.object({ alg: z.literal("Ed25519"), keyId: z.string(), sig: z.string() }),
]);

/** A sequence in twelve digits, so that keys rise with it. */
export function seq12(seq: number): string {
  return String(seq).padStart(12, "0");
}

/** SHA-256, hex. */
export function sha256Of(bytes: Buffer | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/**
 * Identifies the settings with which a plan or manifest was made, without the token: `<identity>-<selection>`, 16 hex digits each.
 * The first half is that of the source's type, base URL and account, the second for the filter, own-reads policy and format.
 */
export function fingerprintOf(identity: SourceIdentity, selection: unknown, format: string): string {
  const { type, baseUrl, account } = identity;
  const half = (value: unknown) => sha256Of(JSON.stringify(value)).slice(0, 16);
  return `${half([type, baseUrl, account])}-${half([selection, format])}`;
}

/** True if both fingerprints are of the same source, whatever was selected from it. */
export function sameSource(one: string, other: string): boolean {
  return one.slice(0, 16) === other.slice(0, 16);
}

export function encodePlan({ seq, kind, from, to, since, fingerprint }: Plan): Buffer {
  const shown = {
    seq,
    kind,
    from: formatInstant(from),
    to: formatInstant(to),
    since: formatInstant(since),
    fingerprint,
  };
  return Buffer.from(`${JSON.stringify(shown)}\n`);
}

/** @throws LedgerError if it cannot be read; `place` names it in the message */
export function decodePlan(bytes: Buffer, place: string): Plan {
  const read = PlanShape.safeParse(parsedJson(bytes.toString()));
  if (!read.success) throw damaged(place, `not a plan (${reasonOf(read.error)})`);
  return read.data;
}

/** Signs a manifest's first line: the part of `Signer` in signature.ts that is needed here. */
interface SignsLines {
  readonly keyId: string;
  sign(line: string): string;
}

/** The two lines of a manifest: what was exported, and the signature over it if there is a `signer`. */
export function encodeManifest(
  draft: Omit<Manifest, "keyId">,
  signer?: SignsLines,
): { readonly bytes: Buffer; readonly link: Link } {
  const manifest: Manifest = { ...draft, keyId: signer?.keyId ?? null };
  const line = JSON.stringify({
    schema: SCHEMA,
    stream: manifest.stream,
    seq: manifest.seq,
    kind: manifest.kind,
    window: jsonSpan(manifest.window),
    ...(manifest.since !== undefined && { since: formatInstant(manifest.since) }),
    events: manifest.events,
    late: manifest.late,
    ...(manifest.lateness && { lateness: manifest.lateness }),
    ...(manifest.keys && { keys: manifest.keys }),
    objects: manifest.objects.map(({ key, bytes, sha256, contentSha256, contentBytes, lines, first, last }) => ({
      ...{ key, bytes, sha256, contentSha256, contentBytes, lines },
      first: formatInstant(first),
      last: formatInstant(last),
    })),
    ...(manifest.delivered && { delivered: manifest.delivered }),
    ...(manifest.missing && { missing: jsonSpan(manifest.missing) }),
    quarantine: manifest.quarantine.map(({ key, bytes, sha256, lines }) => ({ key, bytes, sha256, lines })),
    ids: manifest.ids,
    prev: manifest.prev,
    source: shownSource(manifest.source),
    exporter: manifest.exporter,
    keyId: manifest.keyId,
  });
  const signature: Signature =
    signer === undefined ? { alg: "none" } : { alg: "Ed25519", keyId: signer.keyId, sig: signer.sign(line) };
  const bytes = Buffer.from(`${line}\n${JSON.stringify(signature)}\n`);
  return { bytes, link: { manifest, sha256: sha256Of(line), line, signature } };
}

/** @throws LedgerError if it cannot be read, or is not the manifest of this stream and sequence; `place` names it in the message */
export function decodeManifest(bytes: Buffer, stream: string, seq: number, place: string): Link {
  const lines = bytes.toString().split("\n");
  const [line = "", second = ""] = lines;
  const signature = SignatureShape.safeParse(parsedJson(second));
  if (lines.length !== 3 || lines[2] !== "" || !signature.success) {
    throw damaged(place, "it is cut, or has not exactly two lines");
  }
  const read = ManifestShape.safeParse(parsedJson(line));
  if (!read.success) throw damaged(place, `line 1 is not a manifest (${reasonOf(read.error)})`);
  if (read.data.stream !== stream) throw damaged(place, `it belongs to the stream ${JSON.stringify(read.data.stream)}`);
  if (read.data.seq !== seq) throw damaged(place, `it is manifest ${read.data.seq} under another name`);
  return { manifest: read.data, sha256: sha256Of(line), line, signature: signature.data };
}

function shownSource({ type, fingerprint, members }: Manifest["source"]): Manifest["source"] {
  return { type, fingerprint, ...(members && { members }) };
}

function damaged(place: string, what: string): LedgerError {
  return new LedgerError(`read ${place}: ${what}`, { hint: RESTORE_HINT });
}

/** What to do about a damaged ledger. */
export const RESTORE_HINT =
  "the ledger is damaged; restore the file from a backup or an older version, or continue under a new stream name with windows.start at the last good instant";

function reasonOf({ issues }: z.ZodError): string {
  const [issue] = issues;
  return issue === undefined ? "unknown" : `${issue.path.join(".") || "the whole"}: ${issue.message}`;
}

/** The counts that a manifest gives for its window. */
export function committedOf(manifest: Omit<Manifest, "prev" | "keyId">): Committed {
  const { kind: type, seq: sequence, window, events, late, missing, lateness, keys, objects, quarantine } = manifest;
  return {
    ...{ type, sequence, window, events, late, missing, lateness, keys },
    quarantined: quarantine.reduce((sum, { lines }) => sum + lines, 0),
    objects: objects.length,
    bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0),
  };
}
