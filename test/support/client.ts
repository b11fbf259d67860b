import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import { inspect } from "node:util";
import { expect, onTestFinished } from "vitest";
import { requestBudget } from "../../src/http/budget.ts";
import { ExporterError } from "../../src/errors.ts";
import type { StreamFact } from "../../src/fact.ts";
import { httpClient, type HttpClient, type HttpClientOptions, type HttpRequest } from "../../src/http/client.ts";

export const SECRET = "canary-token-0123456789";
export const never = new AbortController().signal;
const once = { attempts: 1, baseMs: 1, capMs: 1 };
export const thrice = { attempts: 3, baseMs: 1, capMs: 2 };

export type Heard = Omit<StreamFact, "stream">;

/** A new client for one test, and the facts that it reported. */
export function newClient(options: Partial<HttpClientOptions> = {}): { client: HttpClient; facts: Heard[] } {
  const { facts, ...rest } = clientOptions(options);
  return { client: httpClient({ secret: () => SECRET, ...rest }), facts };
}

/** The options of a client or a source for one test. */
export function clientOptions<Options extends Partial<HttpClientOptions>>(options: Options) {
  const facts: Heard[] = [];
  const agents = { http: new HttpAgent({ keepAlive: true }), https: new HttpsAgent() };
  onTestFinished(() => agents.http.destroy());
  return {
    agents,
    userAgent: "siem-export-worker/0 (+test)",
    budget: requestBudget(1000),
    observe: (fact: Heard) => void facts.push(fact),
    ...options,
    retry: options.retry ?? once,
    facts,
  };
}

export function get(url: string, more: Partial<HttpRequest> = {}): HttpRequest {
  return { method: "GET", url: new URL(url), retrySafe: true, ...more };
}

/** The error of a request. No part of it, however deep, may contain the token or the query. */
export async function failure(request: Promise<unknown>): Promise<ExporterError> {
  const error = await request.then(
    () => new Error("succeeded"),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(ExporterError);
  const all = inspect(error, { depth: Infinity, showHidden: true });
  expect(all).not.toContain(SECRET);
  expect(all).not.toContain("actor_id");
  return error as ExporterError;
}
