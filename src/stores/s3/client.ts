import type { S3Client } from "@aws-sdk/client-s3";
import { createAgents } from "../../http/agents.ts";
import { withTimeLimit } from "../../http/time-limit.ts";
import { credentialsFailure, s3Failure, type S3Request } from "./errors.ts";
import { placeOf, S3_TIMEOUTS, type S3Options } from "./options.ts";

type Sdk = typeof import("@aws-sdk/client-s3");

/** Sends one request and resolves with its answer. Throws one of our errors, or the signal's reason. */
export type S3Call = <Result>(
  request: S3Request,
  signal: AbortSignal,
  work: (connection: Connection) => Promise<Result>,
) => Promise<Result>;

/** What a request is made with. `signal` is also aborted if the request takes too long. */
export interface Connection {
  readonly sdk: Sdk;
  readonly client: S3Client;
  readonly signal: AbortSignal;
}

/**
 * Requests to S3 with our timeouts, proxies, credentials and errors, and without the SDK's retries. The SDK is loaded at
 * the first request, because loading it takes a third of the program's start.
 */
export function s3Call(options: S3Options): S3Call {
  let opening: Promise<{ sdk: Sdk; client: S3Client }> | undefined;
  return async (request, signal, work) => {
    signal.throwIfAborted();
    const { sdk, client } = await (opening ??= openClient(options).catch((error: unknown) => {
      opening = undefined;
      throw error;
    }));
    const limitMs = options.timeouts?.requestMs ?? S3_TIMEOUTS.requestMs;
    const send = async (limit: AbortSignal) => {
      try {
        await unlessAborted(authenticate(client, options), limit);
        return await unlessAborted(work({ sdk, client, signal: limit }), limit);
      } catch (thrown) {
        signal.throwIfAborted();
        throw s3Failure(request, limit.aborted ? limit.reason : thrown, options) ?? thrown;
      }
    };
    return withTimeLimit(limitMs, send, signal);
  };
}

async function openClient(options: S3Options): Promise<{ sdk: Sdk; client: S3Client }> {
  // Which versions of Node.js are supported is for our manual to say, not for the SDK's warning.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
  const sdk = await import("@aws-sdk/client-s3");
  return { sdk, client: new sdk.S3Client(clientConfig(options)) };
}

function clientConfig(options: S3Options): NonNullable<ConstructorParameters<Sdk["S3Client"]>[0]> {
  const { env, timeouts = S3_TIMEOUTS } = options;
  const agents = createAgents({ caFile: options.caFile, env });
  const endpoint = options.endpoint ?? env["AWS_ENDPOINT_URL_S3"] ?? env["AWS_ENDPOINT_URL"];
  const ownRegion = options.region ?? env["AWS_REGION"] ?? env["AWS_DEFAULT_REGION"];
  const region = ownRegion ?? (endpoint === undefined ? undefined : "us-east-1");
  const credentials = staticCredentials(options);
  return {
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    // Newer SDKs send checksum headers by default. Older stores other than AWS refuse them, or store them with the bytes.
    ...(endpoint !== undefined && {
      requestChecksumCalculation: "WHEN_REQUIRED",
      responseChecksumValidation: "WHEN_REQUIRED",
    }),
    ...(credentials !== undefined && { credentials }),
    forcePathStyle: options.forcePathStyle ?? options.endpoint !== undefined,
    userAgentAppId: "siem-export-worker",
    // One layer retries, and not this one.
    maxAttempts: 1,
    // `Expect: 100-continue` saves nothing if the body is in memory already, and some proxies answer it wrongly.
    expectContinueHeader: false,
    requestHandler: {
      httpAgent: agents.http,
      httpsAgent: agents.https,
      connectionTimeout: timeouts.connectMs,
      socketTimeout: timeouts.idleMs,
      requestTimeout: timeouts.requestMs,
      throwOnRequestTimeout: true,
    },
  };
}

/** The configured keys, read at each request. The SDK caches credentials until they expire, so these have expired already. */
function staticCredentials({ accessKeyId, secretAccessKey, sessionToken }: S3Options) {
  if (accessKeyId === undefined || secretAccessKey === undefined) return undefined;
  return () =>
    Promise.resolve({
      accessKeyId: accessKeyId(),
      secretAccessKey: secretAccessKey(),
      ...(sessionToken !== undefined && { sessionToken: sessionToken() }),
      expiration: new Date(0),
    });
}

/**
 * Gets the credentials before the request is made, so that a refusal by the token service is not taken for one by the bucket.
 * The SDK caches them.
 */
async function authenticate(client: S3Client, options: S3Options): Promise<void> {
  try {
    await client.config.credentials();
  } catch (thrown) {
    throw credentialsFailure(`sign in for ${placeOf(options)}`, thrown) ?? thrown;
  }
}

/** Stops waiting for `work` when the signal aborts: the SDK does not stop waiting for credentials by itself. */
function unlessAborted<Result>(work: Promise<Result>, signal: AbortSignal): Promise<Result> {
  return new Promise<Result>((resolve, reject) => {
    const abandon = () => reject(signal.reason as Error);
    if (signal.aborted) abandon();
    signal.addEventListener("abort", abandon, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abandon));
  });
}
