import { expect, test } from "vitest";
import { failureOf } from "../../../src/sinks/syslog/errors.ts";

const ATTEMPT = {
  place: "tls://logs:6514",
  phase: "handshake",
  hasCertificate: false,
  serverName: "logs",
} as const;
const nodeError = (code: string, message = `something (${code})`) => Object.assign(new Error(message), { code });

test("an error about a certificate is a refusal that says what is wrong with it", () => {
  expect(failureOf(nodeError("CERT_NOT_YET_VALID"), ATTEMPT)).toMatchObject({
    name: "RefusedError",
    code: "forbidden",
    message: "TLS handshake with tls://logs:6514: its certificate is not yet valid (CERT_NOT_YET_VALID)",
  });
  for (const alert of ["TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_BAD_CERTIFICATE", "SSLV3_ALERT_CERTIFICATE_EXPIRED"]) {
    const error = failureOf(nodeError(`ERR_SSL_${alert}`), ATTEMPT);
    expect(error).toMatchObject({ name: "RefusedError", code: "unauthorized" });
    expect(error.message).toMatch(/alert: (?:unknown ca|bad certificate|certificate expired)\)$/);
  }
});

test("a receiver that supports only old TLS versions is a refusal", () => {
  for (const code of ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "ERR_SSL_UNSUPPORTED_PROTOCOL"]) {
    expect(failureOf(nodeError(code), ATTEMPT)).toMatchObject({
      ...{ name: "RefusedError", code: "bad_request" },
      message: `TLS handshake with tls://logs:6514: the receiver supports only TLS versions older than 1.2 (${code})`,
      hint: expect.stringContaining("1.2") as string,
    });
  }
});

test("an error of OpenSSL is reported by its reason, on one line", () => {
  const long = "809C6583767F0000:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:ssl3_record.c:350:\n";
  const code = "ERR_SSL_WRONG_VERSION_NUMBER";
  const { message } = failureOf(Object.assign(nodeError(code, long), { reason: "wrong version number" }), ATTEMPT);
  expect(message).toBe(`TLS handshake with tls://logs:6514: wrong version number (${code})`);
});

test("if each address of a host fails, the first error is reported, and is the cause", () => {
  const first = nodeError("ECONNREFUSED", "connect ECONNREFUSED ::1:6514");
  const error = failureOf(new AggregateError([first, nodeError("ETIMEDOUT")]), { ...ATTEMPT, phase: "connect" });
  expect(error).toMatchObject({ name: "TransientError", code: "network", cause: first });
  expect(error.message).toBe("connect to tls://logs:6514: connect ECONNREFUSED ::1:6514");
});
