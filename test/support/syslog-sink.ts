import type { ObserveStream } from "../../src/fact.ts";
import type { Format } from "../../src/format.ts";
import type { Receipt, Sink, Plan } from "../../src/sink.ts";
import { syslog, syslogSink, type SyslogOptions } from "../../src/sinks/syslog/syslog.ts";
import type { AuditEvent } from "../../src/source.ts";
import { pachca } from "../../src/sources/pachca/pachca.ts";
import { epochMs, HOUR_MS } from "../../src/time.ts";
import type { Receiver } from "./receiver.ts";
import { never, START } from "./world.ts";

const pachcaVocabulary = pachca.vocabulary;

/** rsyslog's default for maxMessageSize: its documentation says 8k, its source 8096. */
export const RSYSLOG_MAX_BYTES = 8096;

/** The transport and address of a receiver. */
export type Way = Pick<SyslogOptions, "transport" | "port"> & Partial<Pick<SyslogOptions, "framing" | "tls">>;

/** The sink of a configuration with the address only. */
export function syslogTo(
  way: Way,
  format: Format,
  options: Partial<SyslogOptions> = {},
  observe: ObserveStream = () => undefined,
): Sink {
  const { transport, port } = way;
  const defaults = syslog.settings.parse({ type: "syslog", transport, host: "localhost", port });
  const settings: SyslogOptions = {
    ...{ ...defaults, stream: "pachca-acme", hostname: "acme" },
    ...{ tls: undefined, ...way, ...options },
  };
  return syslogSink(settings, format, pachcaVocabulary, observe);
}

/** The certificates with which both sides trust each other. */
export function tlsOf({ certificates: { caFile, client } }: Receiver<string>): NonNullable<SyslogOptions["tls"]> {
  return { caFile, ...client, checkServerName: true };
}

export const plan: Plan = {
  ...{ seq: 42, kind: "window", from: START, to: epochMs(START + HOUR_MS), since: START, fingerprint: "-" },
};

/** The events as one batch, in pages. */
export function writeAll(sink: Sink, events: readonly AuditEvent[], of: Plan = plan): Promise<Receipt> {
  const chunks = (async function* () {
    for (let at = 0; at < events.length; at += 500) yield events.slice(at, at + 500);
  })();
  return sink.write({ plan: of, part: 0, chunks }, never);
}
