import net, { isIP } from "node:net";
import tls, { checkServerIdentity, createSecureContext, type ConnectionOptions } from "node:tls";
import { readCertificates, readPem } from "../../config/values/certificates.ts";
import { ConfigError, type ExporterError } from "../../errors.ts";
import { closedEarly, failureOf, timedOut, type Attempt, type Phase } from "./errors.ts";

export interface TlsOptions {
  /** A PEM file of the authorities to trust, instead of the system's. */
  readonly caFile?: string | undefined;
  /** PEM files of our own certificate and its key, if the receiver requires one. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** The name to send as SNI, which the receiver's certificate must have. Default: the host. */
  readonly serverName?: string | undefined;
  readonly checkServerName: boolean;
}

/**
 * Node's options for TLS to `host`. The files are read each time, so that renewed ones are used.
 * @throws ConfigError if a file cannot be read, or its content cannot be used
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
    // SNI does not allow IP addresses (RFC 6066, section 3).
    ...(isIP(name) === 0 && { servername: name }),
    // Set although it is the default: NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment would change the default.
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
      hint: "sink.certFile and sink.keyFile must be PEM files that belong together, and the key must have no password",
      cause,
    });
  }
}

/** A receiver's address, and how long to wait for it. */
export interface Receiver {
  /** For messages: `tls://logs.example.com:6514`. */
  readonly place: string;
  readonly host: string;
  readonly port: number;
  /** Undefined: no TLS. */
  readonly tls: TlsOptions | undefined;
  /** For the connection, again for the TLS handshake, and for each answer to the opening and the close of a session. */
  readonly connectTimeoutMs: number;
  /** For each answer to a message, for the receiver to accept bytes, and for it to close the connection after we did. */
  readonly answerTimeoutMs: number;
}

/**
 * A receiver that refuses us disconnects, often without an error: with TLS 1.3 after the handshake, when it has seen our
 * certificate; with another protocol, when it has seen the first bytes. After we have closed our side, that would look like the
 * end of a small batch. So we first wait this long, plus twice the time that the last step of the opening took.
 */
const REFUSAL_WAIT_MS = 100;
/** When an idle connection is probed first, so that a firewall in between does not forget it. */
const KEEP_ALIVE_AFTER_MS = 30_000;

/**
 * A TCP or TLS connection. If it is lost or stalls, or if the signal given to `connect` is aborted, the pending call and all later
 * calls reject, and nothing is left open. Only one call may be pending at a time.
 */
export interface Connection {
  /** Resolves when the bytes have left this process, so that none are in its memory. */
  write(bytes: Buffer): Promise<void>;
  /**
   * Calls `begin`, and resolves when that calls `done`. After `limitMs`, the connection fails with the error that `late`
   * returns; if that is undefined, the call resolves.
   */
  wait(limitMs: number, late: () => ExporterError | undefined, begin: (done: () => void) => void): Promise<void>;
  /** Restarts the time limit of the pending call, because the receiver has shown that it is working. */
  renew(): void;
  /**
   * Waits for a refusal that may be on its way, then closes our side, and waits for the receiver to close its side. It does so
   * when it has read everything up to our close; until then, a reset or a TLS alert can still report that bytes were lost. If
   * the receiver does not close within `limitMs`, it may not have read a byte: the connection counts as lost.
   */
  end(limitMs: number): Promise<void>;
  destroy(): void;
}

/**
 * Connects, and with TLS completes the handshake.
 * @param receive gets what arrives, in pieces of any size; if it throws, the connection fails with that error
 * @throws ConfigError if a certificate file cannot be used
 * @throws RefusedError if one side does not accept the other's certificate
 * @throws TransientError for everything else
 */
export async function connect(
  receiver: Receiver,
  receive: (bytes: Buffer) => void,
  signal: AbortSignal,
): Promise<Connection> {
  signal.throwIfAborted();
  const { place, host, port, connectTimeoutMs, answerTimeoutMs } = receiver;
  const address = { host, port, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_AFTER_MS, noDelay: true };
  const secure = receiver.tls && secureOptions(receiver.tls, host);
  const socket = secure === undefined ? net.connect(address) : tls.connect({ ...address, ...secure });

  let phase: Phase = "connect";
  const attempt = (): Attempt => ({
    ...{ place, phase, hasCertificate: receiver.tls?.certFile !== undefined },
    serverName: receiver.tls?.serverName ?? host,
  });
  const { wait, renew, fail } = pendingCall(() => socket.destroy());

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
  // Unless it answers our close, the receiver has disconnected.
  socket.once("end", () => {
    if (phase !== "end") fail(closedEarly(attempt()));
  });
  socket.once("close", () => {
    signal.removeEventListener("abort", onAbort);
    if (phase !== "end") fail(closedEarly(attempt()));
  });

  const waitOrFail = (limitMs: number, begin: (done: () => void) => void) =>
    wait(limitMs, () => timedOut(limitMs, attempt()), begin);
  let stepAt = performance.now();
  await waitOrFail(connectTimeoutMs, (done) => socket.once("connect", done));
  if (secure !== undefined) {
    phase = "handshake";
    stepAt = performance.now();
    await waitOrFail(connectTimeoutMs, (done) => socket.once("secureConnect", done));
  }
  const refusalMs = REFUSAL_WAIT_MS + 2 * (performance.now() - stepAt);
  phase = secure === undefined ? "write" : "refusal";
  if (secure !== undefined) await wait(refusalMs, nothing, nothing);

  return {
    wait,
    renew,

    async write(bytes) {
      await waitOrFail(answerTimeoutMs, (done) => socket.write(bytes, (error) => error ?? done()));
      phase = "write";
    },

    async end(limitMs) {
      await wait(refusalMs, nothing, nothing);
      await waitOrFail(limitMs, (done) => {
        phase = "end";
        socket.once("close", done).end();
      });
    },

    destroy: () => socket.destroy(),
  };
}

const nothing = () => undefined;

/** The one pending call of a connection. `fail` calls `onFail`, and rejects the pending call and all later ones. */
function pendingCall(
  onFail: () => void,
): Pick<Connection, "wait" | "renew"> & { readonly fail: (error: Error) => void } {
  let failure: Error | undefined;
  let rejectPending: ((error: Error) => void) | undefined;
  let timer: NodeJS.Timeout | undefined;

  function fail(error: Error): void {
    failure ??= error;
    onFail();
    rejectPending?.(failure);
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
        // `done` may be called after this call has ended.
        const settle = (how: () => void) => {
          if (rejectPending !== rejectWith) return;
          clearTimeout(timer);
          timer = undefined;
          rejectPending = undefined;
          how();
        };
        const rejectWith = (error: Error) => settle(() => reject(error));
        timer = setTimeout(() => {
          const error = late();
          if (error === undefined) settle(resolve);
          else fail(error);
        }, limitMs);
        rejectPending = rejectWith;
        begin(() => settle(resolve));
      }),
  };
}
