import { createHash } from "node:crypto";
import type { StreamFact } from "../../../src/fact.ts";
import type { Format } from "../../../src/format.ts";
import { raw } from "../../../src/formats/raw.ts";
import type { Vocabulary } from "../../../src/vocabulary.ts";
import type { Batch, Sink } from "../../../src/sink.ts";
import type { AuditEvent } from "../../../src/source.ts";
import { syslogSink, type SyslogOptions } from "../../../src/sinks/syslog/syslog.ts";
import { epochMs, MINUTE_MS } from "../../../src/time.ts";
import { memorySource, START } from "../../support/world.ts";

export const VOCABULARY: Vocabulary = {
  product: { vendor: "Acme", name: "Audit", version: "1.0" },
  kind: (key) => ({ name: key, category: "audit", severity: key === "user_2fa_fail" ? 7 : 3 }),
  describe: () => ({}),
};

/** A line is the record; a shortened line is `{"truncated":true,"is":"…"}`, exactly as long as allowed. */
export const FORMAT: Format = {
  ...raw.of(memorySource([])),
  line: ({ record }) => record,
  shorten({ record }, maxBytes) {
    const [before, after] = ['{"truncated":true,"is":"', '"}'];
    const room = maxBytes - before.length - after.length;
    if (room < 1) return undefined;
    return Buffer.from(`${before}${"x".repeat(Math.min(room, record.length))}${after}`);
  },
};

export const OPTIONS: Omit<SyslogOptions, "port"> = {
  stream: "acme",
  transport: "tcp",
  host: "127.0.0.1",
  framing: "octet-counting",
  facility: 13,
  hostname: "exporter.example",
  appName: "siem-export",
  enterpriseId: 32473,
  maxMessageBytes: 8192,
  oversize: "truncate",
  tls: undefined,
  connectTimeoutMs: 5000,
  answerTimeoutMs: 20_000,
  retry: { attempts: 3, baseMs: 1, capMs: 5 },
};

export type Facts = Omit<StreamFact, "stream">[];

export function sinkTo(
  { port }: { readonly port: number },
  options: Partial<SyslogOptions> = {},
  facts: Facts = [],
): Sink {
  return syslogSink({ ...OPTIONS, port, ...options }, FORMAT, VOCABULARY, (fact) => facts.push(fact));
}

/** Events with ids `0`, `1`, …, one second apart. Their records are JSON with characters of two and four octets. */
export function someEvents(count: number, text = "вход 🔑"): AuditEvent[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `${index}`,
    time: epochMs(START + 1000 * index),
    key: "user_login",
    record: Buffer.from(JSON.stringify({ id: `${index}`, text })),
  }));
}

/** The events as a batch in chunks, as a source returns pages. */
export function batchOf(events: readonly AuditEvent[], part = 0, seq = 42): Batch {
  async function* chunks() {
    for (let at = 0; at < events.length; at += 50) yield events.slice(at, at + 50);
  }
  const plan = {
    seq,
    kind: "window",
    from: START,
    to: epochMs(START + 5 * MINUTE_MS),
    since: START,
    fingerprint: "",
  } as const;
  return { plan, part, chunks: chunks() };
}

export function digestOf(events: readonly AuditEvent[]): string {
  const hash = createHash("sha256");
  for (const { record } of events) hash.update(record).update("\n");
  return hash.digest("hex");
}
