import http from "node:http";
import https from "node:https";
import type { Agents } from "../http/agents.ts";
import { ExporterError, RefusedError, TransientError } from "../errors.ts";
import { networkError, statusError, type HttpAnswer } from "../http/errors.ts";
import { withRetry, type RetryPolicy } from "../http/retry.ts";
import { epochMs, SECOND_MS } from "../time.ts";

export interface Message {
  readonly method: "GET" | "POST";
  /** Read for each attempt, because it may be in a file. It may be a secret, so no error message contains it. */
  readonly url: () => string;
  /** What error messages call the request. */
  readonly what: string;
  /** The configuration's key of the address, for hints. */
  readonly key: "url" | "baseUrl";
  readonly agents: Agents;
  readonly headers?: (() => Readonly<Record<string, string>>) | undefined;
  readonly body?: string | undefined;
  /**
   * Whether to send it again when the receiver may already have it: after a timeout, a cut connection or a 5xx. After a refusal,
   * a 429 or a failed connection the receiver certainly does not have it.
   */
  readonly repeatable: boolean;
}

const ANSWER_WITHIN_MS = 10 * SECOND_MS;
const NEVER_CONNECTED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EPROXY"]);
const POLICY: RetryPolicy = { attempts: 4, baseMs: SECOND_MS, capMs: 10 * SECOND_MS };

/**
 * Sends a message, with retries. Resolves when the status code of the answer says that it was accepted; the body is ignored.
 * @throws TransientError, RefusedError, ProtocolError when it was not accepted; the signal's reason when aborted
 */
export async function send(message: Message, signal: AbortSignal): Promise<void> {
  const attempt = async (): Promise<ExporterError | undefined> => {
    const error = await failureOf(message, signal);
    if (error instanceof TransientError && mayRepeat(message, error)) throw error;
    return error;
  };
  const error = await withRetry(attempt, POLICY, signal, () => undefined);
  if (error !== undefined) throw error;
}

/** Whether a message may be sent again after this error of `send`: a repeat does no harm, or it certainly was not accepted. */
export function mayRepeat({ repeatable }: Message, error: unknown): boolean {
  if (repeatable || error instanceof RefusedError) return true;
  return error instanceof TransientError && (error.code === "rate_limited" || wasNeverConnected(error));
}

function wasNeverConnected({ cause }: TransientError): boolean {
  return NEVER_CONNECTED.has((cause as NodeJS.ErrnoException | undefined)?.code ?? "");
}

async function failureOf(message: Message, signal: AbortSignal): Promise<ExporterError | undefined> {
  const error = await errorOf(message, signal);
  // Hints are written for sources, whose key is baseUrl.
  return error && Object.assign(error, { hint: error.hint?.replaceAll("baseUrl", message.key) });
}

async function errorOf(message: Message, signal: AbortSignal): Promise<ExporterError | undefined> {
  try {
    return statusError(await answerTo(message, signal));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ExporterError) return error;
    const secret = message.url();
    return networkError(message.what, error, (text) => text.replaceAll(secret, "***"));
  }
}

function answerTo({ method, url: address, what, agents, headers, body }: Message, signal: AbortSignal) {
  const url = new URL(address());
  const isSecure = url.protocol === "https:";
  const options = {
    ...{ method, signal },
    agent: isSecure ? agents.https : agents.http,
    headers: { ...headers?.(), ...(body !== undefined && { "content-type": "application/json; charset=utf-8" }) },
  };
  return new Promise<HttpAnswer>((resolve, reject) => {
    const sent = (isSecure ? https : http).request(url, options, (response) => {
      const { statusCode: status = 0, headers: head } = response;
      resolve({ what, status, headers: head, body: Buffer.alloc(0), receivedAt: epochMs(Date.now()) });
      // The body is read, so that the connection can be used again. Nothing waits for it, not even the exit of the process.
      response.on("error", () => undefined).resume();
      response.socket.unref();
    });
    const timer = setTimeout(() => {
      sent.destroy(Object.assign(new Error("no answer in time"), { name: "TimeoutError", event: "request" }));
    }, ANSWER_WITHIN_MS);
    sent.once("close", () => clearTimeout(timer));
    sent.on("error", reject);
    sent.end(body);
  });
}
