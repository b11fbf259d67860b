import type { PeerCertificate } from "node:tls";
import { RefusedError, TransientError, type ExporterError } from "../../errors.ts";

/** How far a connection has come. */
export type Phase = "connect" | "handshake" | "refusal" | "write" | "end" | "datagram";

/** Of one connection, what its errors must tell. */
export interface Attempt {
  /** `tls://logs.example.com:6514` */
  readonly place: string;
  readonly phase: Phase;
  /** Whether the receiver is shown a certificate of ours. */
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
  end: "write the last to",
  datagram: "write to",
};

const NOT_LISTENING =
  "nothing listens there: check sink.host, sink.port, and that the receiver listens for sink.transport on this port";
const NO_CERTIFICATE =
  "the receiver may want a certificate of ours: set sink.certFile and sink.keyFile, of an authority that it trusts";
const OWN_CERTIFICATE =
  "the receiver may not accept our certificate: sink.certFile must be of an authority that it trusts, and of a name that it lets in";
const PERHAPS_PLAIN =
  "the port may be one without TLS (often 514 or 601; with TLS often 6514): check sink.port and sink.transport";
const PERHAPS_ANOTHER =
  "if that happens each time, the port may be one for another transport (TCP, TLS, RELP): check sink.port and sink.transport";
/** What to look for where a receiver is there, and does nothing for too long. */
export const BUSY = "the receiver is busy, or its queue is full: see its log";
const CA_FILE = "name the PEM file of its authority in sink.caFile";

const NETWORK_HINTS: Readonly<Record<string, string>> = {
  ENOTFOUND: "the name is not known: check sink.host, and DNS",
  EAI_AGAIN: "the name could not be looked up: check sink.host, and DNS",
  ECONNREFUSED: NOT_LISTENING,
  EHOSTUNREACH: "there is no way to that host: check sink.host, routes and firewalls",
  ENETUNREACH: "there is no way to that network: check sink.host, routes and firewalls",
};

/** What did not happen in time, and what to do. */
const LATE: Readonly<Record<Phase, readonly [string, string]>> = {
  connect: ["no answer", "a firewall may drop it: check sink.host, sink.port and firewalls"],
  handshake: ["no answer", PERHAPS_PLAIN],
  refusal: ["not a byte was taken", BUSY],
  write: ["not a byte was taken", BUSY],
  end: ["the receiver did not end the connection", BUSY],
  datagram: ["not a byte was taken", BUSY],
};

/** What Node says of the receiver's certificate, in words, and what to do. */
const CERTIFICATE: Readonly<Record<string, readonly [string, string]>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: ["its certificate is self-signed, and not trusted", "name it in sink.caFile"],
  SELF_SIGNED_CERT_IN_CHAIN: ["its certificate is of an authority that is not trusted", CA_FILE],
  UNABLE_TO_GET_ISSUER_CERT: ["its certificate is of an unknown authority", CA_FILE],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ["its certificate is of an unknown authority", CA_FILE],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ["its certificate is of an unknown authority", CA_FILE],
  CERT_SIGNATURE_FAILURE: ["its certificate is not of the authority whose name it has", CA_FILE],
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

/** The alerts (RFC 8446, 6.2) by which a receiver refuses our certificate, or that there is none. */
const REFUSES_US = /ALERT_(?:[A-Z_]*CERTIFICATE[A-Z_]*|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE|DECRYPT_ERROR)$/;

/** By these a receiver shows that it knows no version of TLS that we speak. */
const TOO_OLD = new Set(["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "ERR_SSL_UNSUPPORTED_PROTOCOL"]);

/** What a socket's error means. A certificate will not change between two tries of a tick: then it is a refusal. */
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
      : "wants a certificate of ours, and we have none";
    const message = `${what}: the receiver ${refusal} (alert: ${alert})`;
    return new RefusedError("unauthorized", message, { hint: certificateHint(attempt.hasCertificate), cause });
  }
  if (TOO_OLD.has(code)) {
    const message = `${what}: the receiver speaks only TLS older than 1.2 (${code})`;
    return new RefusedError("bad_request", message, { hint: "let the receiver speak TLS 1.2 or 1.3", cause });
  }
  // OpenSSL's own messages are lines with addresses in memory and places in its source.
  const said = (cause.reason ?? cause.message).replaceAll(/\s+/g, " ").trim();
  const message = `${what}: ${said.includes(code) ? said : `${said} (${code})`}`;
  return new TransientError("network", message, { hint: NETWORK_HINTS[code] ?? lostHint(attempt), cause });
}

/** The receiver closed the connection before we had ended it. */
export function closedEarly(attempt: Attempt): TransientError {
  const message = `${DOING[attempt.phase]} ${attempt.place}: the receiver closed the connection`;
  return new TransientError("network", message, { hint: lostHint(attempt) });
}

/** Nothing happened for too long. */
export function timedOut(limitMs: number, attempt: Attempt): TransientError {
  const { phase, place } = attempt;
  const [what, hint] = LATE[phase];
  return new TransientError("timeout", `${DOING[phase]} ${place}: ${what} within ${limitMs} ms`, { hint });
}

/** A receiver that leaves for no shown reason has often not liked what it was shown. */
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
  const hint = `set sink.serverName to a name that it has (${names}), if that is the receiver that you mean`;
  return new RefusedError("forbidden", `${what}: its certificate is not for ${serverName}, but for ${names}`, {
    hint,
    cause,
  });
}

/** Of several errors, one for each address of a host, the first. */
function innermost(thrown: unknown): Failure {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return innermost(thrown.errors[0]);
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
