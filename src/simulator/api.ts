import type { EpochMs } from "../time.ts";
import type { Reply } from "./replies.ts";

/** A request, as far as an API looks at it. */
export interface Ask {
  readonly method: string;
  /** Below the base, `/audit_events`. */
  readonly path: string;
  readonly search: URLSearchParams;
  readonly authorization: string | undefined;
  readonly userAgent: string | undefined;
  readonly address: string;
  readonly body: Buffer;
}

/** Who may ask; may change between requests. */
export interface Access {
  token: string;
  scopes: readonly string[];
}

/** One vendor's API, without its wires: answers as its contract says but for the faults of content. */
export interface Api {
  answer(ask: Ask, now: EpochMs): Reply;
  /** What it says to a request that it does not look into: 402, 413, 429, or a failure of its own. */
  readonly refuse: (status: number) => Reply;
}

/** The token of a request; undefined where there is none. */
export function bearerOf({ authorization = "" }: Ask): string | undefined {
  return /^Bearer +(.+)$/i.exec(authorization)?.[1];
}
