import { ID_BYTES, idSet, type IdSet } from "../ledger/ids.ts";
import { manifestKey } from "../ledger/head.ts";
import type { Manifest } from "../ledger/manifest.ts";
import { wrong, type ArchiveFinding } from "./finding.ts";
import type { FileVerdict } from "./object.ts";

/**
 * An event is compared with at least so many events before it, at most twice as many. Windows that overlap are close to each other
 * in the chain, so this covers hours of the busiest log. It takes at most 64 MB.
 */
const RECENT_IDS = 500_000;

/** The ids of the newest events so far. */
export interface RecentIds {
  /** Adds packed ids. Returns those that it already had. */
  add(ids: Buffer): Buffer[];
}

export function recentIds(limit = RECENT_IDS): RecentIds {
  let newer = idSet();
  let older = idSet();
  return {
    add(ids) {
      const known = knownOf(ids, newer, older);
      if (newer.size > limit) {
        older = newer;
        newer = idSet();
      }
      newer.addPacked(ids);
      return known;
    },
  };
}

/** The ids of a packed list that are in one of the sets. */
export function knownOf(ids: Buffer, ...sets: readonly IdSet[]): Buffer[] {
  const known: Buffer[] = [];
  for (let at = 0; at < ids.length; at += ID_BYTES) {
    if (sets.some((set) => set.hasPacked(ids, at))) known.push(ids.subarray(at, at + ID_BYTES));
  }
  return known;
}

/** Where the counts of a manifest contradict each other. */
export function judgeCounts(manifest: Manifest): ArchiveFinding[] {
  const { seq, kind, events, late, objects, delivered, quarantine, ids } = manifest;
  const key = manifestKey(seq);
  const lines = delivered?.lines ?? objects.reduce((sum, object) => sum + object.lines, 0);
  const findings: ArchiveFinding[] = [];
  if (events !== lines) findings.push(wrong("COUNT_WRONG", key, seq, `${events} events, but ${lines} lines`));
  if (late > events) findings.push(wrong("COUNT_WRONG", key, seq, `${late} of its ${events} events are late`));
  if (kind === "gap" && lines > 0) findings.push(wrong("COUNT_WRONG", key, seq, `a gap with ${lines} lines`));
  if (ids === null && events + quarantine.length > 0) {
    findings.push(wrong("IDS_MISSING", key, seq, "it names no ids file, yet it has events or items"));
  }
  return findings;
}

/** Compares the files of one window with each other and with its manifest. */
export interface CrossCheck {
  addObject(key: string, verdict: FileVerdict): void;
  addQuarantine(verdict: FileVerdict): void;
  addIds(verdict: FileVerdict): void;
  /** Where they contradict each other. Nothing when a file is missing or altered, which is a finding of that file. */
  end(): { readonly findings: readonly ArchiveFinding[]; readonly eventIds: Buffer };
}

export function crossCheckOf(manifest: Manifest): CrossCheck {
  const { seq } = manifest;
  const eventIds: Buffer[] = [];
  const all = idSet();
  const items = idSet();
  const findings: ArchiveFinding[] = [];
  let ids: Buffer = Buffer.alloc(0);
  let late = 0;
  /** How many files could be read. */
  let files = 0;

  return {
    addObject(key, verdict) {
      late += verdict.late;
      if (verdict.ids === undefined) return;
      files++;
      eventIds.push(verdict.ids);
      const expected = all.size + verdict.ids.length / ID_BYTES;
      all.addPacked(verdict.ids);
      if (all.size < expected) {
        const message = `${expected - all.size} of its events are twice in this window`;
        findings.push(wrong("DUPLICATE_EVENT", key, seq, message));
      }
    },

    addQuarantine(verdict) {
      if (verdict.ids === undefined) return;
      files++;
      for (const set of [all, items]) set.addPacked(verdict.ids);
    },

    addIds(verdict) {
      if (verdict.ids === undefined) return;
      files++;
      ids = verdict.ids;
    },

    end() {
      const { delivered, events, objects, quarantine } = manifest;
      const isWhole = files === objects.length + quarantine.length + 1;
      const key = manifest.ids?.key ?? manifestKey(seq);
      const isKept = delivered === undefined;
      if (isWhole && isKept && !all.sorted().equals(ids)) {
        const message = `its ${ids.length / ID_BYTES} ids are not the ${all.size} of the window's events and items`;
        findings.push(wrong("IDS_ALTERED", key, seq, message));
      }
      if (isWhole && !isKept && (ids.length / ID_BYTES !== events + items.size || !includes(ids, items))) {
        const message = `its ${ids.length / ID_BYTES} ids are not those of ${events} events and ${items.size} items`;
        findings.push(wrong("IDS_ALTERED", key, seq, message));
      }
      if (isWhole && objects.length > 0 && late !== manifest.late) {
        const message = `it says ${manifest.late} late events, ${late} are older than its window`;
        findings.push(wrong("COUNT_WRONG", manifestKey(seq), seq, message));
      }
      return { findings, eventIds: isKept ? Buffer.concat(eventIds) : without(ids, items) };
    },
  };
}

/** Whether a packed list has all ids of the set. */
function includes(ids: Buffer, set: IdSet): boolean {
  return knownOf(ids, set).length === set.size;
}

/** The ids of a packed list that are not in the set. */
function without(ids: Buffer, set: IdSet): Buffer {
  const rest: Buffer[] = [];
  for (let at = 0; at < ids.length; at += ID_BYTES) {
    if (!set.hasPacked(ids, at)) rest.push(ids.subarray(at, at + ID_BYTES));
  }
  return Buffer.concat(rest);
}
