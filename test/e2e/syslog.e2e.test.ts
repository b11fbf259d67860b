import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Format } from "../../src/format.ts";
import { formatOf, FORMATS, type FormatName } from "../../src/formats/index.ts";
import type { AuditEvent } from "../../src/source.ts";
import { pachca } from "../../src/sources/pachca/pachca.ts";
import { readCef, readLeef, readSyslog } from "../support/messages.ts";
import { peculiarEvents, recordOf } from "../support/peculiar.ts";
import type { Received, Receiver } from "../support/receiver.ts";
import { rsyslogInstalled, startRsyslog, type Rsyslog } from "../support/rsyslog.ts";
import { startSyslogNg, syslogNgInstalled, type SyslogNg } from "../support/syslog-ng.ts";
import { syslogTo, tlsOf, writeAll, type Way } from "../support/syslog-sink.ts";
import { memorySource, START } from "../support/world.ts";
import type { Delivered } from "../../src/sink.ts";

const { vocabulary } = pachca;

const EVENTS = 10_000;
/** One format tests a transport with many events. Fewer suffice for the others. */
const FEWER_EVENTS = 2000;
const history = peculiarEvents(EVENTS, START);

const source = { ...memorySource(history), vocabulary };

/** RFC 5424's numbers: 2 critical, 4 warning, 5 notice, 6 informational. */
function severityOf(key: string): number {
  const { severity } = vocabulary.kind(key);
  return severity >= 9 ? 2 : severity >= 7 ? 4 : severity >= 4 ? 5 : 6;
}

/** Checks header, structured data and line of a message, read without code of the product. */
function expectSame(received: Received, event: AuditEvent, format: Format): void {
  const header = {
    ...{ timestamp: new Date(event.time).toISOString(), hostname: "acme", appName: "siem-export" },
    ...{ messageId: event.key, processId: "-" },
  };
  const message = format.line(event).toString();
  const parameters = { id: event.id, stream: "pachca-acme", sequence: "42" };
  const priority = 13 * 8 + severityOf(event.key);
  const data = { "event@32473": parameters };
  expect(readSyslog(received.wire)).toEqual({ ...header, priority, data, message });
  // The receiver parsed the same.
  expect(received).toMatchObject({
    ...{ priority: `${priority}`, hostname: "acme", appName: "siem-export", messageId: event.key, message },
    structuredData: `[event@32473 id="${event.id}" stream="pachca-acme" sequence="42"]`,
  });
  expect(Date.parse(received.timestamp)).toBe(event.time);
}

/** Checks a line of each format, with a parser written from the specification. */
const READERS: Readonly<Record<FormatName, (line: string, event: AuditEvent) => void>> = {
  raw: (line, { record }) => {
    expect(line).toBe(record.toString());
  },
  cef: (line, event) => {
    const { header, values } = readCef(line);
    const { actor_id, entity_id, ip_address, user_agent, details } = recordOf(event);
    const { name, severity, category } = vocabulary.kind(event.key);
    expect(header).toEqual(["Pachca", "Audit", "1.0", event.key, name, `${severity}`]);
    expect(values).toMatchObject({
      ...{ rt: `${event.time}`, externalId: event.id, cat: category, suid: actor_id, duid: entity_id },
      ...(ip_address.includes(":") ? { c6a2: ip_address, c6a2Label: "Source IPv6 Address" } : { src: ip_address }),
      ...{ requestClientApplication: pictured(user_agent, /[\n\r]/), cs4Label: "details" },
    });
    expect(JSON.parse(values["cs4"] ?? "")).toEqual({ details });
  },
  leef: (line, event) => {
    const { header, values } = readLeef(line);
    const { actor_id, entity_id, ip_address, user_agent, details } = recordOf(event);
    const { severity, category } = vocabulary.kind(event.key);
    expect(header).toEqual(["Pachca", "Audit", "1.0", event.key]);
    expect(values).toMatchObject({
      ...{ devTime: `${event.time}`, eventId: event.id, cat: category, sev: `${severity}` },
      ...{ usrName: actor_id, resource: entity_id, src: ip_address },
      userAgent: pictured(user_agent.replaceAll(/[\t\n\r]/g, " ")),
    });
    expect(JSON.parse(values["details"] ?? "")).toEqual({ details });
  },
};

/** Replaces each control character by its picture, except those that the format can escape. */
function pictured(text: string, escaped = /(?!)/): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => {
    if (escaped.test(character) || character > "\x7f") return character;
    return character === "\x7f" ? "\u2421" : String.fromCharCode(0x2400 + character.charCodeAt(0));
  });
}

/** Sends the first `count` events and expects each of them once and whole. */
async function expectAll(receiver: Receiver<string>, way: Way, formatName: FormatName, count: number) {
  receiver.forget();
  const format = formatOf(formatName, source);
  const events = history.slice(0, count);
  const { delivered } = (await writeAll(syslogTo(way, format), events)) as { delivered: Delivered };
  expect(delivered).toMatchObject({ lines: count, acknowledged: way.transport.startsWith("relp") });
  const received = await receiver.received(count);
  const byId = new Map(received.map((one) => [readSyslog(one.wire).data["event@32473"]?.["id"], one]));
  expect([byId.size, received.length]).toEqual([count, count]);
  for (const event of events) {
    const one = byId.get(event.id);
    if (one === undefined) throw new Error(`${event.id} did not arrive`);
    expectSame(one, event, format);
    READERS[formatName](one.message, event);
  }
}

const CASES = FORMATS.map(({ name }) => [name, name === "raw" ? EVENTS : FEWER_EVENTS] as const);

describe.skipIf(!rsyslogInstalled())("rsyslog", () => {
  let rsyslog: Rsyslog<"udp" | "tcp" | "tls" | "relp" | "relpTls">;
  beforeAll(async () => {
    rsyslog = await startRsyslog(["udp", "tcp", "tls", "relp", "relpTls"], "FixedArray");
  });
  afterAll(() => rsyslog.stop());

  const places = (): Readonly<Record<string, Way>> => {
    const { ports } = rsyslog;
    const plain = { framing: "octet-counting", tls: undefined } as const;
    const secure = { framing: "octet-counting", tls: tlsOf(rsyslog) } as const;
    return {
      "tcp, octets counted": { transport: "tcp", port: ports.tcp, ...plain },
      "tcp, a line a message": { transport: "tcp", port: ports.tcp, ...plain, framing: "newline" },
      udp: { transport: "udp", port: ports.udp, ...plain },
      tls: { transport: "tls", port: ports.tls, ...secure },
      relp: { transport: "relp", port: ports.relp, ...plain },
      "relp+tls": { transport: "relp+tls", port: ports.relpTls, ...secure },
    };
  };

  const names = ["tcp, octets counted", "tcp, a line a message", "udp", "tls", "relp", "relp+tls"];
  describe.each(names)("%s", (name) => {
    // A busy machine may drop datagrams.
    const retry = name === "udp" ? 2 : 0;
    test.each(CASES)("%s: all %i events arrive as sent", { retry }, async (format, count) => {
      await expectAll(rsyslog, places()[name]!, format, count);
    });
  });
});

describe.skipIf(!syslogNgInstalled())("syslog-ng", () => {
  let syslogNg: SyslogNg;
  beforeAll(async () => {
    syslogNg = await startSyslogNg();
  });
  afterAll(() => syslogNg.stop());

  const places = (): Readonly<Record<string, Way>> => {
    const { ports } = syslogNg;
    const plain = { framing: "octet-counting", tls: undefined } as const;
    return {
      "tcp, octets counted": { transport: "tcp", port: ports.tcp, ...plain },
      "tcp, a line a message": { transport: "tcp", port: ports.tcpLines, ...plain, framing: "newline" },
      tls: { transport: "tls", port: ports.tls, framing: "octet-counting", tls: tlsOf(syslogNg) },
    };
  };

  describe.each(["tcp, octets counted", "tcp, a line a message", "tls"])("%s", (name) => {
    test.each(CASES)("%s: all %i events arrive as sent", async (format, count) => {
      await expectAll(syslogNg, places()[name]!, format, count);
    });
  });
});
