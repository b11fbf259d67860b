import fc from "fast-check";
import { expect, test } from "vitest";
import { leef } from "../../src/formats/leef.ts";
import { pachca } from "../../src/sources/pachca/pachca.ts";
import { epochMs } from "../../src/time.ts";
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

interface LeefLine {
  /** Version, vendor, product, device version, event id. */
  readonly header: readonly string[];
  readonly attributes: ReadonlyMap<string, string>;
}

/** Parses by IBM's guide: five fields and the delimiter, then keys that occur once, each up to its first `=`. */
function parseLeef(line: Buffer): LeefLine {
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(line);
  if (/[\n\r]/.test(text)) throw new Error("a line break");
  const [version = "", ...rest] = text.split("|");
  if (version !== "LEEF:2.0" || rest[4] !== "x09") throw new Error("not LEEF 2.0 with tabs");
  const attributes = new Map<string, string>();
  for (const attribute of rest.slice(5).join("|").split("\t")) {
    const at = attribute.indexOf("=");
    const key = attribute.slice(0, at);
    if (!/^[A-Za-z0-9]+$/.test(key)) throw new Error(`not a key: ${attribute}`);
    if (attributes.has(key)) throw new Error(`${key} twice`);
    attributes.set(key, attribute.slice(at + 1));
  }
  return { header: [version, ...rest.slice(0, 4)], attributes };
}

const inValue = (text: string) => shown(text.replaceAll(/[\t\n\r]/g, " "));
const inHeader = (text: string) => inValue(text.replaceAll("|", "/"));

test("any text in any attribute is read back, except characters that LEEF cannot escape", () => {
  fc.assert(
    fc.property(anyEvent, anyKind, anyMeaning, (event, kind, means) => {
      const { header, attributes } = parseLeef(leef.of(sourceWith(vocabularyWith(kind, means))).line(event));
      const { actor, target, address, userAgent, details } = means;
      expect(header.slice(0, 4)).toEqual(["LEEF:2.0", "A/B\\C", "Audit log", "1.0"]);
      expect(inHeader(event.key).startsWith(header[4]!)).toBe(true);
      expect(header[4]!.length).toBeGreaterThanOrEqual(Math.min(254, event.key.length));
      expect(header[4]!.length).toBeLessThanOrEqual(255);
      const user = actor?.name ?? actor?.id ?? "";
      const isShortUser = user.length <= 255;
      expect(attributes.get("truncated")).toBe(isShortUser ? undefined : "usrName");
      if (isShortUser) expect(attributes.get("usrName") ?? "").toBe(inValue(user));
      else expect(inValue(user).startsWith(attributes.get("usrName")!)).toBe(true);
      const whole = {
        devTime: String(event.time),
        cat: kind.category,
        sev: String(Math.max(1, kind.severity)),
        eventName: kind.name,
        outcome: kind.outcome,
        actorId: actor?.name === undefined ? undefined : actor.id,
        actorType: actor?.type,
        resource: target?.id,
        resourceName: target?.name,
        resourceType: target?.type,
        userAgent,
        details: details?.replaceAll("\x7f", "\\u007f"),
      };
      for (const [key, text = ""] of Object.entries(whole)) expect(attributes.get(key) ?? "").toBe(inValue(text));
      expect(attributes.get("src") ?? attributes.get("address") ?? "").toBe(inValue(address ?? ""));
    }),
    { numRuns: RUNS },
  );
});

test("any id, time and key is read back exactly from a line", () => {
  fc.assert(
    fc.property(anyEvent, anyKind, anyMeaning, (event, kind, means) => {
      const format = leef.of(sourceWith(vocabularyWith(kind, means)));
      const line = format.line(event);
      expectSame(format.read(line), event, line);
    }),
    { numRuns: RUNS },
  );
});

test("a shortened line fits, names the keys that were cut, and is still the same event", () => {
  fc.assert(
    fc.property(anyEvent, anyKind, anyMeaning, fc.integer({ min: 60, max: 9000 }), (event, kind, means, maxBytes) => {
      const format = leef.of(sourceWith(vocabularyWith(kind, means)));
      const line = format.line(event);
      const whole = parseLeef(line);
      const short = format.shorten(event, maxBytes);
      if (short === undefined) {
        const identity = line.toString().split("\tcat=")[0]!;
        const least = `${identity}\ttruncated=${[...whole.attributes.keys()].join(",")}`;
        expect(Buffer.byteLength(least)).toBeGreaterThan(maxBytes);
        return;
      }
      if (line.length <= maxBytes) {
        expect(short.equals(line)).toBe(true);
        return;
      }
      expect(short.length).toBeLessThanOrEqual(maxBytes);
      expectSame(format.read(short), event, short);
      const { header, attributes } = parseLeef(short);
      expect(header).toEqual(whole.header);
      const named = attributes.get("truncated")!.split(",");
      for (const [key, value] of whole.attributes) {
        const part = attributes.get(key);
        if (key === "truncated") continue;
        if (part !== value) expect(named).toContain(key);
        if (key === "details") expect(isSomeOf(JSON.parse(part ?? "{}"), JSON.parse(value))).toBe(true);
        else expect(value.startsWith(part ?? "")).toBe(true);
      }
    }),
    { numRuns: RUNS },
  );
});

test("an event of Pachca as a line", () => {
  const record = Buffer.from(
    '{"id":"a1b2c3d4-5e6f-7a8b-9c10-d11e12f13a14","created_at":"2025-05-15T14:30:00.000Z","event_key":"chat_renamed",' +
      '"entity_id":"45678","entity_type":"Chat","actor_id":"133321","actor_type":"User",' +
      '"details":{"old_name":"Проект","new_name":"Проект\\tАльфа"},"ip_address":"2001:db8::7","user_agent":null}',
  );
  const event = {
    id: "a1b2c3d4-5e6f-7a8b-9c10-d11e12f13a14",
    time: epochMs(1747319400000),
    key: "chat_renamed",
    record,
  };
  expect(leef.of(sourceWith(pachcaVocabulary)).line(event).toString().split("\t")).toEqual([
    "LEEF:2.0|Pachca|Audit|1.0|chat_renamed|x09|devTime=1747319400000",
    "eventId=a1b2c3d4-5e6f-7a8b-9c10-d11e12f13a14",
    "cat=chat management",
    "sev=2",
    "eventName=Chat renamed",
    "outcome=success",
    "usrName=133321",
    "actorType=User",
    "resource=45678",
    "resourceType=Chat",
    "src=2001:db8::7",
    'details={"details":{"old_name":"Проект","new_name":"Проект\\tАльфа"}}',
  ]);
});

test.each([
  ["LEEF:1.0|a|b|c|d|devTime=1\teventId=1", "no header"],
  ["LEEF:2.0|a|b|c|d|^|devTime=1^eventId=1", "no header"],
  ["CEF:0|a|b|c|d|e|3|rt=1 externalId=1", "no header"],
  ["LEEF:2.0|a|b|c|d|x09|devTime=1", "no id"],
  ["LEEF:2.0|a|b|c|d|x09|devTime=1\teventId=1\teventIdJson=1", "no id"],
  ["LEEF:2.0|a|b|c|d|x09|eventId=1", "no time"],
  ["LEEF:2.0|a|b|c|d|x09|eventId=1\tdevTime=1e3", "no time"],
  ["LEEF:2.0|a|b|c|d|x09|eventId=1\tdevTime=1\teventKeyJson=x", "no key"],
])("%j is not an event: %s", (text, reason) => {
  const line = Buffer.from(text);
  expect(leef.of(sourceWith(pachcaVocabulary)).read(line)).toEqual({ reason, record: line });
});
