import { z } from "zod";
import { positive, readableFile, secretFile, secretText, text } from "../config/values/values.ts";
import { rules } from "../config/values/rules.ts";
import type { Secret } from "../config/values/secret.ts";

/* What the settings of every source have: one account of a vendor, and how to come in. */

/** The keys of an account whose token is described by `token`. */
export function accountKeys({ token, requestsPerSecond }: { token: string; requestsPerSecond: number }) {
  return {
    account: text("text of at most 200 characters", /^[^\p{Cc}]{0,200}$/u)
      .default("")
      .describe("Your name for this account: it tells accounts apart in the ledger, so do not change it later."),
    token: secretText().optional().describe(`${token} Either this or tokenFile.`),
    tokenFile: secretFile()
      .optional()
      .describe("A file that holds the token, as Docker and Kubernetes mount secrets. Read again whenever it is used."),
    requestsPerSecond: positive(1000)
      .default(requestsPerSecond)
      .describe("How many requests a second this worker may make to the account, all its streams together."),
    caFile: readableFile()
      .optional()
      .describe("A PEM file of certificate authorities to trust besides the public ones."),
  };
}

type Tokens = { token?: Secret | undefined; tokenFile?: Secret | undefined };

/** A token is given, once. */
export const tokenRules = rules(({ token, tokenFile }: { token?: unknown; tokenFile?: unknown }) => [
  ["token", "missing  (accepted: token or tokenFile)", token === undefined && tokenFile === undefined],
  ["tokenFile", "set beside token; keep one of them", token !== undefined && tokenFile !== undefined],
]);

/** The token, wherever it is. */
export function withToken<Keys extends Tokens>({ tokenFile, token = tokenFile, ...rest }: Keys) {
  return { ...rest, token: token ?? z.NEVER };
}
