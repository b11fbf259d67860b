import { nameOfKey, partyOf, type Kind, type Vocabulary } from "../../vocabulary.ts";
import { cutRecord, detailsOf, membersOf, partsOf, stringOf, type Member } from "../../json/members.ts";

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

/** The members that an event, or a member of its meaning, holds. */
const MEMBERS = new Set(["event_id", "timestamp", "event_type", "actor_user_id"]);

/** What Communications Mining's events mean. */
export const communicationsMiningVocabulary: Vocabulary = {
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

  describe(record) {
    const { text, rest } = cutRecord(record, MEMBERS);
    const id = text("actor_user_id");
    return { actor: partyOf({ id, name: id && userName(rest, id) }), details: detailsOf(rest) };
  },
};

/** The name of a user in the rows that came with the event; a reference without a row is usual. */
function userName(members: readonly Member[], id: string): string | undefined {
  const value = (among: readonly Member[] | undefined, key: string) =>
    among?.findLast((one) => one.key === key)?.value ?? "";
  const users = partsOf(value(membersOf(value(members, "_resources")), "users"));
  for (const row of users ?? []) {
    const user = membersOf(row);
    if (stringOf(value(user, "id")) !== id) continue;
    const names = ["username", "email", "display_name"].map((key) => stringOf(value(user, key)));
    return names.find((name) => name !== undefined && name !== "");
  }
  return undefined;
}
