import { ConfigError, ExporterError, ProtocolError, RefusedError, TransientError } from "../../errors.ts";
import { PROXY_HINT } from "../../http/errors.ts";
import { parseRetryAfter } from "../../http/retry.ts";
import type { S3Options } from "./options.ts";

/** What was being done: `PUT s3://bucket/key`. */
export interface S3Request {
  readonly operation: "PUT" | "GET" | "LIST" | "DELETE";
  readonly url: string;
}

/** What may be known of a failure: members of the SDK's exceptions and of Node's errors. */
interface Failure extends Error {
  readonly code?: unknown;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly statusCode?: number; readonly headers?: Readonly<Record<string, string>> };
}

/** What to do about a store that creates the same object twice. */
export const CONDITIONAL_STORES =
  "use a store that keeps If-None-Match: AWS S3, MinIO, Cloudflare R2, Ceph (16: in buckets without versioning only)";

/** S3's own names for what is said by a name, in any status. Stores that are not AWS use the same. */
const NAMED: Readonly<Record<string, readonly ["unauthorized" | "forbidden" | "not_found" | "bad_request", string]>> = {
  NoSuchBucket: ["not_found", "create the bucket, or correct bucket, region or endpoint"],
  InvalidBucketName: ["bad_request", "correct bucket"],
  InvalidAccessKeyId: ["unauthorized", "the store does not know this access key: correct accessKeyId, or the endpoint"],
  SignatureDoesNotMatch: ["unauthorized", "correct secretAccessKey (a space or newline at its end counts)"],
  InvalidToken: ["unauthorized", "correct sessionToken, or take it away where the keys are permanent"],
  UserSuspended: ["forbidden", "the store has suspended this user"],
  QuotaExceeded: ["forbidden", "the bucket's or user's quota is used up: raise it"],
  InvalidObjectState: ["forbidden", "the object is in an archive storage class: restore it first"],
  NotImplemented: ["bad_request", CONDITIONAL_STORES],
};

/** Names that say where to look for the bucket's region. */
const ELSEWHERE = new Set([
  "PermanentRedirect",
  "TemporaryRedirect",
  "Redirect",
  "AuthorizationHeaderMalformed",
  "IllegalLocationConstraintException",
]);

/** Turns what the SDK or the network said into one of our errors; undefined for what is a bug. */
export function s3Failure(request: S3Request, thrown: unknown, options: S3Options): ExporterError | undefined {
  if (thrown instanceof ExporterError) return thrown;
  if (!(thrown instanceof Error)) return undefined;
  const cause = thrown as Failure;
  const status = statusOf(cause);
  if (status !== undefined) return answered(request, cause, status, options);
  const what = `${request.operation} ${request.url}`;
  if (cause.name === "CredentialsProviderError") return credentialsFailure(what, cause);
  if (cause.message === "Region is missing") {
    return new ConfigError(`${what}: no region`, { hint: "set region, or AWS_REGION in the environment", cause });
  }
  return unanswered(what, cause);
}

/** The HTTP status of an answer that the SDK made an exception of. */
export function statusOf(cause: unknown): number | undefined {
  if (!(cause instanceof Error)) return undefined;
  const { $metadata, $response } = cause as Failure;
  return $metadata?.httpStatusCode ?? $response?.statusCode;
}

/** No credentials, or none to be had now. `cause` may be of the SDK's chain, of STS, or of the network. */
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

function answered(request: S3Request, cause: Failure, status: number, options: S3Options): ExporterError {
  const message = `${request.operation} ${request.url}: HTTP ${status}${explained(cause)}`;
  if (status < 300) {
    const hint = "the answer is not S3's: is endpoint right, is a proxy or portal between?";
    return new ProtocolError(`${message}: the answer cannot be read`, { hint, cause });
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
      // The next try asks for credentials anew.
      return new TransientError("unavailable", message, { hint: "renew the session token", cause });
    case "RequestTimeTooSkewed":
      // The SDK has learned the store's time from this answer: the next try may pass.
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
): readonly ["unauthorized" | "forbidden" | "not_found" | "bad_request", string | undefined] {
  const named = NAMED[cause.name];
  if (named !== undefined) return named;
  if (ELSEWHERE.has(cause.name) || status === 301 || status === 307) {
    const region = cause.$response?.headers?.["x-amz-bucket-region"];
    const where = region === undefined ? "set region to the bucket's" : `the bucket is in ${region}: set region to it`;
    return ["bad_request", `${where}, and endpoint, if any, to match`];
  }
  if (cause.name.startsWith("KMS.")) return ["forbidden", "look at the KMS key: its state, its policy, kmsKeyId"];
  if (status === 401) return ["unauthorized", "correct accessKeyId and secretAccessKey"];
  if (status === 403) return ["forbidden", `allow ${actionsOf(request, options)} there (see \`siem-export check\`)`];
  if (status === 404) return ["not_found", "correct bucket or endpoint"];
  if (cause.name === "InvalidRequest" && request.operation === "PUT" && options.objectLock !== undefined) {
    return ["bad_request", "enable Object Lock on the bucket (it needs versioning), or take objectLock away"];
  }
  return ["bad_request", undefined];
}

function actionsOf({ operation }: S3Request, { serverSideEncryption, objectLock }: S3Options): string {
  const kms = (action: string) => (serverSideEncryption === "aws:kms" ? ` (and ${action} of the key)` : "");
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

/** Nobody answered, or not to the end. */
function unanswered(what: string, cause: Failure): ExporterError | undefined {
  if (isTimeout(cause)) return new TransientError("timeout", `${what}: no answer in time`, { cause });
  const message = `${what}: ${oneLine(cause.message)}`;
  const code = String(cause.code);
  if (code === "EPROTO" || /CERT|UNABLE_TO_|^ERR_(?:TLS|SSL|OSSL)_/.test(code)) {
    const hint = "set caFile to the store's certificate authority, and endpoint to a name that its certificate holds";
    return new RefusedError("bad_request", message, { hint, cause });
  }
  if (!isNetwork(cause)) return undefined;
  const hint = code === "EPROXY" ? PROXY_HINT : undefined;
  return new TransientError("network", message, { hint, cause });
}

/** The SDK calls a cut connection a TimeoutError, too. */
const isTimeout = ({ name, code }: Failure) =>
  code === "ETIMEDOUT" || (name === "TimeoutError" && code !== "ECONNRESET" && code !== "EPIPE");

/**
 * `ECONNRESET`, `ENOTFOUND`, `EPROXY`, `HPE_INVALID_CONSTANT`: the network's and the HTTP parser's codes, not those of
 * bugs.
 */
function isNetwork(cause: Failure): boolean {
  return isTimeout(cause) || /^(?:E(?!RR_)[A-Z]|HPE_|ERR_(?:STREAM|HTTP|SOCKET)_)/.test(String(cause.code));
}

/** ` AccessDenied (User … is not authorized …)`: the store's name for it, and what it says where it says more. */
function explained({ name, message }: Failure): string {
  const known = /^(?:Error|SyntaxError|TypeError|Unknown.*|\d+)$/.test(name) ? "" : ` ${name}`;
  const says = /^(?:|Unknown.*|Access Denied\.?)$/.test(message) || message === name ? "" : ` (${oneLine(message)})`;
  return known === "" ? "" : known + says;
}

/** Error messages can quote whole documents. */
const oneLine = (text: string) => text.replace(/\s+/g, " ").trim().slice(0, 300);
