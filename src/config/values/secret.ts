import { readFileSync, statSync } from "node:fs";
import { RefusedError } from "../../errors.ts";

/**
 * A secret's value now. One that lies in a file is read again at each call, so that a rotated secret is seen: ask for it
 * when it is needed, and keep it no longer than one request.
 *
 * @throws RefusedError (`unauthorized`) when its file is gone, empty or unreadable
 */
export type Secret = () => string;

/** More than any token or key has; so that a wrong path cannot fill the memory. */
const SECRET_MAX_BYTES = 64 * 1024;

/** Why `value` cannot be a secret, or undefined when it can. Never holds the value. */
export function flawOfSecret(value: string): string | undefined {
  if (value === "") return "empty";
  // Such a value would be refused, or cut, in a request's header: far from here, and harder to understand.
  return /^[\x21-\x7e]+$/.test(value) ? undefined : "with a space, a line break or a letter outside of ASCII";
}

/** Reads a secret's file, less one newline at its end. The flaw, in words, where there is no secret in it. */
export function readSecretFile(path: string): { readonly value: string } | { readonly flaw: string; cause?: unknown } {
  try {
    const stat = statSync(path);
    // A pipe could be read only once, and a secret is read again and again.
    if (!stat.isFile()) return { flaw: "not a regular file" };
    if (stat.size > SECRET_MAX_BYTES) return { flaw: `larger than ${SECRET_MAX_BYTES} bytes` };
    const value = readFileSync(path, "utf8").replace(/\r?\n$/, "");
    const flaw = flawOfSecret(value);
    return flaw === undefined ? { value } : { flaw };
  } catch (cause) {
    return { flaw: flawOfReading(cause), cause };
  }
}

/** A secret that lies in a file, read again at each call. */
export function fileSecret(path: string): Secret {
  return () => {
    const found = readSecretFile(path);
    if ("value" in found) return found.value;
    throw new RefusedError("unauthorized", `read secret file ${path}: ${found.flaw}`, {
      hint: "put the secret back into that file; it is read again at the next tick",
      cause: found.cause,
    });
  };
}

/** What kept a file from being read, in words. */
export function flawOfReading(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return "no such file";
    case "EISDIR":
      return "a directory, not a file";
    case "EACCES":
    case "EPERM":
      return "no permission to read it";
    default:
      return `cannot be read (${code ?? String(error)})`;
  }
}
