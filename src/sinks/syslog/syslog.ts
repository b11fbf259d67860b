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
import { deliveryCounter } from "../delivered.ts";

/** The names of RFC 5424's facilities, in the order of their numbers. */
const FACILITIES = [
  ...["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"],
  ...["ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"],
] as const;

/** A host name or an IPv4 address; or an IPv6 address, which has at least two colons and may have a zone. */
const HOST = /^(?:[^\s/:[\]]+|[\da-fA-F.]*:[\da-fA-F.]*:[\da-fA-F:.]*(?:%[^\s/:[\]]+)?)$/;

export const TRANSPORTS = ["tcp", "tls", "udp", "relp", "relp+tls"] as const;
const PORTS = { tcp: 514, tls: 6514, udp: 514, relp: 2514, "relp+tls": 2514 } as const;

/** The most bytes that a datagram can hold, without the headers of IP and UDP. */
const DATAGRAM_MAX_BYTES = 65_507;

export const syslog = defineSink({
  type: "syslog",
  about: "A syslog receiver, such as rsyslog, syslog-ng, SC4S, QRadar or ArcSight. Messages are RFC 5424.",
  guarantee:
    "over `relp`: each event at least once, acknowledged by the receiver; over `tcp` and `tls`: sent in full, not acknowledged; over `udp`: sent, can be lost silently",
  keys: {
    transport: choice(TRANSPORTS).describe(
      "How messages are sent. Only relp and relp+tls acknowledge them, so only with these a failing receiver loses nothing; udp loses messages silently.",
    ),
    host: text("a host name or an IP address, without brackets or a port", HOST).describe("The receiver's host."),
    port: whole(1, 65_535)
      .optional()
      .describe("The receiver's port. Default: 514 for tcp and udp, 6514 for tls, 2514 for relp and relp+tls."),
    framing: choice(["octet-counting", "newline"])
      .optional()
      .describe(
        "How messages are separated over tcp and tls (RFC 6587). Default: octet-counting. newline is for receivers that support nothing else, such as Splunk's own TCP input.",
      ),
    facility: choice(FACILITIES).default("audit").describe("The facility of each message."),
    hostname: text("1 to 255 printable ASCII characters without spaces", /^[\x21-\x7e]{1,255}$/)
      .optional()
      .describe(
        "The host name in each message. Default: the stream's name, which stays the same when a container is replaced.",
      ),
    appName: text("1 to 48 printable ASCII characters without spaces", /^[\x21-\x7e]{1,48}$/)
      .default("siem-export")
      .describe("The program name in each message."),
    enterpriseId: whole(1, 4_294_967_295)
      .default(32_473)
      .describe(
        "The private enterprise number in the name of the structured data. 32473 is the number reserved for examples.",
      ),
    maxMessageBytes: byteSize("1KiB", "1MiB")
      .prefault("8096B")
      .describe(
        "The size limit of one message. Receivers cut longer messages: rsyslog after 8,096 bytes, unless you raise its maxMessageSize. For more than 195KiB over tcp and tls, raise the MaxFrameSize of its imtcp, too; otherwise it also loses the messages after a large one.",
      ),
    oversize: choice(["truncate", "quarantine"])
      .default("truncate")
      .describe(
        "What to do with an event whose message would be larger: truncate shortens its longest parts and marks it; quarantine writes the whole event to quarantine instead of sending it.",
      ),
    caFile: readableFile()
      .optional()
      .describe("A PEM file of certificate authorities to trust instead of the public ones. For tls and relp+tls."),
    certFile: readableFile()
      .optional()
      .describe("A PEM file with the worker's certificate, if the receiver requires a client certificate."),
    keyFile: readableFile().optional().describe("A PEM file with the private key of certFile, without a password."),
    serverName: text("a name as in a certificate", /^\S{1,253}$/)
      .optional()
      .describe("The name that the receiver's certificate must have. Default: host."),
    checkServerName: yesOrNo()
      .optional()
      .describe("Whether the receiver's certificate must have that name. Default: true."),
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
    ["maxMessageBytes", "larger than a datagram; for udp at most 65507B", transport === "udp" && isTooLong],
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
  /** Only for tcp and tls. */
  readonly framing: Framing;
  /** Only for tls and relp+tls. */
  readonly tls: TlsOptions | undefined;
  readonly connectTimeoutMs?: number | undefined;
  readonly answerTimeoutMs?: number | undefined;
  readonly retry?: RetryPolicy | undefined;
}

const CONNECT_TIMEOUT_MS = 10_000;
/** As long as librelp's own sender waits. A receiver with a full queue is slow, and a shorter limit would only send it more. */
const ANSWER_TIMEOUT_MS = 90_000;
const NEWLINE = Buffer.from("\n");

/** How messages get to a receiver. */
interface Carrier {
  /** Whether the receiver acknowledges each message. */
  readonly acknowledges: boolean;
  /** Connects, sends all messages, and disconnects in order. Resolves when all is confirmed that the transport can confirm. */
  send(messages: Outbox, signal: AbortSignal): Promise<void>;
  /** Connects as `send` would, and disconnects in order. Resolves with a sentence that says what this has shown. */
  probe(signal: AbortSignal): Promise<string>;
}

/**
 * A sink that sends messages to a syslog receiver. A connection lasts for one batch, so that none breaks unnoticed between two
 * batches. If it breaks, what may be lost is sent again on the next connection: with RELP, the messages without an answer;
 * otherwise the batch from its start.
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
  const syslogMessages = messages(options, format, vocabulary);
  const counter = deliveryCounter(carrier.acknowledges);

  async function attempt(batch: Outbox, signal: AbortSignal): Promise<void> {
    try {
      await carrier.send(batch, signal);
    } catch (error) {
      batch.rewind();
      // An error of the batch itself is not retried here: its iteration has ended.
      if (batch.failure === undefined) throw error;
    }
  }

  /** Makes as many attempts as the policy allows. The count starts again whenever they got something acknowledged. */
  async function deliver(batch: Outbox, signal: AbortSignal): Promise<void> {
    for (;;) {
      const before = batch.acknowledgedCount;
      try {
        await withRetry(
          () => attempt(batch, signal),
          retry,
          signal,
          (error, count, delayMs) => observe({ kind: "retrying", stage: "write", error, attempt: count, delayMs }),
        );
        return;
      } catch (error) {
        if (!(error instanceof TransientError) || batch.acknowledgedCount === before) throw error;
      }
    }
  }

  return {
    place: receiver.place,
    nothing: counter.nothing,
    refuses: (event) => syslogMessages.refuses(event),

    async write({ plan, part, chunks }, signal) {
      counter.begin(part);
      const batch = outbox(chunks, (event) => {
        const { octets, line, isTruncated } = syslogMessages.of(event, plan.seq);
        counter.add(1, line, NEWLINE);
        if (isTruncated) counter.addTruncated();
        return octets;
      });
      try {
        await deliver(batch, signal);
      } finally {
        await batch.close();
      }
      if (batch.failure !== undefined) throw batch.failure.error;
      return { delivered: counter.sum() };
    },

    async *leftovers() {
      // Nothing can be reused: a window that is retried is sent again as a whole.
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
    what: `syslog over ${transport} cannot confirm that messages arrive: manifests will say "acknowledged":false`,
    hint: "if the receiver supports RELP, set sink.transport to relp or relp+tls: RELP acknowledges each message",
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
        probe: async (signal) =>
          `the host has the address ${(await lookUp(receiver, signal)).address}; nothing was sent`,
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
        // The shorter limit: nothing was sent that could keep the receiver busy.
        await connection.end(receiver.connectTimeoutMs);
        return "connected; no message was sent, so only the first batch will show whether the receiver accepts messages";
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
        // Everything is acknowledged. How the session ends cannot change that.
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
        return "connected, and the receiver accepted the RELP session; no message was sent";
      } finally {
        session.destroy();
      }
    },
  };
}
