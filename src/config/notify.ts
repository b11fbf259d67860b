import { z } from "zod";
import { DAY_MS, SECOND_MS } from "../time.ts";
import { address, choice, duration, group, readableFile, secretUrl, whole } from "./values/values.ts";
import { rules } from "./values/rules.ts";
import { secretKeys, secretRules } from "./values/secret-keys.ts";

/* Notifications about the health of streams. */

const caFile = readableFile()
  .optional()
  .describe("A PEM file of certificate authorities to trust in addition to the public ones.");

/** The keys of a URL that is a secret: anyone who knows it can use it. */
const secretAddress = {
  ...secretKeys("url", "The URL, usually as ${NAME} from the environment. Either this or urlFile.", secretUrl),
  caFile,
};

const webhook = group(secretAddress)
  .check(rules((keys) => secretRules(keys, "url", "required")))
  .transform(({ urlFile, url = urlFile, ...rest }) => ({ ...rest, url: url ?? z.NEVER }));

const heartbeat = group({
  ...secretAddress,
  every: duration(10 * SECOND_MS, DAY_MS)
    .prefault("1m")
    .describe("How often to request it while all streams are healthy."),
})
  .check(rules((keys) => secretRules(keys, "url", "required")))
  .transform(({ urlFile, url = urlFile, every, ...rest }) => ({ ...rest, url: url ?? z.NEVER, everyMs: every }));

const pachca = group({
  baseUrl: address("https://api.pachca.com/api/shared/v1")
    .prefault("https://api.pachca.com/api/shared/v1")
    .describe("The base URL of the API. Change it for Pachca on your own servers, or for the simulator."),
  ...secretKeys(
    "token",
    "The token of a bot with the scope messages:create; not the token that reads the log. Either this or tokenFile.",
  ),
  entityType: choice(["discussion", "thread", "user"])
    .default("discussion")
    .describe("Where to write: a chat (discussion) that the bot is a member of, a thread, or to one user."),
  entityId: whole(1, Number.MAX_SAFE_INTEGER).describe("The id of that chat, thread or user."),
  caFile,
})
  .check(rules((keys) => secretRules(keys, "token", "required")))
  .transform(({ tokenFile, token = tokenFile, ...rest }) => ({ ...rest, token: token ?? z.NEVER }));

export const notify = group({
  webhook: webhook
    .optional()
    .describe("Posts JSON when a stream becomes unhealthy or recovers, at a gap, and at quarantined items."),
  pachca: pachca.optional().describe("Sends the same as a message in Pachca."),
  heartbeat: heartbeat.optional().describe("Dead man's switch: requests (GET) this URL while all streams are healthy."),
});
