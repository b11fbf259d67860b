import type { PeerCertificate } from "node:tls";
import { RefusedError, TransientError, type ExporterError } from "../errors.ts";

/** How far a connection has come. */
export type Phase = "connect" | "handshake" | "refusal" | "write" | "end";

/** Of one connection, what its errors must tell. */
export interface Attempt {
  /** `tls://logs.example.com:6514` */
  readonly place: string;
  readonly phase: Phase;
  readonly isTls: boolean;
  /** Whether the receiver is shown a certificate of ours. */
  readonly hasCertificate: boolean;
  /** The name that the receiver's certificate must have. */
  readonly serverName: string;
}

type Failure = NodeJS.ErrnoException & { readonly cert?: PeerCertificate };

const DOING: Readonly<Record<Phase, string>> = {
  connect: "connect to",
  handshake: "TLS handshake with",
  refusal: "after the TLS handshake with",
  write: "write to",
  end: "write the last to",
};

const NOT_LISTENING =
  "nothing listens there: check sink.host, sink.port, and that the receiver listens for sink.transport on this port";
const NO_CERTIFICATE =
  "the receiver may want a certificate of ours: set sink.certFile and sink.keyFile, of an authority that it trusts";
const OWN_CERTIFICATE =
  "the receiver may not accept our certificate: sink.certFile must be of an authority that it trusts, and of a name that it lets in";
const PERHAPS_PLAIN =
  "the port may be one without TLS (often 514 or 601; with TLS often 6514): check sink.port and sink.transport";
const CA_FILE = "name the PEM file of its authority in sink.caFile";

const NETWORK_HINTS: Readonly<Record<string, string>> = {
  ENOTFOUND: "the name is not known: check sink.host, and DNS",
  EAI_AGAIN: "the name could not be looked up: check sink.host, and DNS",
  ECONNREFUSED: NOT_LISTENING,
  EHOSTUNREACH: "there is no way to that host: check sink.host, routes and firewalls",
  ENETUNREACH: "there is no way to that network: check sink.host, routes and firewalls",
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
  const message = `${what}: ${cause.message.includes(code) ? cause.message : `${cause.message} (${code})`}`;
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
  const what = phase === "connect" || phase === "handshake" ? "no answer" : "not a byte was taken";
  const hint =
    phase === "connect" ? "a firewall may drop it: check sink.host, sink.port and firewalls" : lostHint(attempt);
  return new TransientError("timeout", `${DOING[phase]} ${place}: ${what} within ${limitMs} ms`, { hint });
}

/** A receiver that ends a TLS connection for no shown reason has often not liked what it was shown. */
function lostHint({ phase, isTls, hasCertificate }: Attempt): string | undefined {
  if (!isTls) return undefined;
  return phase === "handshake" ? PERHAPS_PLAIN : certificateHint(hasCertificate);
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
