import { z } from "zod";
import { rules } from "./values/rules.ts";
import { secretKeys, secretRules } from "./values/secret-keys.ts";
import { group, text, whole } from "./values/values.ts";

const host = text("a host name or an IP address", /^\S+$/)
  .default("127.0.0.1")
  .describe(
    "The address to listen on. Use 0.0.0.0 in a container: anyone who reaches the port can then read the status.",
  );
const port = whole(0, 65_535).default(9464).describe("The port to listen on; 0 picks a free one.");

/** Where health, metrics and the status are served. */
export const server = group({
  host,
  port,
  ...secretKeys(
    "token",
    "Required by all paths but /healthz and /readyz: as a bearer token or, in a browser, as the password of any user.",
  ),
})
  .check(rules((keys) => secretRules(keys, "token", "optional")))
  .transform(({ tokenFile, token = tokenFile, ...rest }) => ({ ...rest, ...(token !== undefined && { token }) }));

export const serverOrFalse = z.union([z.literal(false), server], {
  error: "false, or a mapping of host, port, token, tokenFile",
});

/** The value of a variable is text until the whole configuration is checked. */
const digits = z.string().regex(/^\d+$/).transform(Number).pipe(whole(0, 65_535));

/** Where the worker listens. Mistakes elsewhere in the configuration are ignored, because the worker may be running anyway. */
export const listenAddress = z.object({
  server: z
    .union([
      z.literal([false, "false"]).transform(() => false as const),
      z.object({ host, port: z.union([digits, port]) }),
    ])
    .prefault({}),
});
