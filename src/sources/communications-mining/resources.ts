import { isUtf8 } from "node:buffer";
import { isObject, parsedJson } from "../../json/parse.ts";

/** The lists that come beside the events, and the members of an event that refer to their rows. */
const REFERENCES: Readonly<Record<string, readonly string[]>> = {
  users: ["actor_user_id", "user_ids"],
  tenants: ["actor_tenant_id", "tenant_ids"],
  projects: ["project_ids"],
  datasets: ["dataset_ids"],
  sources: ["source_ids"],
  triggers: ["trigger_ids"],
};

export const RESOURCE_LISTS: readonly string[] = Object.keys(REFERENCES);

/** The JSON of each row as received, by its list and its id. */
export type Resources = ReadonlyMap<string, ReadonlyMap<string, string>>;

/** A row that nothing can refer to, or that would spoil the line it stands in, is left out: an event does not fail with it. */
export function resourcesIn(lists: ReadonlyMap<string, readonly Buffer[]>): Resources {
  return new Map(RESOURCE_LISTS.map((list) => [list, rowsById(lists.get(list) ?? [])]));
}

function rowsById(rows: readonly Buffer[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const row of rows) {
    const value = isUtf8(row) ? parsedJson(row) : undefined;
    if (isObject(value) && typeof value["id"] === "string") found.set(value["id"], row.toString("utf8"));
  }
  return found;
}

/**
 * The record with one more member at its end, `"_resources"`: the rows that it refers to, in the order in which it does, each
 * once. What refers to nothing stays as it is. A record that has such a member of its own, or refers to no row, is untouched.
 *
 * @param record a JSON object, compact
 * @param event the same, parsed
 */
export function withResources(record: Buffer, event: Readonly<Record<string, unknown>>, resources: Resources): Buffer {
  if (Object.hasOwn(event, "_resources")) return record;
  const groups: string[] = [];
  for (const [list, members] of Object.entries(REFERENCES)) {
    const ids = new Set(members.flatMap((member) => event[member]));
    const rows = [...ids].flatMap((id) => (typeof id === "string" ? (resources.get(list)?.get(id) ?? []) : []));
    if (rows.length > 0) groups.push(`"${list}":[${rows.join(",")}]`);
  }
  if (groups.length === 0) return record;
  return Buffer.concat([record.subarray(0, -1), Buffer.from(`,"_resources":{${groups.join(",")}}}`)]);
}
