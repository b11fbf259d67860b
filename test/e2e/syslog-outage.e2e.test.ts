import { EventEmitter, once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { tick } from "../../src/export/tick.ts";
import type { ObserveStream } from "../../src/fact.ts";
import { raw } from "../../src/formats/raw.ts";
import type { Batch, Sink } from "../../src/sink.ts";
import type { AuditEvent } from "../../src/source.ts";
import { fileStore } from "../../src/stores/file/file.ts";
import { epochMs, HOUR_MS, type Span } from "../../src/time.ts";
import { readFolder } from "../support/archive.ts";
import { readSyslog } from "../support/messages.ts";
import { peculiarEvents } from "../support/peculiar.ts";
import type { Receiver } from "../support/receiver.ts";
import { rsyslogInstalled, startRsyslog } from "../support/rsyslog.ts";
import { syslogTo, tlsOf, type Way } from "../support/syslog-sink.ts";
import { manifestsIn, never, POLICY, START, world } from "../support/world.ts";
import type { Pipeline } from "../../src/export/pipeline.ts";

const EVENTS = 20_000;
/** The settled hours of the history, one window each. */
const after = (hours: number) => epochMs(START + hours * HOUR_MS + POLICY.lagMs);
/** Retries as often as a worker over several ticks, but faster. */
const PATIENT = { attempts: 200, baseMs: 50, capMs: 200 };

describe.skipIf(!rsyslogInstalled())("a receiver that stops", { timeout: 120_000 }, () => {
  let rsyslog: Receiver<string> | undefined;
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "siem-export-outage-"));
  });
  afterEach(async () => {
    await rsyslog?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Exports a history in memory to the receiver, with a ledger in a folder. */
  function pipelineTo(way: Way, history: readonly AuditEvent[], observe: ObserveStream): Pipeline {
    const { pipeline, source } = world(history, { store: fileStore(folder), source: { pageSize: 500 }, observe });
    const batch = { maxEvents: 50_000, maxBytes: 32 << 20 };
    return { ...pipeline, batch, sink: syslogTo(way, raw.of(source), { retry: PATIENT }, observe) };
  }

  const manifests = () => manifestsIn(new Map(readFolder(folder)));

  test("RELP, killed ten times: each event arrives, and what is committed has arrived", async () => {
    const kills = 10;
    const history = peculiarEvents(EVENTS, START);
    const relp = await startRsyslog(["relp"]);
    rsyslog = relp;
    const windows: Span[] = [];
    const missing: string[] = [];
    let retries = 0;
    const observe: ObserveStream = (fact) => {
      if (fact.kind === "retrying") retries++;
      if (fact.kind !== "window.committed") return;
      windows.push(fact.window);
      const there = new Set(idsIn(relp));
      missing.push(...idsOf(history, fact.window).filter((id) => !there.has(id)));
    };
    const pipeline = pipelineTo({ transport: "relp", port: relp.ports.relp }, history, observe);
    const killing = async () => {
      for (let kill = 1; kill <= kills; kill++) {
        await relp.received((kill * EVENTS) / (kills + 1));
        await relp.kill();
        await relp.start();
      }
    };
    const startMs = performance.now();
    const [{ events }] = await Promise.all([tick(pipeline, after(6), never), killing()]);
    const seconds = (performance.now() - startMs) / 1000;

    const ids = idsIn(relp);
    expect([events, windows.length]).toEqual([EVENTS, 6]);
    expect([...new Set(ids)].sort()).toEqual(history.map(({ id }) => id).sort());
    expect(missing).toEqual([]);
    // The sink may not notice a kill between two windows.
    expect(retries).toBeGreaterThanOrEqual(kills / 2);
    const delivered = manifests().map((manifest) => manifest.delivered);
    expect(delivered.every((one) => one?.acknowledged === true)).toBe(true);
    expect(delivered.reduce((sum, one) => sum + (one?.lines ?? 0), 0)).toBe(EVENTS);
    const repeats = ids.length - EVENTS;
    // Only messages without an acknowledgement are sent again.
    expect(repeats).toBeLessThanOrEqual(kills * 128);
    const figures = `${repeats} of ${EVENTS} events came twice, none was lost; ${retries} retries, ${seconds.toFixed(1)} s`;
    console.log(`RELP, rsyslog killed ${kills} times: ${figures}`);
  });

  test.each(["tcp", "tls"] as const)(
    "%s, killed within a batch: the batch is written again, and not committed before",
    async (transport) => {
      // One window with one batch. Its second half comes only after the receiver is killed.
      const history = peculiarEvents(EVENTS, START, 100);
      const gone = new AbortController();
      const receiver = await startRsyslog([transport]);
      rsyslog = receiver;
      const facts = new EventEmitter();
      const observe: ObserveStream = ({ kind }) => facts.emit(kind);
      const tls = transport === "tls" ? tlsOf(receiver) : undefined;
      const whole = pipelineTo({ transport, port: receiver.ports[transport], tls }, history, observe);
      const pipeline = { ...whole, sink: inHalves(whole.sink, gone.signal) };

      const ended = new AbortController();
      const done = tick(pipeline, after(1), never).finally(() => ended.abort());
      const retrying = () => once(facts, "retrying", { signal: ended.signal });
      await receiver.received(2000);
      await receiver.kill();
      receiver.forget();
      const twice = retrying().then(retrying);
      gone.abort();
      await twice;
      expect(manifests()).toEqual([]);

      await receiver.start();
      const { events } = await done;
      expect(events).toBe(EVENTS);
      await receiver.received(EVENTS);
      expect(idsIn(receiver).sort()).toEqual(history.map(({ id }) => id).sort());
      expect(manifests()).toMatchObject([{ events: EVENTS, delivered: { lines: EVENTS, acknowledged: false } }]);
    },
  );
});

/** The same sink, which gets the second half of its events when `signal` is aborted. */
function inHalves(sink: Sink, signal: AbortSignal): Sink {
  async function* halves(chunks: Batch["chunks"]) {
    let count = 0;
    for await (const events of chunks) {
      if (count >= EVENTS / 2 && !signal.aborted) await once(signal, "abort");
      yield events;
      count += events.length;
    }
  }
  return { ...sink, write: ({ chunks, ...batch }, stop) => sink.write({ ...batch, chunks: halves(chunks) }, stop) };
}

/** The messages in the receiver's file, in order, with repetitions. */
function idsIn(receiver: Receiver<string>): string[] {
  return receiver.written().map(({ wire }) => readSyslog(wire).data["event@32473"]?.["id"] ?? "");
}

function idsOf(history: readonly AuditEvent[], { from, to }: Span): string[] {
  return history.filter(({ time }) => time >= from && time < to).map(({ id }) => id);
}
