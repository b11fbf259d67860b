import net from "node:net";
import tls from "node:tls";
import type { ExporterError } from "../errors.ts";
import { secureOptions, type TlsOptions } from "./certificates.ts";
import { closedEarly, failureOf, timedOut, type Attempt, type Phase } from "./errors.ts";

/** Where a receiver is, and how long to wait for it. */
export interface Receiver {
  /** For messages: `tls://logs.example.com:6514`. */
  readonly place: string;
  readonly host: string;
  readonly port: number;
  /** Undefined: no TLS. */
  readonly tls: TlsOptions | undefined;
  /** For the connection, and again for the TLS handshake. */
  readonly connectTimeoutMs: number;
  /** For each answer, and for the receiver's end of a connection after our own. */
  readonly answerTimeoutMs: number;
}

/** A busy receiver takes bytes late: it has this many times longer for that than for an answer. */
const STALL_ANSWERS = 6;
/**
 * With TLS 1.3 the receiver looks at our certificate after the handshake, and some end the connection then without a word:
 * to us it would look like the end of a small batch. So it has this long, and twice as long as the handshake took, to do so.
 */
const REFUSAL_WAIT_MS = 100;
/** The first probe of an idle connection, so that a firewall between does not forget it. */
const KEEP_ALIVE_AFTER_MS = 30_000;

/**
 * A TCP or TLS connection. When it is lost, stalls, or the signal of its opening is aborted, then what waits is rejected, what
 * is called after that too, and nothing is left open. One thing at a time is waited for.
 */
export interface Connection {
  /** Resolves when the bytes have left this process: nothing waits in its memory. */
  write(bytes: Buffer): Promise<void>;
  /** Calls `begin`, and resolves when that calls `done`; when that is too late, the connection is lost for what `late` gives. */
  wait(limitMs: number, late: () => ExporterError | undefined, begin: (done: () => void) => void): Promise<void>;
  /**
   * Ends our side, and waits for the receiver to end its own: until then a reset or a TLS alert can still say that bytes
   * were lost. A receiver that does not end is not waited for longer than for an answer: it proves nothing more by it.
   */
  end(): Promise<void>;
  destroy(): void;
}

/**
 * @param receive is given what arrives, in pieces of any size; what it throws ends the connection
 * @throws ConfigError when a certificate file cannot be used
 * @throws RefusedError when one side does not accept the other's certificate
 * @throws TransientError for all else
 */
export async function connect(
  receiver: Receiver,
  receive: (bytes: Buffer) => void,
  signal: AbortSignal,
): Promise<Connection> {
  signal.throwIfAborted();
  const { place, host, port, connectTimeoutMs, answerTimeoutMs } = receiver;
  const where = { host, port, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_AFTER_MS, noDelay: true };
  const secure = receiver.tls && secureOptions(receiver.tls, host);
  const socket = secure === undefined ? net.connect(where) : tls.connect({ ...where, ...secure });

  let phase: Phase = "connect";
  const isTls = secure !== undefined;
  const attempt = (): Attempt => ({
    ...{ place, phase, isTls, hasCertificate: receiver.tls?.certFile !== undefined },
    serverName: receiver.tls?.serverName ?? host,
  });
  const { wait, fail } = waiting(() => socket.destroy());

  const onAbort = () => fail(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  socket.on("error", (error) => fail(failureOf(error, attempt())));
  socket.on("data", (bytes: Buffer) => {
    try {
      receive(bytes);
    } catch (error) {
      fail(error as Error);
    }
  });
  // The receiver's end answers ours, or it has left.
  socket.once("end", () => {
    if (phase !== "end") fail(closedEarly(attempt()));
  });
  socket.once("close", () => {
    signal.removeEventListener("abort", onAbort);
    if (phase !== "end") fail(closedEarly(attempt()));
  });

  const stallMs = STALL_ANSWERS * answerTimeoutMs;
  const stalled = () => timedOut(stallMs, attempt());
  const silent = () => timedOut(connectTimeoutMs, attempt());
  await wait(connectTimeoutMs, silent, (done) => socket.once("connect", done));
  if (isTls) {
    phase = "handshake";
    const startedAt = performance.now();
    await wait(connectTimeoutMs, silent, (done) => socket.once("secureConnect", done));
    phase = "refusal";
    await wait(REFUSAL_WAIT_MS + 2 * (performance.now() - startedAt), nothing, nothing);
  }
  phase = "write";

  return {
    wait,
    write: (bytes) => wait(stallMs, stalled, (done) => socket.write(bytes, (error) => error ?? done())),

    async end() {
      // Lets an end of the receiver's that has come already be seen before ours.
      await new Promise((resolve) => setImmediate(resolve));
      await wait(answerTimeoutMs, nothing, (done) => {
        phase = "end";
        socket.once("close", done).end();
      });
    },

    destroy: () => socket.destroy(),
  };
}

const nothing = () => undefined;

/** What waits, one thing at a time, until all fails: then `onFail` is called, and whatever waits then or later is rejected. */
function waiting(onFail: () => void): Pick<Connection, "wait"> & { readonly fail: (error: Error) => void } {
  let failure: Error | undefined;
  let giveUp: ((error: Error) => void) | undefined;

  function fail(error: Error): void {
    failure ??= error;
    onFail();
    giveUp?.(failure);
  }

  return {
    fail,
    wait: (limitMs, late, begin) =>
      new Promise((resolve, reject) => {
        if (failure !== undefined) {
          reject(failure);
          return;
        }
        // What was waited for may come when that is long over.
        const settle = (how: () => void) => {
          if (giveUp !== rejectWith) return;
          clearTimeout(timer);
          giveUp = undefined;
          how();
        };
        const rejectWith = (error: Error) => settle(() => reject(error));
        const timer = setTimeout(() => {
          const error = late();
          if (error === undefined) settle(resolve);
          else fail(error);
        }, limitMs);
        giveUp = rejectWith;
        begin(() => settle(resolve));
      }),
  };
}
