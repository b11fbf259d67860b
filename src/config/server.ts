import { z } from "zod";
import { group, secretFile, secretText, text, whole } from "./values/values.ts";
import { rules } from "./values/rules.ts";

const host = text("a host name or an IP address", /^\S+$/)
  .default("127.0.0.1")
  .describe("The address to listen on. 0.0.0.0 in a container: whoever reaches the port can read the status.");
const port = whole(0, 65_535).default(9464).describe("The port to listen on; 0 takes any free one.");

/** Where health, metrics and the status are served. */
export const server = group({
  host,
  port,
  token: secretText()
    .optional()
    .describe(
      "Asked for by all but /healthz and /readyz: as a bearer's token, or in a browser as the password of any user.",
    ),
  tokenFile: secretFile().optional().describe("A file that holds this token. Read again whenever it is used."),
})
  .check(
    rules(({ token, tokenFile }) => [
      ["tokenFile", "set beside token; keep one of them", token !== undefined && tokenFile !== undefined],
    ]),
  )
  .transform(({ tokenFile, token = tokenFile, ...rest }) => ({ ...rest, ...(token !== undefined && { token }) }));

export const servedOrNot = z.union([z.literal(false), server], {
  error: "false, or a mapping of host, port, token, tokenFile",
});

/** A variable's value is text until the whole configuration is checked. */
const digits = z.string().regex(/^\d+$/).transform(Number).pipe(whole(0, 65_535));

/** Where a worker can be reached, in a whole configuration: whatever else is wrong in it by now, the worker still runs. */
export const reached = z.object({
  server: z
    .union([
      z.literal([false, "false"]).transform(() => false as const),
      z.object({ host, port: z.union([digits, port]) }),
    ])
    .prefault({}),
});
