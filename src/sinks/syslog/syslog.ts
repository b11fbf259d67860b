import { ExporterError, TransientError } from "../../errors.ts";
import type { ObserveStream } from "../../fact.ts";
import type { Format } from "../../format.ts";
import type { Vocabulary } from "../../vocabulary.ts";
import { DEFAULT_RETRY, withRetry, type RetryPolicy } from "../../http/retry.ts";
import type { Sink } from "../../sink.ts";
import type { Finding } from "../../source.ts";
import { connect, type Receiver, type TlsOptions } from "./connection.ts";
import { messages, type MessageOptions } from "./message.ts";
import { outbox, type Outbox } from "./outbox.ts";
import { openRelp } from "./relp.ts";
import { refuseAnswers, sendFramed, type Framing } from "./stream.ts";
import { lookUp, sendDatagrams } from "./udp.ts";
import { byteSize, choice, readableFile, text, whole, yesOrNo } from "../../config/values/values.ts";
import type { Rule } from "../../config/values/rules.ts";
import { defineSink } from "../define.ts";
import { deliveredTally } from "../delivered.ts";

/** RFC 5424's names and numbers, by its numbers. */
const FACILITIES = [
  ...["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"],
  ...["ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"],
] as const;

/** What has colons is an address of IPv6, which has two of them at least, and perhaps a zone. */
const HOST = /^(?:[^\s/:[\]]+|[\da-fA-F.]*:[\da-fA-F.]*:[\da-fA-F:.]*(?:%[^\s/:[\]]+)?)$/;

export const TRANSPORTS = ["tcp", "tls", "udp", "relp", "relp+tls"] as const;
const PORTS = { tcp: 514, tls: 6514, udp: 514, relp: 2514, "relp+tls": 2514 } as const;

/** The most that a datagram can hold, less the headers of IP and UDP. */
const DATAGRAM_MAX_BYTES = 65_507;

/** Messages to a syslog receiver, after RFC 5424. */
export const syslog = defineSink({
  type: "syslog",
  about: "A syslog receiver, such as rsyslog, syslog-ng, SC4S, QRadar or ArcSight. Messages are RFC 5424.",
  guarantee:
    "over `relp`: each event at least once, acknowledged by the receiver; over `tcp` and `tls`: handed over whole; over `udp`: sent",
  keys: {
    transport: choice(TRANSPORTS).describe(
      "How messages travel. Only relp acknowledges them, so only with relp a receiver's failure loses nothing; udp loses them silently.",
    ),
    host: text("a host name or an IP address, without brackets and without a port", HOST).describe("The receiver."),
    port: whole(1, 65_535)
      .optional()
      .describe("The receiver's port. Without it: 514 for tcp and udp, 6514 for tls, 2514 for relp."),
    framing: choice(["octet-counting", "newline"])
      .optional()
      .describe(
        "How messages are told apart in tcp and tls (RFC 6587). Without it: octet-counting. newline is for receivers that know no other, such as Splunk's own TCP input.",
      ),
    facility: choice(FACILITIES).default("audit").describe("The facility of every message."),
    hostname: text("1 to 255 printable ASCII characters without spaces", /^[\x21-\x7e]{1,255}$/)
      .optional()
      .describe(
        "The host that messages name as their own. Without it: the stream's name, which stays when a container does not.",
      ),
    appName: text("1 to 48 printable ASCII characters without spaces", /^[\x21-\x7e]{1,48}$/)
      .default("siem-export")
      .describe("The program that messages name as their own."),
    enterpriseId: whole(1, 4_294_967_295)
      .default(32_473)
      .describe("The private enterprise number in the name of the structured data. 32473 is the one for examples."),
    maxMessageBytes: byteSize("1KiB", "1MiB")
      .prefault("8096B")
      .describe(
        "The most bytes of one message. Receivers cut longer ones: rsyslog beyond 8,096 bytes, unless its maxMessageSize is raised; above 195KiB over tcp and tls raise its imtcp's MaxFrameSize too, or it loses the messages behind as well.",
      ),
    oversize: choice(["truncate", "quarantine"])
      .default("truncate")
      .describe(
        "What becomes of an event that is larger: truncate shortens its longest parts and marks it; quarantine puts it aside, whole.",
      ),
    caFile: readableFile()
      .optional()
      .describe("A PEM file of certificate authorities to trust instead of the public ones, for tls."),
    certFile: readableFile().optional().describe("A PEM file with our certificate, where the receiver wants one."),
    keyFile: readableFile().optional().describe("A PEM file with the private key of certFile."),
    serverName: text("a name as it stands in a certificate", /^\S{1,253}$/)
      .optional()
      .describe("The name that the receiver's certificate must have. Without it: host."),
    checkServerName: yesOrNo()
      .optional()
      .describe("Whether the receiver's name is checked against its certificate. Without it: true."),
  },
  rules: syslogRules,
  read: ({ port, facility, framing, caFile, certFile, keyFile, serverName, checkServerName, ...rest }) => ({
    ...rest,
    port: port ?? PORTS[rest.transport],
    framing: framing ?? ("octet-counting" as const),
    facility: FACILITIES.indexOf(facility),
    tls: rest.transport.endsWith("tls")
      ? { caFile, certFile, keyFile, serverName, checkServerName: checkServerName ?? true }
      : undefined,
  }),
  send: (settings, { stream, format, vocabulary, observe }) =>
    syslogSink({ ...settings, stream, hostname: settings.hostname ?? stream }, format, vocabulary, observe),
});

const TLS_KEYS = ["caFile", "certFile", "keyFile", "serverName", "checkServerName"] as const;

function syslogRules(keys: Readonly<Record<string, unknown>>): readonly Rule[] {
  const { transport, framing, maxMessageBytes, certFile, keyFile } = keys;
  const isPlain = transport === "tcp" || transport === "udp" || transport === "relp";
  const isFramed = transport === "tcp" || transport === "tls";
  const isTooLong = typeof maxMessageBytes === "number" && maxMessageBytes > DATAGRAM_MAX_BYTES;
  return [
    ["framing", "only for tcp and tls", framing !== undefined && typeof transport === "string" && !isFramed],
    ["maxMessageBytes", "more than one datagram holds; for udp at most 65507B", transport === "udp" && isTooLong],
    ["certFile", "required with keyFile; set both or neither", keyFile !== undefined && certFile === undefined],
    ["keyFile", "required with certFile; set both or neither", certFile !== undefined && keyFile === undefined],
    ...TLS_KEYS.map((key): Rule => [key, "only for tls and relp+tls", isPlain && keys[key] !== undefined]),
  ];
}

export type SyslogTransport = (typeof TRANSPORTS)[number];

export interface SyslogOptions extends MessageOptions {
  readonly transport: SyslogTransport;
  readonly host: string;
  readonly port: number;
  /** Of tcp and tls only. */
  readonly framing: Framing;
  /** Of tls and relp+tls only. */
  readonly tls: TlsOptions | undefined;
  readonly connectTimeoutMs?: number | undefined;
  readonly answerTimeoutMs?: number | undefined;
  readonly retry?: RetryPolicy | undefined;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** As long as librelp's own sender waits. A receiver with a full queue is slow, and impatience would send it everything again. */
const ANSWER_TIMEOUT_MS = 90_000;
const NEWLINE = Buffer.from("\n");

/** A way to bring messages to a receiver. */
interface Carrier {
  /** Whether messages are safe only when the receiver has said so. */
  readonly acknowledges: boolean;
  /** Connects, sends all messages, and ends in order. Resolves when they are as safe as the transport can tell. */
  send(messages: Outbox, signal: AbortSignal): Promise<void>;
  /** Connects as `send` would, and ends in order; resolves with what was shown by it. */
  probe(signal: AbortSignal): Promise<string>;
}

/**
 * Messages to a syslog receiver. A connection lives as long as a batch, so that none dies unseen between two. What is not
 * known to be safe when it is lost is sent again on the next: with RELP what was not answered, else the batch from its start.
 */
export function syslogSink(
  options: SyslogOptions,
  format: Format,
  vocabulary: Vocabulary,
  observe: ObserveStream,
): Sink {
  const { retry = DEFAULT_RETRY } = options;
  const receiver = receiverOf(options);
  const carrier = carrierOf(options, receiver);
  const sent = messages(options, format, vocabulary);
  const tally = deliveredTally(carrier.acknowledges);

  async function attempt(batch: Outbox, signal: AbortSignal): Promise<void> {
    try {
      await carrier.send(batch, signal);
    } catch (error) {
      batch.rewind();
      // What the batch itself threw is not for us to try again: it has ended.
      if (batch.failure === undefined) throw error;
    }
  }

  /** As many tries as the policy has, and as many again whenever something was acknowledged in them. */
  async function deliver(batch: Outbox, signal: AbortSignal): Promise<void> {
    for (;;) {
      const before = batch.safeCount;
      try {
        await withRetry(
          () => attempt(batch, signal),
          retry,
          signal,
          (error, count, delayMs) => observe({ kind: "retrying", stage: "write", error, attempt: count, delayMs }),
        );
        return;
      } catch (error) {
        if (!(error instanceof TransientError) || batch.safeCount === before) throw error;
      }
    }
  }

  return {
    place: receiver.place,
    nothing: tally.nothing,
    refuses: (event) => sent.refuses(event),

    async write({ plan, part, chunks }, signal) {
      tally.begin(part);
      const batch = outbox(chunks, (event) => {
        const { octets, line, isTruncated } = sent.of(event, plan.seq);
        tally.add(1, line, NEWLINE);
        if (isTruncated) tally.addTruncated();
        return octets;
      });
      try {
        await deliver(batch, signal);
      } finally {
        await batch.close();
      }
      if (batch.failure !== undefined) throw batch.failure.error;
      return { delivered: tally.sum() };
    },

    async *leftovers() {
      // What was sent is gone: a window tried again is sent again.
    },

    async *check(signal) {
      try {
        yield { state: "ok", what: `${receiver.place}: ${await carrier.probe(signal)}` };
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof ExporterError)) throw error;
        yield { state: "failed", what: error.message, hint: error.hint, error };
        return;
      }
      if (!carrier.acknowledges) yield unacknowledged(options.transport);
    },
  };
}

function unacknowledged(transport: SyslogTransport): Finding {
  return {
    state: "warning",
    what: `syslog over ${transport} cannot say whether messages arrive: manifests will say "acknowledged":false`,
    hint: "where the receiver can do RELP, use sink.transport relp or relp+tls: it acknowledges each message",
  };
}

function receiverOf({ transport, host, port, tls, connectTimeoutMs, answerTimeoutMs }: SyslogOptions): Receiver {
  return {
    place: `${transport}://${host.includes(":") ? `[${host}]` : host}:${port}`,
    ...{ host, port },
    tls: transport === "tls" || transport === "relp+tls" ? (tls ?? { checkServerName: true }) : undefined,
    connectTimeoutMs: connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    answerTimeoutMs: answerTimeoutMs ?? ANSWER_TIMEOUT_MS,
  };
}

function carrierOf({ transport, framing }: SyslogOptions, receiver: Receiver): Carrier {
  switch (transport) {
    case "tcp":
    case "tls":
      return streamCarrier(receiver, framing);
    case "relp":
    case "relp+tls":
      return relpCarrier(receiver);
    case "udp":
      return {
        acknowledges: false,
        send: (batch, signal) => sendDatagrams(receiver, batch, signal),
        probe: async (signal) => `the host's address is ${(await lookUp(receiver, signal)).address}; nothing was sent`,
      };
  }
}

function streamCarrier(receiver: Receiver, framing: Framing): Carrier {
  const open = (signal: AbortSignal) => connect(receiver, refuseAnswers(receiver.place), signal);
  return {
    acknowledges: false,

    async send(batch, signal) {
      const connection = await open(signal);
      try {
        await sendFramed(connection, batch, framing);
        await connection.end(receiver.answerTimeoutMs);
      } finally {
        connection.destroy();
      }
    },

    async probe(signal) {
      const connection = await open(signal);
      try {
        // Nothing was sent that could keep it busy.
        await connection.end(receiver.connectTimeoutMs);
        return "connected; no message was sent, so the first batch will show whether it takes them";
      } finally {
        connection.destroy();
      }
    },
  };
}

function relpCarrier(receiver: Receiver): Carrier {
  return {
    acknowledges: true,

    async send(batch, signal) {
      const session = await openRelp(receiver, signal);
      try {
        await session.send(batch);
        // All is acknowledged: how the session ends can not change that.
        await session.close().catch((error: unknown) => {
          if (!(error instanceof ExporterError) && !signal.aborted) throw error;
        });
      } finally {
        session.destroy();
      }
    },

    async probe(signal) {
      const session = await openRelp(receiver, signal);
      try {
        await session.close();
        return "connected, and the RELP session is accepted; no message was sent";
      } finally {
        session.destroy();
      }
    },
  };
}
