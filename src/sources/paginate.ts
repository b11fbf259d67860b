import { ProtocolError, RefusedError } from "../errors.ts";
import type { Page } from "../source.ts";
import { formatSpan, type Span } from "../time.ts";

/**
 * Millions of events in one span: half an hour or more at an API's rate limit. A pass that goes on for longer is taken for one
 * that never ends.
 */
const PAGES_MAX = 100_000;

/** One answer, and the cursor to go on with: undefined where the API says that there is no more. */
export interface Answer {
  readonly page: Page;
  readonly next: string | undefined;
}

/** Asks for the first page, or for the one at a cursor. `where` begins the message of an error. */
export type FetchPage = (cursor: string | undefined, where: () => string) => Promise<Answer>;

/**
 * All pages of `span`, by an API's cursor, to the end. A cursor that is refused is taken for an expired one: the pass begins
 * again, once, and what comes twice is dropped by its id.
 *
 * @throws ProtocolError when the cursor goes round, or no end comes
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
      // How long a cursor lives is documented by nobody.
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
