import { NAMES } from "./pachca-catalogue.ts";
import { randomOf, type Random } from "./random.ts";

/*
 * The invented customer of UiPath Communications Mining whose log this is: the resources that events refer to, and the kinds of
 * events. Resources are JSON already.
 */

/** The lists of resources in an answer. */
export const GROUPS = ["users", "tenants", "projects", "datasets", "sources", "triggers"] as const;
export type Group = (typeof GROUPS)[number];

/** The stream of random numbers of this file; the streams of histories are not negative. */
const CATALOGUE_STREAM = -3;
const SIZES = { tenants: 3, projects: 14, datasets: 40, sources: 60, triggers: 30, users: 260 } as const;

const FIRST_NAMES = ["Ирина", "Олег", "Zoë", "María José", "健太", "Nikos", "Anna", "Jürgen", "Łukasz", "Дмитрий 🛠"];
const LAST_NAMES = [
  "Соколова",
  "O’Neill",
  "Παπαδόπουλος",
  "佐藤",
  "Müller-Lüdenscheidt",
  'van "Vee" der Meer',
  "Smith",
];

/** An id in the form that the vendor uses. */
export function hexId(random: Random): string {
  return [random.uint32(), random.uint32()].map((half) => half.toString(16).padStart(8, "0")).join("");
}

/** The resources of each list, by id. They belong to the customer, not to the history, so they are the same for every seed. */
const rows: Readonly<Record<Group, ReadonlyMap<string, string>>> = makeRows(randomOf(0, CATALOGUE_STREAM));
const ids = Object.fromEntries(GROUPS.map((group) => [group, [...rows[group].keys()]])) as Record<Group, string[]>;

/** Undefined for an unknown id, and for an id of another list. */
export const rowOf = (group: Group, id: string): string | undefined => rows[group].get(id);

/** An id with a resource; the first ones are more frequent. */
export function known(random: Random, group: Group): string {
  return ids[group][Math.floor(random.share() ** 2 * ids[group].length)] ?? "";
}

/** An id without a resource: of something deleted, or, as in the vendor's example, a project's id that is a dataset's. */
export function dangling(random: Random, group: Group): string {
  return group === "projects" && random.below(2) === 0 ? known(random, "datasets") : hexId(random);
}

function makeRows(random: Random): Record<Group, Map<string, string>> {
  const made = Object.fromEntries(GROUPS.map((group) => [group, new Map()])) as Record<Group, Map<string, string>>;
  const one = (group: Group): string => random.pick([...made[group].keys()]);
  const slug = (): string => `${random.pick(["mail", "chat", "claims", "orders", "support"])}-${random.below(1000)}`;
  const titled = (more: string) => (): string => `"name":"${slug()}","title":${random.pick(NAMES)}${more}`;
  const members: Record<Group, () => string> = {
    tenants: () => `"name":${JSON.stringify(`acme-${slug()}`)}`,
    projects: () => `"tenant_id":"${one("tenants")}","name":${random.pick(NAMES)}`,
    datasets: () => `${titled("")()},"project_id":"${one("projects")}"`,
    sources: () => `${titled("")()},"project_id":"${one("projects")}"`,
    triggers: () => `"dataset_id":"${one("datasets")}",${titled("")()}`,
    users: () => userOf(random, one("tenants")),
  };
  for (const [group, size] of Object.entries(SIZES) as [Group, number][]) {
    for (let number = 0; number < size; number++) {
      const id = hexId(random);
      // Undocumented members, and a number that a double cannot represent.
      const extra = number % 9 === 4 ? `,"quota":{"limit":90071992547409${93 + number},"used":${number}.50}` : "";
      made[group].set(id, `{"id":"${id}",${members[group]()}${extra}}`);
    }
  }
  return made;
}

function userOf(random: Random, tenant: string): string {
  const name = `${random.pick(FIRST_NAMES)} ${random.pick(LAST_NAMES)}`;
  const username = `user-${random.below(100_000)}`;
  const shown = random.below(20) === 0 ? "null" : JSON.stringify(name);
  return `"tenant_id":"${tenant}","username":"${username}","email":"${username}@acme.example","display_name":${shown}`;
}

/** One kind of event: its frequency relative to the others, its lists of ids, and its other members. */
export interface MiningKind {
  readonly type: string;
  readonly weight: number;
  readonly refers: readonly Group[];
  /** Further members of the event as JSON, each after a comma; "" for none. */
  more(random: Random): string;
}

const nothing = (): string => "";
const found = (random: Random): string => `,"result_count":${random.below(5000)}`;
const renamed = (random: Random): string => `,"changes":{"title":[${random.pick(NAMES)},${random.pick(NAMES)}]}`;
const named = (random: Random): string => `,"name":${random.pick(NAMES)}`;
const permissions = (random: Random): string =>
  `,"permissions_added":[${random.pick(['"sources_read"', '"users_write","audit_logs_read"', ""])}],"permissions_removed":[]`;
/** Numbers that are too large for a double, or that a JSON writer would spell differently. */
const exported = (random: Random): string =>
  `,"bytes":9007199254740993${random.below(100)},"ratio":0.${random.below(10)}0,"scale":1E+${random.below(9)},"offset":-0`;
/** Text that looks like a part of the answer around it. */
const queried = (random: Random): string =>
  `,"query":${random.pick(['"\\"audit_events\\":[{}],\\"users\\":[]}"', '"счёт \\u2116 7"', '"]},{"', '"🧾\\\\"'])},"limit":128`;

function kind(
  weight: number,
  type: string,
  refers: readonly Group[],
  more = nothing as MiningKind["more"],
): MiningKind {
  return { type, weight, refers, more };
}

/** Kinds that such an installation may record. The vendor has no list; only `get_datasets` is in its example. */
export const MINING_KINDS: readonly MiningKind[] = [
  kind(160, "get_datasets", ["projects", "datasets"], found),
  kind(80, "get_sources", ["projects", "sources"], found),
  kind(150, "query_comments", ["projects", "datasets", "sources"], queried),
  kind(120, "fetch_trigger", ["projects", "datasets", "triggers"], found),
  kind(90, "annotate_comment", ["projects", "datasets", "sources"]),
  kind(60, "login", []),
  kind(20, "logout", []),
  kind(25, "get_users", ["users", "projects"], found),
  kind(6, "update_dataset", ["projects", "datasets"], renamed),
  kind(6, "update_source", ["projects", "sources"], renamed),
  kind(5, "export_dataset", ["projects", "datasets"], exported),
  kind(4, "update_trigger", ["projects", "triggers"], renamed),
  kind(6, "update_user_permissions", ["users", "projects"], permissions),
  kind(4, "create_source", ["projects", "sources"], named),
  kind(3, "create_dataset", ["projects", "datasets", "sources"], named),
  kind(3, "create_trigger", ["projects", "datasets", "triggers"], named),
  kind(2, "create_user", ["users", "projects"], permissions),
  kind(1, "delete_user", ["users"]),
  kind(1, "delete_dataset", ["projects", "datasets"], named),
  kind(1, "delete_source", ["projects", "sources"], named),
  kind(1, "create_project", ["projects"], named),
  kind(1, "regenerate_api_token", ["users"]),
  kind(3, "получен_отчёт", ["projects"], exported),
];

const BY_WEIGHT: readonly MiningKind[] = MINING_KINDS.flatMap((each) =>
  Array.from({ length: each.weight }, () => each),
);

/** A random kind; frequent kinds are more likely. */
export const pickMiningKind = (random: Random): MiningKind => random.pick(BY_WEIGHT);
