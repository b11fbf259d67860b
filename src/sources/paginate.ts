import { ProtocolError, RefusedError } from "../errors.ts";
import type { Page } from "../source.ts";
import { formatSpan, type Span } from "../time.ts";

/** Millions of events, half an hour or more at an API's rate limit. A longer pass is assumed to be endless. */
const PAGES_MAX = 100_000;

/** One page, and the cursor of the next one; undefined if the API says that there is none. */
export interface Answer {
  readonly page: Page;
  readonly next: string | undefined;
}

/** Requests the first page, or the one at a cursor. `where` gives the start of error messages. */
export type FetchPage = (cursor: string | undefined, where: () => string) => Promise<Answer>;

/**
 * All pages of `span`, by an API's cursor, to the end. If the API refuses a cursor, it is assumed to have expired: the pass
 * restarts, once. The reader drops repeated events by their id.
 *
 * @throws ProtocolError when a cursor repeats, or when there is no end after `pagesMax` pages
 */
export async function* pass(span: Span, fetchPage: FetchPage, pagesMax = PAGES_MAX): AsyncGenerator<Page> {
  const seen = new Set<string>();
  let cursor: string | undefined;
  let isRestarted = false;
  for (let number = 1; number <= pagesMax; number++) {
    const where = () => `page ${number} of ${formatSpan(span)}`;
    let answer: Answer;
    try {
      answer = await fetchPage(cursor, where);
    } catch (error) {
      if (cursor === undefined || isRestarted || !isBadRequest(error)) throw error;
      // No API documents how long a cursor is valid.
      isRestarted = true;
      cursor = undefined;
      seen.clear();
      continue;
    }
    const { page, next } = answer;
    if (next !== undefined && seen.has(next)) throw new ProtocolError(`${where()}: the cursor repeats`);
    yield page;
    if (next === undefined) return;
    seen.add(next);
    cursor = next;
  }
  throw new ProtocolError(`pages of ${formatSpan(span)}: no end after ${pagesMax} pages`);
}

function isBadRequest(error: unknown): boolean {
  return error instanceof RefusedError && error.code === "bad_request";
}
