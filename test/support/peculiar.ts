import type { AuditEvent } from "../../src/source.ts";
import { epochMs, SECOND_MS, type EpochMs } from "../../src/time.ts";

/** Texts that have broken a log format, a framing or a parser. */
export const PECULIAR_TEXTS: readonly string[] = [
  "Вход выполнен: Пётр Ёлкин, отдел «Безопасность»",
  "👩‍👩‍👧‍👦 🇰🇿 😀 𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
  "she said \"no\", 'no' and “no”",
  "C:\\temp\\new\\ ends with \\",
  'a]b[c] [event@1 x="y"] ]',
  "a=b c=d src=10.0.0.1 =",
  "a|b||c|",
  "one\ntwo\r\nthree\rfour\n",
  "a\tb\t\tc",
  "<13>1 2020-01-01T00:00:00Z other app - - - a message within",
  "120 <13>1 - - - - - - another",
  "%s %n %00 #012 ${jndi:x} $(id) \u2028 \u0085 \ufeff",
  "CEF:0|a|b|c|d|e|5|rt=1",
  "\u0001\u001b[31mred\u001b[0m\u007f",
];

const LONG_TEXT = "Длинный текст, 7 КБ. ".repeat(200);
const KEYS = [
  "user_login",
  "user_2fa_fail",
  "dlp_violation_detected",
  "search_messages_api",
  "made_up_by_a_later_version",
];
const ADDRESSES = ["192.168.1.100", "2001:db8::1"];

/**
 * Events as Pachca sends them, one every `stepMs` from `from`, with a peculiar text in `details` and in `user_agent`. Records
 * have about 600 bytes; every hundredth has a text of 7 KB.
 */
export function peculiarEvents(count: number, from: EpochMs, stepMs = SECOND_MS): AuditEvent[] {
  return Array.from({ length: count }, (_, index) => {
    const text = PECULIAR_TEXTS[index % PECULIAR_TEXTS.length] ?? "";
    const long = index % 100 === 50 ? { long: LONG_TEXT.slice(0, 3600) } : { filling: "x".repeat(120) };
    return pachcaEvent(index, epochMs(from + index * stepMs), { text, ...long }, text);
  });
}

/** One such event with these `details`. */
export function pachcaEvent(index: number, time: EpochMs, details: unknown, userAgent = "Pachca/3.60.0"): AuditEvent {
  const id = `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
  const key = KEYS[index % KEYS.length] ?? "";
  const record = {
    ...{ id, created_at: new Date(time).toISOString(), event_key: key, entity_id: "98765", entity_type: "User" },
    ...{ actor_id: String(133_000 + (index % 500)), actor_type: "User", details },
    ...{ ip_address: ADDRESSES[index % ADDRESSES.length], user_agent: userAgent },
  };
  return { id, time, key, record: Buffer.from(JSON.stringify(record)) };
}

/** The parsed record of such an event. */
export function recordOf({ record }: AuditEvent) {
  return JSON.parse(record.toString()) as {
    readonly [name in "actor_id" | "entity_id" | "ip_address" | "user_agent"]: string;
  } & { readonly details: unknown };
}
