import { ExporterError, TransientError } from "../../errors.ts";
import type { ObserveStream } from "../../fact.ts";
import type { Format } from "../../format.ts";
import type { Vocabulary } from "../../vocabulary.ts";
import { DEFAULT_RETRY, withRetry, type RetryPolicy } from "../../http/retry.ts";
import type { Sink } from "../../sink.ts";
import type { Finding } from "../../source.ts";
import type { TlsOptions } from "./certificates.ts";
import { connect, type Receiver } from "./connection.ts";
import { messages, type MessageOptions } from "./message.ts";
import { outbox, type Outbox } from "./outbox.ts";
import { openRelp } from "./relp.ts";
import { refuseAnswers, sendFramed, type Framing } from "./stream.ts";
import { lookUp, sendDatagrams } from "./udp.ts";
import { deliveredTally } from "../delivered.ts";

export type SyslogTransport = "tcp" | "tls" | "udp" | "relp" | "relp+tls";

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
export function syslog(options: SyslogOptions, format: Format, vocabulary: Vocabulary, observe: ObserveStream): Sink {
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
