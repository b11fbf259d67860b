import { nameOfKey, type Kind } from "../../vocabulary.ts";
import { partsOf, textAt, valueAt } from "../../json/members.ts";
import type { Meanings } from "../vocabulary.ts";

/**
 * The vendor documents the key of one kind of event, and describes three more without their keys (a login, a password change, a
 * change of another user's permissions). So the words in a key decide: the first rule that has one of them applies.
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
    // An event has no outcome, unless its key names one.
    if ([...words].some((word) => FAILURE.has(word)))
      return { name, category, severity: Math.max(severity, 5), outcome: "failure" };
    return { name, category, severity };
  },

  actor: { id: "actor_user_id", name: actorName },
};

/** The actor's name, from the rows that were joined to the event. Often the row is missing. */
function actorName(record: Buffer): string | undefined {
  const actor = textAt(record, "actor_user_id");
  const users = valueAt(record, "_resources.users");
  const user = users && partsOf(users)?.find((row) => textAt(row, "id") === actor);
  if (!user || actor === undefined) return undefined;
  return ["username", "email", "display_name"].map((name) => textAt(user, name)).find((name) => name);
}
