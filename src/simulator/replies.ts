import { STATUS_CODES } from "node:http";

/** What the simulator answers, before faults. */
export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly body: Buffer;
}

export function json(status: number, value: unknown): Reply {
  return jsonBytes(status, Buffer.from(JSON.stringify(value)));
}

export function jsonBytes(status: number, body: Buffer): Reply {
  return { status, headers: { "content-type": "application/json; charset=utf-8" }, body };
}

/** The vendor's codes for what is wrong with a field; these are the ones that are used here. */
export type ValidationCode =
  "blank" | "invalid" | "inclusion" | "too_long" | "not_found" | "wrong_params" | "payment_required" | "rate_limit";

/** `ApiError` of the contract: 400, 402, 404, 422. */
export function apiError(
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

/** `ErrorResponse` of Communications Mining; without a message the status speaks for itself. */
export function miningError(status: number, message = `${status} ${STATUS_CODES[status] ?? "Error"}`): Reply {
  return json(status, { status: "error", message });
}

/** What a gateway before the API answers: not JSON. */
export function html(status: number, title = STATUS_CODES[status] ?? "Answer"): Reply {
  return {
    status,
    headers: { "content-type": "text/html; charset=utf-8" },
    body: Buffer.from(`<html><head><title>${status} ${title}</title></head><body><h1>${title}</h1></body></html>\n`),
  };
}
