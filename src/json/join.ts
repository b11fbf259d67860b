import { isUtf8 } from "node:buffer";
import { isObject, parsedJson } from "./parse.ts";

/** Rows that an answer has beside its records, to be added to the records that refer to them. */
export interface Join {
  /** The name of the member that is appended to a record. */
  readonly as: string;
  /** The lists of rows, each with the members of a record that refer to its rows by `id`. */
  readonly lists: Readonly<Record<string, readonly string[]>>;
}

/**
 * Returns a function that adds rows to a record: `{…,"<as>":{"<list>":[row,…]}}`, each row once, in the order of the references.
 * A record without references to these rows, or with a member of that name, is not changed. A row without an id, or one that would make the
 * line invalid, is left out: the event does not fail because of it.
 *
 * @param lists the rows as received, by list
 */
export function joiner(join: Join, lists: ReadonlyMap<string, readonly Buffer[]>): (record: Buffer) => Buffer {
  const rows = new Map(Object.keys(join.lists).map((list) => [list, rowsById(lists.get(list) ?? [])]));
  return (record) => {
    const event = parsedJson(record);
    if (!isObject(event) || Object.hasOwn(event, join.as)) return record;
    const groups: string[] = [];
    for (const [list, members] of Object.entries(join.lists)) {
      const ids = new Set(members.flatMap((member) => event[member]));
      const found = [...ids].flatMap((id) => (typeof id === "string" ? (rows.get(list)?.get(id) ?? []) : []));
      if (found.length > 0) groups.push(`${JSON.stringify(list)}:[${found.join(",")}]`);
    }
    if (groups.length === 0) return record;
    const member = `,${JSON.stringify(join.as)}:{${groups.join(",")}}}`;
    return Buffer.concat([record.subarray(0, -1), Buffer.from(member)]);
  };
}

function rowsById(rows: readonly Buffer[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const row of rows) {
    const value = isUtf8(row) ? parsedJson(row) : undefined;
    if (isObject(value) && typeof value["id"] === "string") found.set(value["id"], row.toString("utf8"));
  }
  return found;
}
