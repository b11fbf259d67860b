import type { Format } from "../format.ts";
import type { Source } from "../source.ts";
import { readCef } from "./cef.ts";
import { readLeef } from "./leef.ts";

/** Reads a line of any format: a stream may have changed its own, and its older objects are what they were. */
export function readAnyLine(source: Source): Format["read"] {
  return (line) => {
    switch (line.toString("latin1", 0, 5)) {
      case "CEF:0":
        return readCef(line);
      case "LEEF:":
        return readLeef(line);
      default:
        return source.read(line);
    }
  };
}
