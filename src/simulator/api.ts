import { STATUS_CODES } from "node:http";
import type { EpochMs } from "../time.ts";

/** A request, as far as an API reads it. */
export interface ApiRequest {
  readonly method: string;
  /** Below the base URL, such as `/audit_events`. */
  readonly path: string;
  readonly search: URLSearchParams;
  readonly authorization: string | undefined;
  readonly userAgent: string | undefined;
  readonly address: string;
  readonly body: Buffer;
}

/** The accepted token and its scopes. Both may change between requests. */
export interface Access {
  token: string;
  scopes: readonly string[];
}

/** An answer, before faults of delivery. */
export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body: Buffer;
}

/** The API of one vendor, without the network. It answers as its contract says, except for faults in the content. */
export interface Api {
  answer(request: ApiRequest, now: EpochMs): Reply;
  /** The reply with this status, without a look at the request: 402, 413, 429, or an error of the server. */
  readonly refuse: (status: number) => Reply;
}

/** The bearer token of a request; undefined when it has none. */
export function bearerOf({ authorization = "" }: ApiRequest): string | undefined {
  return /^Bearer +(.+)$/i.exec(authorization)?.[1];
}

export function json(status: number, value: unknown): Reply {
  return jsonBytes(status, Buffer.from(JSON.stringify(value)));
}

export function jsonBytes(status: number, body: Buffer): Reply {
  return { status, headers: { "content-type": "application/json; charset=utf-8" }, body };
}

/** A reply of a gateway in front of the API: not JSON. */
export function html(status: number, title = STATUS_CODES[status] ?? "Answer"): Reply {
  return {
    status,
    headers: { "content-type": "text/html; charset=utf-8" },
    body: Buffer.from(`<html><head><title>${status} ${title}</title></head><body><h1>${title}</h1></body></html>\n`),
  };
}

/** The same reply with its JSON indented. Only white space changes: every token keeps its spelling. */
export function indented(reply: Reply): Reply {
  if (reply.headers?.["content-type"]?.startsWith("application/json") !== true) return reply;
  return { ...reply, body: indentedJson(reply.body) };
}

/** Indented by two spaces, one member a line. */
function indentedJson(compact: Buffer): Buffer {
  // Latin 1 maps each byte to one character and back, whatever the bytes are.
  const text = compact.toString("latin1");
  let indentedText = "";
  let depth = 0;
  const newLine = (): string => `\n${"  ".repeat(depth)}`;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{[]\s*[}\]]|[^\s"]/gs)) {
    if (token === "}" || token === "]") {
      depth--;
      indentedText += newLine() + token;
    } else if (token === "{" || token === "[") {
      depth++;
      indentedText += token + newLine();
    } else if (token === ",") {
      indentedText += token + newLine();
    } else {
      indentedText += token === ":" ? ": " : token;
    }
  }
  return Buffer.from(`${indentedText}\n`, "latin1");
}
