import { readFileSync, statSync } from "node:fs";
import { RefusedError } from "../../errors.ts";

/**
 * Returns a secret's value. A secret in a file is read at each call, so that a rotated secret is seen: call it when the value
 * is needed, and keep the value no longer than one request.
 *
 * @throws RefusedError (`unauthorized`) if its file is missing, empty or unreadable
 * @throws ConfigError if the secret was already missing when the configuration was loaded, which `read when used` accepts
 */
export type Secret = () => string;

/** Larger than any token or key: a wrong path must not fill the memory. */
const SECRET_MAX_BYTES = 64 * 1024;

/** Why `value` cannot be a secret, worded to follow its name ("is empty"); undefined if it can. Never contains the value. */
export function flawOfSecret(value: string): string | undefined {
  if (value === "") return "is empty";
  // A request's header would reject or cut these, with an error that is harder to understand.
  if (/[\r\n]/.test(value)) return "contains a line break";
  if (/\s/.test(value)) return "contains a space; paste only the token, without `Bearer`";
  return /^[\x21-\x7e]+$/.test(value) ? undefined : "contains a character that is not ASCII";
}

/** Reads a secret's file, without one newline at its end. If it contains no secret, returns why. */
export function readSecretFile(path: string): { readonly value: string } | { readonly flaw: string; cause?: unknown } {
  try {
    const stat = statSync(path);
    // A pipe can be read only once, but a secret is read at each use.
    if (!stat.isFile()) return { flaw: "not a regular file" };
    if (stat.size > SECRET_MAX_BYTES) return { flaw: `larger than ${SECRET_MAX_BYTES} bytes` };
    const value = readFileSync(path, "utf8").replace(/\r?\n$/, "");
    const flaw = flawOfSecret(value);
    return flaw === undefined ? { value } : { flaw: `it ${flaw}` };
  } catch (cause) {
    return { flaw: flawOfReading(cause), cause };
  }
}

/** A secret in a file, which is read at each call. */
export function fileSecret(path: string): Secret {
  return () => {
    const found = readSecretFile(path);
    if ("value" in found) return found.value;
    throw new RefusedError("unauthorized", `read secret file ${path}: ${found.flaw}`, {
      hint: "put the secret back into that file; it is read again at the next run",
      cause: found.cause,
    });
  };
}

/** Why a file could not be read, in words. */
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
