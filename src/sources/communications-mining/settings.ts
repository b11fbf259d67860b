import { z } from "zod";
import { accountKeys, tokenRules, withToken } from "../account.ts";
import { address, group, whole } from "../../config/values/values.ts";

/** The audit log of UiPath Communications Mining. */
export const communicationsMining = group({
  type: z
    .literal("communications-mining")
    .describe("The audit log of UiPath Communications Mining (formerly re:infer), also called IXP."),
  baseUrl: address("https://cloud.uipath.com/acme/production/reinfer_").describe(
    "The address of your tenant: https://cloud.uipath.com/<organisation>/<tenant>/reinfer_, or https://<domain>.reinfer.io.",
  ),
  ...accountKeys({
    token:
      'The API token of a user with the permission "Read audit logs"; a user has one, and a new one ends the old one.',
    requestsPerSecond: 10,
  }),
  pageLimit: whole(1, 10_000).default(128).describe("Events asked for in one page. The API's own default is 128."),
})
  .check(tokenRules)
  .transform(withToken);
