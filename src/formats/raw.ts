import type { Format } from "../format.ts";
import type { Source } from "../source.ts";

/** The event as the API sent it: nothing is re-serialised, so the line is evidence. */
export function raw(source: Source): Format {
  return {
    name: "raw",
    line: ({ record }) => record,
    shorten: () => undefined,
    read: (line) => source.read(line),
  };
}
