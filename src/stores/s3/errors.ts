import { ConfigError, ExporterError, ProtocolError, RefusedError, TransientError } from "../../errors.ts";
import { PROXY_HINT } from "../../http/errors.ts";
import { parseRetryAfter } from "../../http/retry.ts";
import type { S3Options } from "./options.ts";

/** A request, for messages: `PUT s3://bucket/key`. */
export interface S3Request {
  readonly operation: "PUT" | "GET" | "LIST" | "DELETE";
  readonly url: string;
}

/** What a failure may hold: members of the SDK's exceptions and of Node's errors. */
interface Failure extends Error {
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly statusCode?: number; readonly headers?: Readonly<Record<string, string>> };
}

/** What to do about a store that creates the same object twice. */
export const CONDITIONAL_STORES =
  "use a store that supports If-None-Match: AWS S3, MinIO, Cloudflare R2, Ceph (version 16: only in buckets without versioning)";

/** What to do about an answer that no S3 store gives. */
export const NOT_S3_HINT = "check endpoint, and whether a proxy or a login portal is in between";

type RefusalCode = "unauthorized" | "forbidden" | "not_found" | "bad_request";

/** What S3's error codes mean, with any status, and what to do. Stores other than AWS use the same codes. */
const REFUSALS: Readonly<Record<string, readonly [RefusalCode, string]>> = {
  NoSuchBucket: ["not_found", "create the bucket, or correct bucket, region or endpoint"],
  InvalidBucketName: ["bad_request", "correct bucket"],
  InvalidAccessKeyId: ["unauthorized", "the store does not know this access key: correct accessKeyId or endpoint"],
  SignatureDoesNotMatch: ["unauthorized", "correct secretAccessKey (a space or newline at its end counts)"],
  InvalidToken: ["unauthorized", "correct sessionToken, or remove it if the keys are permanent"],
  UserSuspended: ["forbidden", "the store has suspended this user"],
  QuotaExceeded: ["forbidden", "the quota of the bucket or user is used up: raise it"],
  InvalidObjectState: ["forbidden", "the object is in an archive storage class: restore it first"],
  NotImplemented: ["bad_request", CONDITIONAL_STORES],
};

/** Error codes that mean that the bucket is in another region. */
const OTHER_REGION = new Set([
  "PermanentRedirect",
  "TemporaryRedirect",
  "Redirect",
  "AuthorizationHeaderMalformed",
  "IllegalLocationConstraintException",
]);

/** Turns an error of the SDK or the network into one of ours; undefined for a bug. */
export function s3Failure(request: S3Request, thrown: unknown, options: S3Options): ExporterError | undefined {
  if (thrown instanceof ExporterError) return thrown;
  if (!(thrown instanceof Error)) return undefined;
  const cause = thrown as Failure;
  const status = statusOf(cause);
  if (status !== undefined) return answerFailure(request, cause, status, options);
  const what = `${request.operation} ${request.url}`;
  if (cause.name === "CredentialsProviderError") return credentialsFailure(what, cause);
  if (cause.message === "Region is missing") {
    return new ConfigError(`${what}: no region`, { hint: "set region, or AWS_REGION in the environment", cause });
  }
  return connectionFailure(what, cause);
}

/** The HTTP status of an answer that the SDK has turned into an exception. */
export function statusOf(cause: unknown): number | undefined {
  if (!(cause instanceof Error)) return undefined;
  const { $metadata, $response } = cause as Failure;
  return $metadata?.httpStatusCode ?? $response?.statusCode;
}

/** The error if there are no credentials, or none at the moment. `cause` may come from the SDK's chain, STS or the network. */
export function credentialsFailure(what: string, cause: unknown): ExporterError | undefined {
  if (cause instanceof ExporterError) return cause;
  if (!(cause instanceof Error)) return undefined;
  const message = `${what}: no credentials: ${oneLine(cause.message)}`;
  const status = statusOf(cause);
  if (status === undefined ? isNetwork(cause) : status >= 500 || status === 429) {
    return new TransientError("unavailable", message, { cause });
  }
  const hint =
    "set accessKeyId and secretAccessKey, or give the process AWS credentials (AWS_ACCESS_KEY_ID, a profile, a role)";
  return new RefusedError("unauthorized", message, { hint, cause });
}

function answerFailure(request: S3Request, cause: Failure, status: number, options: S3Options): ExporterError {
  const message = `${request.operation} ${request.url}: HTTP ${status}${detailsOf(cause)}`;
  if (status < 300) {
    return new ProtocolError(`${message}: the answer cannot be read`, { hint: NOT_S3_HINT, cause });
  }
  if (cause.name === "SlowDown" || status === 429 || status === 503) {
    const retryAfterMs = parseRetryAfter(cause.$response?.headers?.["retry-after"], (options.now ?? Date.now)());
    return new TransientError("rate_limited", message, { retryAfterMs, cause });
  }
  if (status === 407) return new TransientError("network", message, { hint: PROXY_HINT, cause });
  if (status >= 500 && status !== 501) return new TransientError("unavailable", message, { cause });
  switch (cause.name) {
    case "RequestTimeout":
      return new TransientError("timeout", message, { cause });
    case "ExpiredToken":
    case "ExpiredTokenException":
      // The next attempt gets new credentials.
      return new TransientError("unavailable", message, { hint: "renew the session token", cause });
    case "RequestTimeTooSkewed":
      // The SDK has learned the store's time from this answer, so the next attempt may succeed.
      return new TransientError("unavailable", message, { hint: "this machine's clock is wrong: set it (NTP)", cause });
    case "ConditionalRequestConflict":
    case "OperationAborted":
      return new TransientError("unavailable", message, { cause });
  }
  const [code, hint] = refusal(request, cause, status, options);
  return new RefusedError(code, message, { hint, cause });
}

function refusal(
  request: S3Request,
  cause: Failure,
  status: number,
  options: S3Options,
): readonly [RefusalCode, string | undefined] {
  const known = REFUSALS[cause.name];
  if (known !== undefined) return known;
  if (OTHER_REGION.has(cause.name) || status === 301 || status === 307) {
    const region = cause.$response?.headers?.["x-amz-bucket-region"];
    const where =
      region === undefined ? "set region to the bucket's region" : `the bucket is in ${region}: set region to it`;
    return ["bad_request", `${where}, and let endpoint (if set) match`];
  }
  if (cause.name.startsWith("KMS.")) return ["forbidden", "check the KMS key: kmsKeyId, its state and its policy"];
  if (status === 401) return ["unauthorized", "correct accessKeyId and secretAccessKey"];
  if (status === 403)
    return ["forbidden", `allow ${actionsOf(request, options)} (\`siem-export check\` prints the policy)`];
  if (status === 404) return ["not_found", "correct bucket or endpoint"];
  if (cause.name === "InvalidRequest" && request.operation === "PUT" && options.objectLock !== undefined) {
    return ["bad_request", "enable Object Lock on the bucket (it needs versioning), or remove objectLock"];
  }
  return ["bad_request", undefined];
}

function actionsOf({ operation }: S3Request, { serverSideEncryption, objectLock }: S3Options): string {
  const kms = (action: string) => (serverSideEncryption === "aws:kms" ? ` (and ${action} on the key)` : "");
  switch (operation) {
    case "LIST":
      return "s3:ListBucket";
    case "DELETE":
      return "s3:DeleteObject (which the worker itself never needs)";
    case "GET":
      return `s3:GetObject${kms("kms:Decrypt")}`;
    case "PUT":
      return `s3:PutObject${objectLock ? ", s3:PutObjectRetention" : ""}${kms("kms:GenerateDataKey")}`;
  }
}

/** The error if there was no answer, or not a whole one. */
function connectionFailure(what: string, cause: Failure): ExporterError | undefined {
  if (isTimeout(cause)) return new TransientError("timeout", `${what}: no answer in time`, { cause });
  const message = `${what}: ${oneLine(cause.message)}`;
  const code = String(cause.code);
  if (code === "EPROTO" || /CERT|UNABLE_TO_|^ERR_(?:TLS|SSL|OSSL)_/.test(code)) {
    const hint = "set caFile to the store's certificate authority, and endpoint to a name in its certificate";
    return new RefusedError("bad_request", message, { hint, cause });
  }
  if (!isNetwork(cause)) return undefined;
  const hint = code === "EPROXY" ? PROXY_HINT : undefined;
  return new TransientError("network", message, { hint, cause });
}

/** The SDK reports a broken connection as a TimeoutError, too. */
const isTimeout = ({ name, code }: Failure) =>
  code === "ETIMEDOUT" || (name === "TimeoutError" && code !== "ECONNRESET" && code !== "EPIPE");

/** Codes of the network and the HTTP parser, such as `ECONNRESET` or `HPE_INVALID_CONSTANT`. Bugs have other codes. */
function isNetwork(cause: Failure): boolean {
  return isTimeout(cause) || /^(?:E(?!RR_)[A-Z]|HPE_|ERR_(?:STREAM|HTTP|SOCKET)_)/.test(String(cause.code));
}

/** ` AccessDenied (User … is not authorized …)`: the store's error code, and its message if that says more. */
function detailsOf({ name, message }: Failure): string {
  if (/^(?:Error|SyntaxError|TypeError|Unknown.*|\d+)$/.test(name)) return "";
  const saysNoMore = /^(?:|Unknown.*|Access Denied\.?)$/.test(message) || message === name;
  return saysNoMore ? ` ${name}` : ` ${name} (${oneLine(message)})`;
}

/** One line of at most 300 characters: error messages can quote whole documents. */
const oneLine = (text: string) => text.replace(/\s+/g, " ").trim().slice(0, 300);
