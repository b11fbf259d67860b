import net, { isIP } from "node:net";
import tls, { checkServerIdentity, createSecureContext, type ConnectionOptions } from "node:tls";
import { readCertificates, readPem } from "../../config/values/certificates.ts";
import { ConfigError, type ExporterError } from "../../errors.ts";
import { closedEarly, failureOf, timedOut, type Attempt, type Phase } from "./errors.ts";

export interface TlsOptions {
  /** A PEM file of the authorities to trust, instead of the system's. */
  readonly caFile?: string | undefined;
  /** PEM files of our own certificate and its key, where the receiver asks for one. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** The name to ask for, and to look for in the receiver's certificate; the host without it. */
  readonly serverName?: string | undefined;
  readonly checkServerName: boolean;
}

/**
 * Half of what Node needs for TLS to `host`. The files are read each time, so that renewed ones are used.
 * @throws ConfigError when a file cannot be read, or what is in it cannot be used
 */
function secureOptions(
  { caFile, certFile, keyFile, serverName, checkServerName }: TlsOptions,
  host: string,
): ConnectionOptions {
  const name = serverName ?? host;
  return {
    secureContext: contextOf(
      caFile === undefined ? undefined : readCertificates(caFile, "sink.caFile"),
      certFile === undefined ? undefined : readPem(certFile, "sink.certFile"),
      keyFile === undefined ? undefined : readPem(keyFile, "sink.keyFile"),
      [certFile, keyFile].filter((file) => file !== undefined).join(" and "),
    ),
    // SNI knows no addresses (RFC 6066, section 3).
    ...(isIP(name) === 0 && { servername: name }),
    // Said although it is the default: NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment changes that.
    rejectUnauthorized: true,
    checkServerIdentity: (_host, certificate) => (checkServerName ? checkServerIdentity(name, certificate) : undefined),
  };
}

function contextOf(ca: string | undefined, cert: string | undefined, key: string | undefined, files: string) {
  try {
    return createSecureContext({
      minVersion: "TLSv1.2",
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
    });
  } catch (cause) {
    throw new ConfigError(`read ${files}: ${(cause as Error).message}`, {
      hint: "sink.certFile and sink.keyFile must be PEM, belong together, and the key must have no password",
      cause,
    });
  }
}

/** Where a receiver is, and how long to wait for it. */
export interface Receiver {
  /** For messages: `tls://logs.example.com:6514`. */
  readonly place: string;
  readonly host: string;
  readonly port: number;
  /** Undefined: no TLS. */
  readonly tls: TlsOptions | undefined;
  /** For the connection, again for the TLS handshake, and for the answers to a session's opening and close. */
  readonly connectTimeoutMs: number;
  /** For each answer to a message, for bytes to be taken, and for the receiver's end of a connection after our own. */
  readonly answerTimeoutMs: number;
}

/**
 * A receiver that does not want us leaves, often without a word: with TLS 1.3 when it has seen our certificate, after the
 * handshake; one of another protocol when it has seen the first bytes. Once we have ended our side that would look like the
 * end of a small batch. So it has this long for it, and twice as long as the last step of the opening took.
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
  /** What is waited for has its whole time again: the receiver has shown that it is at work. */
  renew(): void;
  /**
   * Gives a refusal that is on its way the time to come, then ends our side, and waits for the receiver to end its own. It
   * does so when it has read all that came before our end; until then a reset or a TLS alert can still say that bytes were
   * lost. One that does not within `limitMs` may not have read a byte: the connection counts as lost.
   */
  end(limitMs: number): Promise<void>;
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
  const attempt = (): Attempt => ({
    ...{ place, phase, hasCertificate: receiver.tls?.certFile !== undefined },
    serverName: receiver.tls?.serverName ?? host,
  });
  const { wait, renew, fail } = waiting(() => socket.destroy());

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

  const within = (limitMs: number, begin: (done: () => void) => void) =>
    wait(limitMs, () => timedOut(limitMs, attempt()), begin);
  let stepAt = performance.now();
  await within(connectTimeoutMs, (done) => socket.once("connect", done));
  if (secure !== undefined) {
    phase = "handshake";
    stepAt = performance.now();
    await within(connectTimeoutMs, (done) => socket.once("secureConnect", done));
  }
  const refusalMs = REFUSAL_WAIT_MS + 2 * (performance.now() - stepAt);
  phase = secure === undefined ? "write" : "refusal";
  if (secure !== undefined) await wait(refusalMs, nothing, nothing);

  return {
    wait,
    renew,

    async write(bytes) {
      await within(answerTimeoutMs, (done) => socket.write(bytes, (error) => error ?? done()));
      phase = "write";
    },

    async end(limitMs) {
      await wait(refusalMs, nothing, nothing);
      await within(limitMs, (done) => {
        phase = "end";
        socket.once("close", done).end();
      });
    },

    destroy: () => socket.destroy(),
  };
}

const nothing = () => undefined;

/** What waits, one thing at a time, until all fails: then `onFail` is called, and whatever waits then or later is rejected. */
function waiting(onFail: () => void): Pick<Connection, "wait" | "renew"> & { readonly fail: (error: Error) => void } {
  let failure: Error | undefined;
  let giveUp: ((error: Error) => void) | undefined;
  let timer: NodeJS.Timeout | undefined;

  function fail(error: Error): void {
    failure ??= error;
    onFail();
    giveUp?.(failure);
  }

  return {
    fail,
    renew: () => timer?.refresh(),
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
          timer = undefined;
          giveUp = undefined;
          how();
        };
        const rejectWith = (error: Error) => settle(() => reject(error));
        timer = setTimeout(() => {
          const error = late();
          if (error === undefined) settle(resolve);
          else fail(error);
        }, limitMs);
        giveUp = rejectWith;
        begin(() => settle(resolve));
      }),
  };
}
