import type { z } from "zod";
import type { Rule } from "./rules.ts";
import { secretFile, secretText } from "./values.ts";

/*
 * A secret has two keys: `token` holds it, `tokenFile` names a file that holds it. Settings take one of the two:
 * `({ tokenFile, token = tokenFile, ...rest })`.
 */

type SecretKeys<Key extends string> = Readonly<
  Record<Key | `${Key}File`, z.ZodOptional<ReturnType<typeof secretText>>>
>;

/** The two keys of a secret, for `group`. `about` is its description. */
export function secretKeys<Key extends string>(key: Key, about: string, kind = secretText): SecretKeys<Key> {
  const keys = {
    [key]: kind().optional().describe(about),
    [`${key}File`]: secretFile()
      .optional()
      .describe(`A file that contains ${key}, as Docker and Kubernetes mount secrets. It is read at each use.`),
  };
  return keys as SecretKeys<Key>;
}

/** At most one of the two keys is set; if the secret is required, exactly one. */
export function secretRules(
  keys: Readonly<Record<string, unknown>>,
  key: string,
  is: "required" | "optional",
): readonly Rule[] {
  const [value, file] = [keys[key], keys[`${key}File`]];
  return [
    [key, `missing  (accepted: ${key} or ${key}File)`, is === "required" && value === undefined && file === undefined],
    [`${key}File`, `set together with ${key}; keep only one of them`, value !== undefined && file !== undefined],
  ];
}
