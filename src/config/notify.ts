import { z } from "zod";
import { DAY_MS, SECOND_MS } from "../time.ts";
import {
  address,
  choice,
  duration,
  group,
  readableFile,
  secretFile,
  secretText,
  secretUrl,
  whole,
} from "./values/values.ts";
import { rules, type Rule } from "./values/rules.ts";

/* Who is told when a stream is not well. */

/** One of a secret and its file is set, and only one. */
const oneOfTwo = (key: string, keys: Readonly<Record<string, unknown>>): readonly Rule[] => {
  const [value, file] = [keys[key], keys[`${key}File`]];
  return [
    [key, `missing  (accepted: ${key} or ${key}File)`, value === undefined && file === undefined],
    [`${key}File`, `set beside ${key}; keep one of them`, value !== undefined && file !== undefined],
  ];
};

const caFile = readableFile()
  .optional()
  .describe("A PEM file of certificate authorities to trust besides the public ones.");

/** The keys of an address that is a secret: whoever knows it can use it. */
const secretAddress = {
  url: secretUrl()
    .optional()
    .describe("The address, which in general is a secret: ${NAME} from the environment. Either this or urlFile."),
  urlFile: secretFile().optional().describe("A file that holds the address. Read again whenever it is used."),
  caFile,
};

const webhook = group(secretAddress)
  .check(rules((keys) => oneOfTwo("url", keys)))
  .transform(({ urlFile, url = urlFile, ...rest }) => ({ ...rest, url: url ?? z.NEVER }));

const heartbeat = group({
  ...secretAddress,
  every: duration(10 * SECOND_MS, DAY_MS)
    .prefault("1m")
    .describe("How often to ask for it while all is well."),
})
  .check(rules((keys) => oneOfTwo("url", keys)))
  .transform(({ urlFile, url = urlFile, every, ...rest }) => ({ ...rest, url: url ?? z.NEVER, everyMs: every }));

const pachca = group({
  baseUrl: address("https://api.pachca.com/api/shared/v1")
    .prefault("https://api.pachca.com/api/shared/v1")
    .describe("Where the API is. Change it for Pachca on your own servers, or for the simulator."),
  token: secretText()
    .optional()
    .describe(
      "The token of a bot, with the scope messages:create; not the one that reads the log. Either this or tokenFile.",
    ),
  tokenFile: secretFile().optional().describe("A file that holds this token. Read again whenever it is used."),
  entityType: choice(["discussion", "thread", "user"])
    .default("discussion")
    .describe("Where to write: a chat (discussion) that the bot is a member of, a thread, or to one user."),
  entityId: whole(1, Number.MAX_SAFE_INTEGER).describe("The id of that chat, thread or user."),
  caFile,
})
  .check(rules((keys) => oneOfTwo("token", keys)))
  .transform(({ tokenFile, token = tokenFile, ...rest }) => ({ ...rest, token: token ?? z.NEVER }));

export const notify = group({
  webhook: webhook
    .optional()
    .describe("Posts JSON: when a stream is unhealthy or has recovered, at a gap, and at items put aside."),
  pachca: pachca.optional().describe("Writes the same as a message in Pachca."),
  heartbeat: heartbeat
    .optional()
    .describe(
      "Asks for an address (GET) as long as every stream is well: a monitor there calls when it does not hear.",
    ),
});
