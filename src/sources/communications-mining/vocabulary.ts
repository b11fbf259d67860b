import { nameOfKey, type Kind } from "../../vocabulary.ts";
import { partsOf, textAt, valueAt } from "../../json/members.ts";
import type { Meanings } from "../vocabulary.ts";

/**
 * The vendor names one kind of event and describes three in words (a login, a change of a password, a change of another
 * user's permissions), so a kind is told by the words in its key: the first of these that has one counts.
 */
const RULES: readonly (readonly [words: readonly string[], category: string, severity: number])[] = [
  [["login", "logout", "signin", "signout", "session", "mfa"], "authentication", 3],
  [
    ["password", "permission", "permissions", "role", "roles", "token", "tokens", "key", "keys", "secret", "grant"],
    "account management",
    6,
  ],
  [["get", "list", "query", "search", "read", "view", "count"], "access", 1],
  [["export", "download"], "access", 4],
  [["user", "users", "member", "members", "invite"], "account management", 5],
  [["delete", "remove", "purge"], "deletion", 5],
  [["create", "add", "upload", "sync"], "creation", 3],
  [["update", "set", "put", "patch", "rename", "change"], "modification", 3],
];

const FAILURE = new Set(["fail", "failed", "failure", "denied", "rejected", "error"]);

/** What Communications Mining's events mean. */
export const meanings: Meanings = {
  product: { vendor: "UiPath", name: "Communications Mining", version: "1.0" },

  kind(key): Kind {
    const name = nameOfKey(key);
    const words = new Set(name.toLowerCase().split(" "));
    const [, category, severity] = RULES.find(([some]) => some.some((word) => words.has(word))) ?? [[], "other", 3];
    // The log does not say how an action ended, unless its name does.
    if ([...words].some((word) => FAILURE.has(word)))
      return { name, category, severity: Math.max(severity, 5), outcome: "failure" };
    return { name, category, severity };
  },

  actor: { id: "actor_user_id", name: actorName },
};

/** The name of the actor in the rows that came with the event; a reference without a row is usual. */
function actorName(record: Buffer): string | undefined {
  const actor = textAt(record, "actor_user_id");
  const users = valueAt(record, "_resources.users");
  const user = users && partsOf(users)?.find((row) => textAt(row, "id") === actor);
  if (!user || actor === undefined) return undefined;
  return ["username", "email", "display_name"].map((name) => textAt(user, name)).find((name) => name);
}
