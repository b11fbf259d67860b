import { ConfigError } from "../errors.ts";

/**
 * A base URL without the slash at its end, which says nothing: the ledger tells sources apart by it.
 * @param hint what to set it to
 * @throws ConfigError when it is no address to append a path to
 */
export function baseAddress(baseUrl: string, hint: string): string {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  const isPlain =
    url !== undefined && url.username === "" && url.password === "" && url.search === "" && url.hash === "";
  if (isPlain && /^https?:$/.test(url.protocol)) return url.href.replace(/\/+$/, "");
  throw new ConfigError("source: baseUrl is not an http or https address without user, query and fragment", { hint });
}
