import fc from "fast-check";
import { expect, test } from "vitest";
import { cef } from "../../src/formats/cef.ts";
import { isPoison, type AuditEvent } from "../../src/source.ts";
import { epochMs } from "../../src/time.ts";
import { pachca } from "../../src/sources/pachca/pachca.ts";
import {
  anyEvent,
  anyKind,
  anyMeaning,
  expectSame,
  isSomeOf,
  RUNS,
  shown,
  sourceWith,
  vocabularyWith,
} from "./texts.ts";

const pachcaVocabulary = pachca.vocabulary;

interface CefLine {
  /** Version, vendor, product, device version, class id, name, severity. */
  readonly header: readonly string[];
  readonly extension: ReadonlyMap<string, string>;
}

/** Parses by the specification, character by character. Throws at anything that it does not allow. */
function parseCef(line: Buffer): CefLine {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(line);
  if (/[^\P{Cc}\x80-\x9f]/u.test(text)) throw new Error("a control character");
  if (!text.startsWith("CEF:")) throw new Error("not CEF");
  const header: string[] = [];
  let field = "";
  let at = 4;
  for (; header.length < 7; at++) {
    if (at >= text.length) throw new Error("the header ends too early");
    const next = text.charAt(at);
    if (next === "|") {
      header.push(field);
      field = "";
    } else if (next === "\\") {
      const escaped = text.charAt(++at);
      if (escaped !== "\\" && escaped !== "|") throw new Error(`a header has no escape \\${escaped}`);
      field += escaped;
    } else field += next;
  }
  const extension = new Map<string, string>();
  let key: string | undefined;
  let value = "";
  const put = () => {
    if (key === undefined) return;
    if (extension.has(key)) throw new Error(`${key} twice`);
    extension.set(key, value);
  };
  for (; at < text.length; at++) {
    if (text[at] === "\\") {
      const escaped = text[++at];
      const meant = { "\\": "\\", "=": "=", n: "\n", r: "\r" }[escaped ?? ""];
      if (meant === undefined) throw new Error(`an extension has no escape \\${escaped}`);
      value += meant;
    } else if (text[at] === "=") {
      // A key is the word before it, at the start or after a space.
      const next = /(?:^| )([A-Za-z0-9]+)$/.exec(value);
      if (next === null) throw new Error("an = that is neither escaped nor after a key");
      value = value.slice(0, next.index);
      put();
      [key, value] = [next[1], ""];
    } else value += text[at]!;
  }
  put();
  return { header, extension };
}

const LENGTHS: Readonly<Record<string, number>> = {
  ...{ suid: 1023, suser: 1023, duid: 1023, duser: 1023, cat: 1023, requestClientApplication: 1023, outcome: 63 },
  ...{ cs1: 4000, cs2: 4000, cs3: 4000, cs4: 4000, cs5: 4000, flexString1: 1023, externalId: 40 },
};

const inCef = (text: string) => shown(text, "\n\r");

test("a parser by the specification reads any text in any field back, up to the length limit of its key", () => {
  fc.assert(
    fc.property(anyEvent, anyKind, anyMeaning, (event, kind, means) => {
      const { header, extension } = parseCef(cef.of(sourceWith(vocabularyWith(kind, means))).line(event));
      const { actor, target, address, userAgent, details } = means;
      expect(header.slice(0, 4)).toEqual(["0", "A|B\\C", "Audit log", "1.0"]);
      expect(header[4]).toEqual(inHeader(event.key, 1023));
      expect(header[5]).toEqual(inHeader(kind.name, 512));
      expect(header[6]).toBe(String(kind.severity));
      const isUser = target?.type?.toLowerCase() === "user";
      const whole = new Map<string, string | undefined>([
        ["rt", String(event.time)],
        ["cat", kind.category],
        ["outcome", kind.outcome],
        ["suid", actor?.id],
        ["suser", actor?.name],
        ["cs5", actor?.type],
        ["cs1", target?.type],
        [isUser ? "duid" : "cs2", target?.id],
        [isUser ? "duser" : "cs3", target?.name],
        ["requestClientApplication", userAgent],
        ["cs4", details?.replaceAll("\x7f", "\\u007f")],
      ]);
      const truncated = extension.get("truncated")?.split(",") ?? [];
      for (const [key, text] of whole) {
        const value = extension.get(key);
        const isWhole = (text ?? "").length <= (LENGTHS[key] ?? Infinity);
        expect(truncated.includes(key)).toBe(!isWhole);
        if (isWhole) expect(value ?? "").toBe(inCef(text ?? ""));
        else if (key === "cs4") expect(isSomeOf(parsed(value), JSON.parse(text!))).toBe(true);
        else expect(inCef(text!).startsWith(value!) && value!.length >= LENGTHS[key]! - 1).toBe(true);
      }
      for (const [key, value] of extension) expect(value.length).toBeLessThanOrEqual(lengthOf(key));
      const shownAddress = ["src", "c6a2", "flexString1"]
        .map((key) => extension.get(key))
        .find((value) => value !== undefined);
      expect(inCef(address ?? "").startsWith(shownAddress ?? "")).toBe(true);
      expect(shownAddress === undefined).toBe((address ?? "") === "");
    }),
    { numRuns: RUNS },
  );
});

function inHeader(text: string, most: number): unknown {
  const whole = shown(text.replaceAll(/[\r\n]/g, " "));
  return text.length <= most
    ? whole
    : expect.toSatisfy((part: string) => whole.startsWith(part) && part.length >= most - 1);
}

/** The identity is never shortened, whatever the dictionary says. */
function lengthOf(key: string): number {
  return key === "cs6" || key === "flexString2" ? Infinity : (LENGTHS[key] ?? Infinity);
}

function parsed(json: string | undefined): unknown {
  return json === undefined ? {} : JSON.parse(json);
}

test("any id, time and key is read back exactly from a line", () => {
  fc.assert(
    fc.property(anyEvent, anyKind, anyMeaning, (event, kind, means) => {
      const format = cef.of(sourceWith(vocabularyWith(kind, means)));
      const line = format.line(event);
      expect(line.includes(0x0a)).toBe(false);
      expectSame(format.read(line), event, line);
    }),
    { numRuns: RUNS },
  );
});

test("a shortened line fits, names the keys that were cut, and is still the same event", () => {
  fc.assert(
    fc.property(anyEvent, anyKind, anyMeaning, fc.integer({ min: 60, max: 9000 }), (event, kind, means, maxBytes) => {
      const format = cef.of(sourceWith(vocabularyWith({ ...kind, name: "Name" }, means)));
      const line = format.line(event);
      const short = format.shorten(event, maxBytes);
      if (line.length <= maxBytes) {
        expect(short?.equals(line)).toBe(true);
        return;
      }
      const whole = parseCef(line);
      if (short === undefined) {
        // Even the identity and the longest mark do not fit.
        const keys = [...whole.extension.keys()].filter((key) => !key.endsWith("Label"));
        expect(leastBytes(line, keys)).toBeGreaterThan(maxBytes);
        return;
      }
      expect(short.length).toBeLessThanOrEqual(maxBytes);
      expectSame(format.read(short), event, short);
      const { header, extension } = parseCef(short);
      expect(header).toEqual(whole.header);
      const named = extension.get("truncated")!.split(",");
      const cutBefore = whole.extension.get("truncated")?.split(",") ?? [];
      for (const [key, value] of whole.extension) {
        if (key === "truncated" || key.endsWith("Label")) continue;
        const part = extension.get(key);
        expect(named.includes(key)).toBe(part !== value || cutBefore.includes(key));
        expect(extension.has(`${key}Label`)).toBe(part !== undefined && whole.extension.has(`${key}Label`));
        if (key === "cs4") expect(isSomeOf(parsed(part), parsed(value))).toBe(true);
        else expect(value.startsWith(part ?? "")).toBe(true);
      }
    }),
    { numRuns: RUNS },
  );
});

/** The size of the header, the identity and a mark with all keys. */
function leastBytes(line: Buffer, keys: readonly string[]): number {
  const text = line.toString();
  const identity = / cat=/.exec(text)!.index;
  return Buffer.byteLength(`${text.slice(0, identity)} truncated=${keys.join(",")}`);
}

const EVENT: AuditEvent = {
  id: "a1b2c3d4-5e6f-7a8b-9c10-d11e12f13a14",
  time: epochMs(1747319400000),
  key: "user_2fa_fail",
  record: Buffer.from(
    '{"id":"a1b2c3d4-5e6f-7a8b-9c10-d11e12f13a14","created_at":"2025-05-15T14:30:00.000Z","event_key":"user_2fa_fail",' +
      '"entity_id":"133321","entity_type":"User","actor_id":"133321","actor_type":"User","details":{},' +
      '"ip_address":"192.168.1.100","user_agent":"Pachca/3.60.0 (co.staply.pachca; build:15; iOS 18.5.0)"}',
  ),
};

test("an event of Pachca as a line", () => {
  expect(cef.of(sourceWith(pachcaVocabulary)).line(EVENT).toString()).toBe(
    "CEF:0|Pachca|Audit|1.0|user_2fa_fail|Two-factor authentication failed|5|rt=1747319400000 " +
      "externalId=a1b2c3d4-5e6f-7a8b-9c10-d11e12f13a14 cat=authentication outcome=failure suid=133321 " +
      "cs5=User cs5Label=actorType cs1=User cs1Label=targetType duid=133321 src=192.168.1.100 " +
      "requestClientApplication=Pachca/3.60.0 (co.staply.pachca; build:15; iOS 18.5.0)",
  );
});

test("the key of an address depends on its kind", () => {
  const keysOf = (address: string) => {
    const kind = { name: "n", category: "other", severity: 3 };
    const { extension } = parseCef(cef.of(sourceWith(vocabularyWith(kind, { address }))).line(EVENT));
    return [...extension].filter(([key]) => /^(?:src|c6a2|flexString1)/.test(key));
  };
  expect(keysOf("10.0.0.7")).toEqual([["src", "10.0.0.7"]]);
  expect(keysOf("2001:db8::7")).toEqual([
    ["c6a2", "2001:db8::7"],
    ["c6a2Label", "Source IPv6 Address"],
  ]);
  expect(keysOf("fe80::1%eth0")).toEqual([
    ["flexString1", "fe80::1%eth0"],
    ["flexString1Label", "sourceAddress"],
  ]);
  expect(keysOf("10.0.0.7, 10.0.0.8")).toEqual([
    ["flexString1", "10.0.0.7, 10.0.0.8"],
    ["flexString1Label", "sourceAddress"],
  ]);
});

test.each([
  ["", "no header"],
  ['{"id":"1"}', "no header"],
  ["CEF:0|a|b|c|d|e", "no header"],
  ["CEF:1|a|b|c|d|e|3|rt=1 externalId=1", "no header"],
  ["CEF:0|a|b|c|d|e|3|rt=1", "no id"],
  ["CEF:0|a|b|c|d|e|3|rt=1 cs6=x cs6Label=eventIdJson", "no id"],
  ["CEF:0|a|b|c|d|e|3|externalId=1", "no time"],
  ["CEF:0|a|b|c|d|e|3|rt=May 15 2025 14:30:00 externalId=1", "no time"],
  ["CEF:0|a|b|c|d|e|3|rt=9999999999999999 externalId=1", "no time"],
  ["CEF:0|a|b|c|d|e|3|rt=1 externalId=1 flexString2=x flexString2Label=eventKeyJson", "no key"],
])("%j is not an event: %s", (text, reason) => {
  const line = Buffer.from(text);
  expect(cef.of(sourceWith(pachcaVocabulary)).read(line)).toEqual({ reason, record: line });
});

test("a line that is not UTF-8 is not an event", () => {
  const line = Buffer.from("CEF:0|a|b|c|d|e|3|rt=1 externalId=\xff", "latin1");
  const read = cef.of(sourceWith(pachcaVocabulary)).read(line);
  expect(isPoison(read) && read.reason).toBe("not UTF-8");
});
