import fc from "fast-check";
import { expect, test } from "vitest";
import { tick } from "../../../src/export/tick.ts";
import type { Format } from "../../../src/format.ts";
import type { AuditEvent } from "../../../src/source.ts";
import { syslogSink } from "../../../src/sinks/syslog/syslog.ts";
import { messages, type MessageOptions } from "../../../src/sinks/syslog/message.ts";
import { epochMs, MINUTE_MS } from "../../../src/time.ts";
import { octetReceiver, parseSyslog } from "../../support/syslog.ts";
import { at, eventsOver, manifestsIn, never, START, world } from "../../support/world.ts";
import { FORMAT, OPTIONS, VOCABULARY } from "./batch.ts";

const messagesWith = (options: Partial<MessageOptions> = {}) =>
  messages({ ...OPTIONS, ...options }, FORMAT, VOCABULARY);

const EVENT: AuditEvent = {
  id: "0b9f6e3a",
  time: at("2026-11-20T10:00:00Z"),
  key: "user_2fa_fail",
  record: Buffer.from('{"id":"0b9f6e3a"}'),
};

test("a message follows RFC 5424, with the event's own time and key", () => {
  expect(messagesWith().of(EVENT, 42).octets.toString()).toBe(
    "<108>1 2026-11-20T10:00:00.000Z exporter.example siem-export - user_2fa_fail " +
      '[event@32473 id="0b9f6e3a" stream="acme" sequence="42"] {"id":"0b9f6e3a"}',
  );
});

test("each CEF severity has a syslog severity", () => {
  const severities = Array.from({ length: 11 }, (_, severity) => {
    const vocabulary = { ...VOCABULARY, kind: () => ({ name: "", category: "", severity }) };
    return parseSyslog(messages(OPTIONS, FORMAT, vocabulary).of(EVENT, 1).octets).severity;
  });
  expect(severities).toEqual([6, 6, 6, 6, 5, 5, 5, 4, 4, 2, 2]);
});

test("a key becomes a MSGID of at most 32 printable ASCII characters, or none", () => {
  const idOf = (key: string) => parseSyslog(messagesWith().of({ ...EVENT, key }, 1).octets).messageId;
  expect(idOf("user login")).toBe("userlogin");
  expect(idOf("вход:login")).toBe(":login");
  expect(idOf("вход")).toBe("-");
  expect(idOf("")).toBe("-");
  expect(idOf("k".repeat(40))).toBe("k".repeat(32));
});

const anyEvent: fc.Arbitrary<AuditEvent> = fc.record({
  id: fc.string({ unit: "binary", maxLength: 60 }),
  time: fc.integer({ min: at("2000-01-01T00:00:00Z"), max: at("2100-01-01T00:00:00Z") }).map(epochMs),
  key: fc.string({ unit: "binary", maxLength: 50 }),
  record: fc.json({ stringUnit: "binary" }).map((json) => Buffer.from(json)),
});

/** A text as UTF-8 can represent it: half a surrogate pair becomes U+FFFD. */
const wellFormed = (text: string) => Buffer.from(text).toString();

test("an independent parser reads any event back from its message", () => {
  fc.assert(
    fc.property(anyEvent, fc.string({ unit: "binary" }), fc.nat(23), fc.nat(), (event, stream, facility, sequence) => {
      const { octets, line } = messagesWith({ facility, stream, maxMessageBytes: 1 << 20 }).of(event, sequence);
      const parsed = parseSyslog(octets);
      const shown = (text: string) =>
        Array.from(wellFormed(text), (letter) => (/\p{Cc}/u.test(letter) ? "\ufffd" : letter)).join("");
      expect(parsed).toMatchObject({ facility, severity: 6, hostname: OPTIONS.hostname, appName: OPTIONS.appName });
      expect(parsed.timestamp).toBe(new Date(event.time).toISOString());
      expect(parsed.id).toBe("event@32473");
      expect(parsed.params).toEqual({ id: shown(event.id), stream: shown(stream), sequence: `${sequence}` });
      expect(parsed.text.equals(event.record)).toBe(true);
      expect(line.equals(event.record)).toBe(true);
      // Framing by newlines relies on this.
      expect(octets.includes("\n")).toBe(false);
    }),
    { numRuns: 500 },
  );
});

test("no message is larger than the limit or cut, and an event is refused only if its message would be too large", () => {
  const sizes = fc.record({ max: fc.integer({ min: 100, max: 600 }), letters: fc.nat(700) });
  fc.assert(
    fc.property(sizes, fc.constantFrom("truncate" as const, "quarantine" as const), ({ max, letters }, oversize) => {
      const event = { ...EVENT, id: "событие", record: Buffer.from(`"${"ж".repeat(letters)}"`) };
      const limited = messagesWith({ maxMessageBytes: max, oversize });
      // The longest sequence.
      const sequence = 123_456_789_012;
      const whole = messagesWith({ maxMessageBytes: 1 << 20 }).of(event, sequence).octets;
      const refusal = limited.refuses(event);
      if (refusal !== undefined) {
        expect(refusal).toBe(`larger than sink.maxMessageBytes (${max})`);
        expect(whole.length).toBeGreaterThan(max);
        // The least that a shortened message needs in the format of these tests.
        if (oversize === "truncate") expect(max).toBeLessThan(whole.length - event.record.length + 45);
        return;
      }
      const { octets, line } = limited.of(event, sequence);
      expect(octets.length).toBeLessThanOrEqual(max);
      const { params, text } = parseSyslog(octets);
      expect(text.equals(line)).toBe(true);
      if (whole.length <= max) expect(octets.equals(whole)).toBe(true);
      else {
        expect(params["truncated"]).toBe("true");
        expect(JSON.parse(text.toString())).toMatchObject({ truncated: true });
      }
    }),
    { numRuns: 500 },
  );
});

test("an event that the format cannot shorten is refused, for quarantine", () => {
  const unshortenable: Format = { ...FORMAT, shorten: () => undefined };
  const event = { ...EVENT, record: Buffer.alloc(9000, "x") };
  expect(messages(OPTIONS, unshortenable, VOCABULARY).refuses(event)).toBe("larger than sink.maxMessageBytes (8192)");
});

test("each event is formatted once between source and receiver, also if it is shortened", async () => {
  const receiver = await octetReceiver();
  const history = eventsOver(START, epochMs(START + 5 * MINUTE_MS), 100).map((event, index) =>
    index === 50 ? { ...event, record: Buffer.from(`"${"x".repeat(9000)}"`) } : event,
  );
  const formatted: string[] = [];
  const counting: Format = {
    ...FORMAT,
    line(event) {
      formatted.push(event.id);
      return FORMAT.line(event);
    },
  };
  const { pipeline } = world(history);
  const sink = syslogSink({ ...OPTIONS, port: receiver.port }, counting, VOCABULARY, () => undefined);
  await tick({ ...pipeline, sink }, epochMs(START + 7 * MINUTE_MS), never);
  await receiver.heard(100);
  expect(receiver.messages.filter((message) => message.includes('truncated="true"'))).toHaveLength(1);
  expect(formatted.sort()).toEqual(history.map(({ id }) => id).sort());
});

test("the manifest says how many events were shortened, and a fact reports it when their window is committed", async () => {
  const receiver = await octetReceiver();
  const history = eventsOver(START, epochMs(START + 10 * MINUTE_MS), 20).map((event, index) =>
    index === 5 || index === 7 ? { ...event, record: Buffer.from(`"${"x".repeat(9000)}"`) } : event,
  );
  const { pipeline, facts, files } = world(history, { batch: { maxEvents: 6, maxBytes: 1 << 20 } });
  const sink = syslogSink({ ...OPTIONS, port: receiver.port }, FORMAT, VOCABULARY, () => undefined);
  await tick({ ...pipeline, sink }, epochMs(START + 12 * MINUTE_MS), never);
  const delivered = manifestsIn(files).map((manifest) => manifest.delivered?.truncated);
  expect(delivered).toEqual([2, undefined]);
  expect(facts.filter(({ kind }) => kind === "events.truncated")).toEqual([
    { kind: "events.truncated", sequence: 1, events: 2 },
  ]);
});

test("an event that is refused goes to quarantine, and its window is committed without it", async () => {
  const receiver = await octetReceiver();
  const history = eventsOver(START, epochMs(START + 5 * MINUTE_MS), 10).map((event, index) =>
    index === 5 ? { ...event, record: Buffer.from(`"${"x".repeat(9000)}"`) } : event,
  );
  const { pipeline, facts } = world(history);
  const options = { ...OPTIONS, port: receiver.port, oversize: "quarantine" as const };
  const sink = syslogSink(options, FORMAT, VOCABULARY, () => undefined);
  await tick({ ...pipeline, sink }, epochMs(START + 7 * MINUTE_MS), never);
  await receiver.heard(9);
  expect(facts).toContainEqual(
    expect.objectContaining({ kind: "items.quarantined", reasons: ["larger than sink.maxMessageBytes (8192)"] }),
  );
  expect(receiver.messages).toHaveLength(9);
});
