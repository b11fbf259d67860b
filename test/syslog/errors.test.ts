import { expect, test } from "vitest";
import { failureOf } from "../../src/syslog/errors.ts";

const ATTEMPT = {
  place: "tls://logs:6514",
  phase: "handshake",
  isTls: true,
  hasCertificate: false,
  serverName: "logs",
} as const;
const nodeError = (code: string, message = `something (${code})`) => Object.assign(new Error(message), { code });

test("what a handshake cannot show twice is a refusal, and says what is wrong with which certificate", () => {
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

test("of the errors for each address of a host the first is told, and kept as the cause", () => {
  const first = nodeError("ECONNREFUSED", "connect ECONNREFUSED ::1:6514");
  const error = failureOf(new AggregateError([first, nodeError("ETIMEDOUT")]), { ...ATTEMPT, phase: "connect" });
  expect(error).toMatchObject({ name: "TransientError", code: "network", cause: first });
  expect(error.message).toBe("connect to tls://logs:6514: connect ECONNREFUSED ::1:6514");
});
