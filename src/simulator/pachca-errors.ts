import { json, type Reply } from "./api.ts";

/** The codes of the contract that the simulator uses. */
export type ValidationCode =
  "blank" | "invalid" | "inclusion" | "too_long" | "not_found" | "wrong_params" | "payment_required" | "rate_limit";

/** `ApiError` of the contract: 400, 402, 404, 422. */
export function validationError(
  status: number,
  key: string,
  value: string | null,
  code: ValidationCode,
  message: string,
): Reply {
  return json(status, { errors: [{ key, value, message, code, payload: null }] });
}

/** `OAuthError` of the contract: 401, 403. */
export function oauthError(status: 401 | 403, error: string, description: string): Reply {
  return json(status, { error, error_description: description });
}
