import http from "node:http";
import https from "node:https";
import type { Agents } from "../http/agents.ts";
import { ExporterError, RefusedError, TransientError } from "../errors.ts";
import { networkError, statusError, type HttpAnswer } from "../http/errors.ts";
import { withRetry, type RetryPolicy } from "../http/retry.ts";
import { epochMs, SECOND_MS } from "../time.ts";

export interface Message {
  readonly method: "GET" | "POST";
  /** Asked for each time: it may lie in a file. It may be a secret, and stands in no message. */
  readonly url: () => string;
  /** What messages call it. */
  readonly what: string;
  /** What the configuration calls its address: hints say to mend that. */
  readonly key: "url" | "baseUrl";
  readonly agents: Agents;
  readonly headers?: (() => Readonly<Record<string, string>>) | undefined;
  readonly body?: string | undefined;
  /**
   * Whether it may be sent again when nobody knows whether it was taken: after a timeout, a cut connection, a 5xx. A refusal, a
   * 429, and a connection that was never made, say that it was not.
   */
  readonly repeatable: boolean;
}

const ANSWER_WITHIN_MS = 10 * SECOND_MS;
const NEVER_CONNECTED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EPROXY"]);
const POLICY: RetryPolicy = { attempts: 4, baseMs: SECOND_MS, capMs: 10 * SECOND_MS };

/**
 * Sends a message; resolves when the head of an answer says that it was taken. What else is answered is thrown away.
 * @throws TransientError, RefusedError, ProtocolError when it was not taken; the signal's reason when aborted
 */
export async function exchange(message: Message, signal: AbortSignal): Promise<void> {
  const attempt = async (): Promise<ExporterError | undefined> => {
    const error = await failureOf(message, signal);
    if (error instanceof TransientError && mayRepeat(message, error)) throw error;
    return error;
  };
  const error = await withRetry(attempt, POLICY, signal, () => undefined);
  if (error !== undefined) throw error;
}

/** Whether a message may be sent again after what `exchange` threw: it does no harm, or was not taken for sure. */
export function mayRepeat({ repeatable }: Message, error: unknown): boolean {
  if (repeatable || error instanceof RefusedError) return true;
  return error instanceof TransientError && (error.code === "rate_limited" || wasNeverConnected(error));
}

function wasNeverConnected({ cause }: TransientError): boolean {
  return NEVER_CONNECTED.has((cause as NodeJS.ErrnoException | undefined)?.code ?? "");
}

async function failureOf(message: Message, signal: AbortSignal): Promise<ExporterError | undefined> {
  const error = await errorOf(message, signal);
  // Hints are worded for a source.
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
      // Read to its end, so that the connection can be used again; but nobody waits for it, not even the end of the process.
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
