import { isUtf8 } from "node:buffer";
import { isObject, parsedJson } from "./parse.ts";

/** Rows that an answer sends beside its records, and that go along with the records that refer to them. */
export interface Join {
  /** The member that a record gets at its end. */
  readonly as: string;
  /** The lists beside the records, each with the members of a record that refer to its rows by their `id`. */
  readonly lists: Readonly<Record<string, readonly string[]>>;
}

/**
 * What joins the rows of one answer to its records: `{…,"<as>":{"<list>":[row,…]}}`, in the order in which the record refers to
 * them, each once. A record that refers to no row, or has a member of that name, stays as it is. A row without an id, or one
 * that would spoil the line, is left out: an event does not fail with it.
 *
 * @param lists the rows as received, by the list that they are in
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
