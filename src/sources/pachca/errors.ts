import type { ExporterError } from "../../errors.ts";
import { statusError, type HttpAnswer } from "../../http/errors.ts";
import { isObject, parsedJson } from "../../json/parse.ts";

/** The right that reading the log needs. */
export const AUDIT_SCOPE = "audit_events:read";

const OWNER_HINT = `the token needs the scope ${AUDIT_SCOPE} and its owner must be the workspace owner`;

const HINTS: Readonly<Record<number, string>> = {
  401: "the token is wrong, was revoked or has expired: make a new one in Pachca and replace it",
  402: "the workspace is unpaid: the audit log needs the Corporation plan",
  404: "baseUrl must end in /api/shared/v1",
};

/** The error that an answer of the Pachca API stands for; undefined for what is none. */
export function pachcaError(answer: HttpAnswer): ExporterError | undefined {
  if (answer.status >= 200 && answer.status <= 299) return undefined;
  const reason = reasonIn(answer.body);
  return statusError(answer, { reason, hint: answer.status === 403 ? scopeHint(reason) : HINTS[answer.status] });
}

/** The API names the missing scope in its text, and nowhere else: "… Required: audit_events:read". */
function scopeHint(reason: string | undefined): string {
  const scope = /Required:\s*([\w:]+)/.exec(reason ?? "")?.[1];
  return scope === undefined || scope === AUDIT_SCOPE ? OWNER_HINT : `the token needs the scope ${scope}`;
}

/**
 * What the API says, in either of its two shapes: `{error, error_description}` and `{errors: [{key, message, code}]}`.
 * Undefined for anything else: a gateway in between may answer with a page of its own.
 */
function reasonIn(body: Buffer): string | undefined {
  const answer = parsedJson(body);
  if (!isObject(answer)) return undefined;
  const { error, error_description: description, errors } = answer;
  if (Array.isArray(errors)) return errors.map(reasonOf).filter(Boolean).join("; ");
  return [error, description].filter((text) => typeof text === "string" && text !== "").join(": ");
}

/** The `value` of an error is left out: it repeats what was asked. */
function reasonOf(error: unknown): string {
  if (!isObject(error)) return "";
  const [key, message, code] = [error["key"], error["message"], error["code"]].map((text) =>
    typeof text === "string" ? text : "",
  );
  return [key, message, code && `(${code})`].filter(Boolean).join(" ");
}
