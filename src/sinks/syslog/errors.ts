import type { PeerCertificate } from "node:tls";
import { RefusedError, TransientError, type ExporterError } from "../../errors.ts";

/** How far a connection has got. */
export type Phase = "connect" | "handshake" | "refusal" | "write" | "end" | "datagram";

/** What the errors of a connection need to know about it. */
export interface Attempt {
  /** `tls://logs.example.com:6514` */
  readonly place: string;
  readonly phase: Phase;
  /** Whether we present a certificate to the receiver. */
  readonly hasCertificate: boolean;
  /** The name that the receiver's certificate must have. */
  readonly serverName: string;
}

type Failure = NodeJS.ErrnoException & { readonly cert?: PeerCertificate; readonly reason?: string };

const DOING: Readonly<Record<Phase, string>> = {
  connect: "connect to",
  handshake: "TLS handshake with",
  refusal: "after the TLS handshake with",
  write: "write to",
  end: "finish writing to",
  datagram: "write to",
};

const NOT_LISTENING =
  "nothing listens on this port: check sink.host, sink.port, and that the receiver listens for sink.transport there";
const NO_CERTIFICATE =
  "the receiver may require a client certificate: set sink.certFile and sink.keyFile, from an authority that it trusts";
const OWN_CERTIFICATE =
  "the receiver may not accept our certificate: sink.certFile must be from an authority that it trusts, with a name that it allows";
const PERHAPS_PLAIN =
  "the port may not use TLS (often 514 or 601; with TLS often 6514): check sink.port and sink.transport";
const PERHAPS_ANOTHER =
  "if this happens every time, the port may expect another transport (TCP, TLS, RELP): check sink.port and sink.transport";
/** What to check if a receiver is connected and does nothing for too long. */
export const BUSY = "the receiver is busy, or its queue is full: check its log";
const CA_FILE = "set sink.caFile to the PEM file of its authority";

const NETWORK_HINTS: Readonly<Record<string, string>> = {
  ENOTFOUND: "the host name is not known: check sink.host and DNS",
  EAI_AGAIN: "the host name could not be looked up: check sink.host and DNS",
  ECONNREFUSED: NOT_LISTENING,
  EHOSTUNREACH: "there is no route to the host: check sink.host, routes and firewalls",
  ENETUNREACH: "there is no route to the network: check sink.host, routes and firewalls",
};

/** What did not happen in time, and what to do. */
const LATE: Readonly<Record<Phase, readonly [string, string]>> = {
  connect: ["no answer", "a firewall may drop the connection: check sink.host, sink.port and firewalls"],
  handshake: ["no answer", PERHAPS_PLAIN],
  refusal: ["the receiver accepted no bytes", BUSY],
  write: ["the receiver accepted no bytes", BUSY],
  end: ["the receiver did not close the connection", BUSY],
  datagram: ["the receiver accepted no bytes", BUSY],
};

/** Node's error codes for the receiver's certificate, in words, and what to do. */
const CERTIFICATE: Readonly<Record<string, readonly [string, string]>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: ["its certificate is self-signed and not trusted", "set sink.caFile to the certificate"],
  SELF_SIGNED_CERT_IN_CHAIN: ["its certificate is from an authority that is not trusted", CA_FILE],
  UNABLE_TO_GET_ISSUER_CERT: ["its certificate is from an unknown authority", CA_FILE],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ["its certificate is from an unknown authority", CA_FILE],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ["its certificate is from an unknown authority", CA_FILE],
  CERT_SIGNATURE_FAILURE: ["its certificate was not signed by the authority that it names", CA_FILE],
  CERT_HAS_EXPIRED: [
    "its certificate has expired",
    "renew the receiver's certificate, or correct this machine's clock",
  ],
  CERT_NOT_YET_VALID: [
    "its certificate is not yet valid",
    "correct this machine's clock, or the receiver's certificate",
  ],
  CERT_REVOKED: ["its certificate is revoked", "renew the receiver's certificate"],
  INVALID_PURPOSE: ["its certificate is not for a server", "give the receiver a certificate for serverAuth"],
};

/** The alerts (RFC 8446, section 6.2) of a receiver that refuses our certificate, or requires one. */
const REFUSES_US = /ALERT_(?:[A-Z_]*CERTIFICATE[A-Z_]*|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE|DECRYPT_ERROR)$/;

/** The errors for a receiver that supports none of our versions of TLS. */
const TOO_OLD = new Set(["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "ERR_SSL_UNSUPPORTED_PROTOCOL"]);

/** Our error for a socket's error. An error about a certificate is a refusal: certificates do not change between two attempts. */
export function failureOf(thrown: unknown, attempt: Attempt): ExporterError {
  const cause = innermost(thrown);
  const code = cause.code ?? "";
  const what = `${DOING[attempt.phase]} ${attempt.place}`;
  const [text, hint] = CERTIFICATE[code] ?? [];
  if (text !== undefined) return new RefusedError("forbidden", `${what}: ${text} (${code})`, { hint, cause });
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return wrongName(what, cause, attempt);
  if (REFUSES_US.test(code)) {
    const alert = code
      .replace(/^ERR_SSL_(?:TLSV1\d?|SSLV3)_ALERT_/, "")
      .toLowerCase()
      .replaceAll("_", " ");
    const refusal = attempt.hasCertificate
      ? "refuses our certificate"
      : "requires a client certificate, and none is set";
    const message = `${what}: the receiver ${refusal} (alert: ${alert})`;
    return new RefusedError("unauthorized", message, { hint: certificateHint(attempt.hasCertificate), cause });
  }
  if (TOO_OLD.has(code)) {
    const message = `${what}: the receiver supports only TLS versions older than 1.2 (${code})`;
    return new RefusedError("bad_request", message, { hint: "enable TLS 1.2 or 1.3 on the receiver", cause });
  }
  // The messages of OpenSSL contain memory addresses and places in its source; `reason` is the readable part.
  const reason = (cause.reason ?? cause.message).replaceAll(/\s+/g, " ").trim();
  const message = `${what}: ${reason.includes(code) ? reason : `${reason} (${code})`}`;
  return new TransientError("network", message, { hint: NETWORK_HINTS[code] ?? lostHint(attempt), cause });
}

/** The receiver closed the connection before we closed our side. */
export function closedEarly(attempt: Attempt): TransientError {
  const message = `${DOING[attempt.phase]} ${attempt.place}: the receiver closed the connection`;
  return new TransientError("network", message, { hint: lostHint(attempt) });
}

/** The phase was not completed within `limitMs`. */
export function timedOut(limitMs: number, attempt: Attempt): TransientError {
  const { phase, place } = attempt;
  const [what, hint] = LATE[phase];
  return new TransientError("timeout", `${DOING[phase]} ${place}: ${what} within ${limitMs} ms`, { hint });
}

/** What to check if a receiver disconnects without an error: often the wrong port, or a certificate that it refuses. */
function lostHint({ phase, hasCertificate }: Attempt): string | undefined {
  switch (phase) {
    case "handshake":
      return PERHAPS_PLAIN;
    case "refusal":
      return certificateHint(hasCertificate);
    case "write":
    case "end":
      return PERHAPS_ANOTHER;
    case "connect":
    case "datagram":
      return undefined;
  }
}

function certificateHint(hasCertificate: boolean): string {
  return hasCertificate ? OWN_CERTIFICATE : NO_CERTIFICATE;
}

function wrongName(what: string, cause: Failure, { serverName }: Attempt): RefusedError {
  const names = cause.cert?.subjectaltname ?? `CN=${String(cause.cert?.subject.CN)}`;
  const hint = `if this is the right receiver, set sink.serverName to a name of its certificate (${names})`;
  return new RefusedError("forbidden", `${what}: its certificate is not for ${serverName}, but for ${names}`, {
    hint,
    cause,
  });
}

/** The first error if there are several, one for each address of a host. */
function innermost(thrown: unknown): Failure {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return innermost(thrown.errors[0]);
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
