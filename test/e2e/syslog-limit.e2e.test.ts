import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { tick } from "../../src/export/tick.ts";
import { raw } from "../../src/formats/raw.ts";
import type { SyslogOptions } from "../../src/sinks/syslog/syslog.ts";
import { epochMs, HOUR_MS } from "../../src/time.ts";
import { readSyslog } from "../support/messages.ts";
import { pachcaEvent, recordOf } from "../support/peculiar.ts";
import { rsyslogInstalled, startRsyslog, type Rsyslog } from "../support/rsyslog.ts";
import { plan, RSYSLOG_MAX_BYTES, syslogTo, writeAll } from "../support/syslog-sink.ts";
import { linesIn, manifestsIn, memorySource, never, START, world } from "../support/world.ts";

describe.skipIf(!rsyslogInstalled())("rsyslog with its own limit of 8096 octets", () => {
  let rsyslog: Rsyslog<"tcp" | "udp" | "relp">;
  beforeAll(async () => {
    rsyslog = await startRsyslog(["tcp", "udp", "relp"]);
  });
  beforeEach(() => {
    rsyslog.forget();
  });
  afterAll(() => rsyslog.stop());

  const WAYS = [
    ["tcp", "octet-counting"],
    ["tcp", "newline"],
    ["udp", "octet-counting"],
    ["relp", "octet-counting"],
  ] as const;
  const sink = (
    transport: "tcp" | "udp" | "relp",
    framing: SyslogOptions["framing"],
    options: Partial<SyslogOptions> = {},
  ) => syslogTo({ transport, framing, port: rsyslog.ports[transport] }, raw.of(memorySource([])), options);
  const next = pachcaEvent(2, START, "the one behind it");

  test.each(WAYS)("%s, %s: a message of that length arrives whole, a longer one is cut", async (transport, framing) => {
    const withLimit = (maxMessageBytes: number) => sink(transport, framing, { maxMessageBytes });
    // With the longest possible sequence, because its octets are reserved.
    const longest = { ...plan, seq: 999_999_999_999 };
    const ofLength = (length: number) => pachcaEvent(1, START, "я".padEnd(length, "x"));
    await writeAll(withLimit(1000), [ofLength(100)], longest);
    const [short] = await rsyslog.received(1);
    const length = 100 + RSYSLOG_MAX_BYTES - Buffer.byteLength(short!.wire);

    await writeAll(withLimit(RSYSLOG_MAX_BYTES), [ofLength(length), next], longest);
    const [, whole, behind] = await rsyslog.received(3);
    expect(Buffer.byteLength(whole!.wire)).toBe(RSYSLOG_MAX_BYTES);
    expect(whole!.message).toBe(ofLength(length).record.toString());
    expect(behind!.message).toBe(next.record.toString());

    // Acknowledged where the transport can, but not as sent: the worker has to keep the limit.
    await writeAll(withLimit(RSYSLOG_MAX_BYTES + 1), [ofLength(length + 1)], longest);
    const [, , , cut] = await rsyslog.received(4);
    expect(
      ofLength(length + 1)
        .record.toString()
        .startsWith(cut!.message),
    ).toBe(true);
    expect(() => JSON.parse(cut!.message) as unknown).toThrow();
  });

  test.each(WAYS)(
    "%s, %s: an event of 9 KB is shortened to valid JSON that is marked as shortened",
    async (transport, framing) => {
      const large = pachcaEvent(1, START, { text: "Очень длинный. ".repeat(330), kept: 12 });
      expect(large.record.length).toBeGreaterThan(9000);
      expect(sink(transport, framing).refuses?.(large)).toBeUndefined();
      await writeAll(sink(transport, framing), [large, next]);
      const [shortened, behind] = await rsyslog.received(2);
      const { data, message } = readSyslog(shortened!.wire);
      expect(data["event@32473"]).toMatchObject({ id: large.id, truncated: "true" });
      const { details, ...rest } = JSON.parse(message) as { details: { text?: string } };
      const { details: _, ...whole } = recordOf(large);
      expect(rest).toEqual({ ...whole, truncated: true });
      expect("Очень длинный. ".repeat(330).startsWith(details.text!)).toBe(true);
      expect(details.text!.length).toBeGreaterThan(3000);
      expect(Buffer.byteLength(shortened!.wire)).toBeLessThanOrEqual(RSYSLOG_MAX_BYTES);
      expect(shortened!.message).toBe(message);
      expect(behind!.message).toBe(next.record.toString());
    },
  );

  test("with the policy quarantine, an event of 9 KB is quarantined whole, and the others arrive", async () => {
    const large = pachcaEvent(1, START, "x".repeat(9000));
    const files = new Map<string, Buffer>();
    const { pipeline } = world([large, next], { files });
    const patient = { ...pipeline, sink: sink("relp", "octet-counting", { oversize: "quarantine" }) };
    const { events, quarantined } = await tick(patient, epochMs(START + HOUR_MS), never);
    expect([events, quarantined]).toEqual([1, 1]);
    expect((await rsyslog.received(1)).map(({ message }) => message)).toEqual([next.record.toString()]);
    const aside = linesIn(
      files,
      manifestsIn(files).flatMap(({ quarantine }) => quarantine.map(({ key }) => key)),
    );
    expect(aside).toHaveLength(1);
    expect(aside[0]).toContain("x".repeat(9000));
    expect(aside[0]).toContain("larger than sink.maxMessageBytes (8096)");
  });
});
