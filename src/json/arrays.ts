import { ProtocolError } from "../errors.ts";
import { checked, notJson, scan } from "./scan.ts";

const [BRACE = 0, BRACE_END = 0, BRACKET = 0, BRACKET_END = 0] = Buffer.from("{}[]");

/** An API answer, cut into the items of some of its arrays and the rest. */
export interface ScannedArrays {
  /** The answer's text with those arrays emptied: valid JSON. */
  readonly envelope: string;
  /** Of each array that was there, the items' bytes, one line each, as `scanArray` gives them. */
  readonly arrays: ReadonlyMap<string, readonly Buffer[]>;
}

/**
 * Cuts several arrays of the top-level object out of an answer, in one pass, as `scanArray` does with one. A member that is
 * not there, or is no array, is for the caller to judge: the first is missing, the second is left in the envelope.
 *
 * @throws ProtocolError when the answer is not JSON, cut, followed by something else, too deep, or has an array twice
 */
export function scanArrays(body: Buffer, members: readonly string[], what = "read the answer"): ScannedArrays {
  const scanner = scan(body, what);
  const opening = scanner.space();
  if (opening === undefined) throw new ProtocolError(`${what}: the answer is empty`);
  if (opening !== BRACE) throw notJson(body, what);
  scanner.step();
  const arrays = new Map<string, readonly Buffer[]>();
  const rest: Buffer[] = [];
  let from = 0;
  for (let first = true; scanner.more(BRACE_END, first); first = false) {
    const key = scanner.key();
    if (!members.includes(key) || scanner.space() !== BRACKET) {
      scanner.value();
      continue;
    }
    if (arrays.has(key)) throw new ProtocolError(`${what}: the answer has "${key}" twice`);
    rest.push(body.subarray(from, scanner.step()));
    const items: Buffer[] = [];
    while (scanner.more(BRACKET_END, items.length === 0)) items.push(scanner.value());
    from = scanner.at() - 1;
    arrays.set(key, items);
  }
  if (scanner.space() !== undefined) throw scanner.wrong("goes on after its end");
  rest.push(body.subarray(from));
  return { envelope: checked(Buffer.concat(rest), body, what), arrays };
}
