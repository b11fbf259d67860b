import { MINUTE_MS, SECOND_MS, formatInstant } from "../../time.ts";
import { isObject } from "../../json/parse.ts";
import { defineSource } from "../define.ts";
import { meanings } from "./vocabulary.ts";

const BASE_URL_HINT =
  "set baseUrl to https://cloud.uipath.com/<organization>/<tenant>/reinfer_, or to https://<domain>.reinfer.io";

/**
 * The audit log of UiPath Communications Mining: `POST /api/v1/audit_events/query`, in no documented order, by continuation.
 * Users, tenants, datasets and so on are rows beside the events. Each record gets the rows that it refers to.
 */
export const communicationsMining = defineSource({
  type: "communications-mining",
  about: "The audit log of UiPath Communications Mining (formerly re:infer), also called IXP.",
  baseUrl: {
    about:
      "The address of your tenant: https://cloud.uipath.com/<organisation>/<tenant>/reinfer_, or https://<domain>.reinfer.io.",
    example: "https://cloud.uipath.com/acme/production/reinfer_",
    hint: BASE_URL_HINT,
    notIn: /\/api(?:\/v\d.*)?$/,
  },
  token:
    'The API token of a user with the permission "Read audit logs". A user has one token: a new one revokes the old one.',
  requestsPerSecond: 10,
  pageLimit: {
    about: "Events per page. The API's own default is 128.",
    default: 128,
    max: 10_000,
  },
  // The vendor's own client waits four minutes. The connection is idle during that time, so both timeouts are equal.
  timeouts: { headMs: 4 * MINUTE_MS, idleMs: 4 * MINUTE_MS },

  request: ({ from, to, limit, cursor }) => ({
    path: "/api/v1/audit_events/query",
    // Each request repeats the filter, as the vendor's own client does.
    body: {
      limit,
      filter: { timestamp: { minimum: formatInstant(from), maximum: formatInstant(to) } },
      continuation: cursor,
    },
  }),
  // The API rounds an event's time to the nearest second. Whether the filter uses the rounded or the exact time is not
  // documented; they differ by half a second at most.
  slackMs: SECOND_MS,
  // A continuation of null means the same as none, as in the vendor's own client.
  next: { cursor: "continuation" },
  items: "audit_events",
  members: {
    id: [{ path: "event_id", format: "text" }],
    time: [{ path: "timestamp", format: "iso" }],
    kind: ["event_type"],
  },
  join: {
    as: "_resources",
    lists: {
      users: ["actor_user_id", "user_ids"],
      tenants: ["actor_tenant_id", "tenant_ids"],
      projects: ["project_ids"],
      datasets: ["dataset_ids"],
      sources: ["source_ids"],
      triggers: ["trigger_ids"],
    },
  },
  meanings,

  refusals: {
    reason: messageIn,
    hints: {
      401: "the token is wrong or was replaced: a user has one API token, and a new one revokes the old one",
      403: 'give the token\'s user the permission "Read audit logs"',
      404: BASE_URL_HINT,
      405: BASE_URL_HINT,
    },
    // Not documented, but the vendor's own client retries a conflict.
    passing: [409],
    within(answer) {
      if (answer["status"] === "ok") return undefined;
      const message = messageIn(answer);
      return `the answer's status is ${String(answer["status"])}${message === undefined ? "" : `: ${message}`}`;
    },
  },
});

function messageIn(answer: unknown): string | undefined {
  return isObject(answer) && typeof answer["message"] === "string" ? answer["message"] : undefined;
}
