import { TransientError, type ExporterError } from "../../errors.ts";
import { retryAfter, statusError, type HttpAnswer } from "../../http/errors.ts";
import { isObject, parsedJson } from "../../json/parse.ts";

export const BASE_URL_HINT =
  "set baseUrl to https://cloud.uipath.com/<organization>/<tenant>/reinfer_, or to https://<domain>.reinfer.io";

const HINTS: Readonly<Record<number, string>> = {
  401: "the token is wrong or was replaced: a user has one API token, and making a new one ends the old one",
  403: 'give the token\'s user the permission "Read audit logs"',
  404: BASE_URL_HINT,
  405: BASE_URL_HINT,
};

/** The error that an answer's HTTP status stands for in this API; undefined for 2xx. */
export function communicationsMiningError(answer: HttpAnswer): ExporterError | undefined {
  const said = parsedJson(answer.body);
  // Gateways in between answer with pages of their own.
  const reason = isObject(said) && typeof said["message"] === "string" ? said["message"] : undefined;
  const error = statusError(answer, { reason, hint: HINTS[answer.status] });
  if (error === undefined || answer.status !== 409) return error;
  // Not documented; the vendor's own client takes a conflict for something that passes.
  return new TransientError("unavailable", error.message, { retryAfterMs: retryAfter(answer) });
}
