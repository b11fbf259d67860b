import { z } from "zod";
import { accountKeys, tokenRules, withToken } from "../account.ts";
import { address, choice, group, list, text, whole } from "../../config/values/values.ts";

const id = () => text('text, such as "133321"', /\S/);

const filter = group({
  eventKeys: list(text("a kind of event, such as user_2fa_fail", /^\S{1,100}$/), 1, 100)
    .optional()
    .describe(
      "Only these kinds of event. The API takes one kind in a request, so each kind costs requests of its own.",
    ),
  actorId: id().optional().describe("Only what this user or bot did."),
  actorType: text("text, such as User", /\S/).optional().describe("Only what actors of this type did."),
  entityId: id().optional().describe("Only what was done to this entity."),
  entityType: text("text, such as Chat", /\S/).optional().describe("Only what was done to entities of this type."),
});

/** The audit log of a Pachca workspace. */
export const pachca = group({
  type: z.literal("pachca").describe("The audit log of a Pachca workspace, on the plan Corporation."),
  baseUrl: address("https://api.pachca.com/api/shared/v1")
    .prefault("https://api.pachca.com/api/shared/v1")
    .describe("Where the API is. Change it for Pachca on your own servers, or for the simulator."),
  ...accountKeys({
    token: "The token of the workspace's owner, with the scope audit_events:read.",
    requestsPerSecond: 50,
  }),
  filter: filter
    .prefault({})
    .describe(
      "Exports a part of the log only: events for which all of these hold. Without it, everything is exported.",
    ),
  ownReads: choice(["keep", "drop"])
    .default("keep")
    .describe(
      "Pachca logs each reading of its log (audit_events_accessed); drop leaves out those made by this exporter.",
    ),
  pageLimit: whole(1, 1000)
    .default(50)
    .describe("Events asked for in one page. More than 50 only for the simulator: Pachca gives no more."),
})
  .check(tokenRules)
  .transform(withToken);
