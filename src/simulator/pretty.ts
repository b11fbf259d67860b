/** `compact` JSON, indented by two, one member a line. Moves white space alone: every token keeps its spelling. */
export function prettyJson(compact: Buffer): Buffer {
  // Latin 1 gives each byte a character and takes it back, whatever the bytes are.
  const text = compact.toString("latin1");
  let pretty = "";
  let depth = 0;
  const newLine = (): string => `\n${"  ".repeat(depth)}`;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{[]\s*[}\]]|[^\s"]/gs)) {
    if (token === "}" || token === "]") {
      depth--;
      pretty += newLine() + token;
    } else if (token === "{" || token === "[") {
      depth++;
      pretty += token + newLine();
    } else if (token === ",") {
      pretty += token + newLine();
    } else {
      pretty += token === ":" ? ": " : token;
    }
  }
  return Buffer.from(`${pretty}\n`, "latin1");
}
