import type { Random } from "./random.ts";

/*
 * The invented company whose log this is, and the kinds of events that occur in it. Texts for `details` are JSON already.
 */

/** The owner of the workspace and of its token. */
export const OWNER_ID = 133_000;

const PEOPLE = 420;
const BOTS = 12;
const CHATS = 900;

/** Low numbers are more frequent: a few people write most of the messages. */
export const person = (random: Random): number => OWNER_ID + Math.floor(random.share() ** 2 * PEOPLE);
export const bot = (random: Random): number => 210_000 + random.below(BOTS);
export const chat = (random: Random): number => 1_740_000 + Math.floor(random.share() ** 2 * CHATS) * 7;
export const message = (random: Random): number => 410_000_000 + random.below(900_000_000);
export const thread = (random: Random): number => 9_100_000 + random.below(800_000);
export const tag = (random: Random): number => 9_000 + random.below(60);
export const token = (random: Random): number => 51_000 + random.below(400);
export const room = (random: Random): number => 3_300_000 + random.below(90_000);
export const file = (random: Random): number => 77_000_000 + random.below(9_000_000);

/** Names as JSON. A program that parses and writes JSON again would spell some of them differently. */
export const NAMES: readonly string[] = [
  ...[
    "Проект Альфа",
    "Отдел продаж 🚀",
    "Бухгалтерия — согласование договоров и закрывающих документов",
    "Incident 2291: payment gateway",
    'Клуб «Кино» и "Книги"',
    "👩🏽‍💻 Разработка / backend",
    "Поддержка, вторая линия",
    "日本オフィス",
    "Team Ελλάδα",
    "C:\\share\\отчёты",
    "<script>alert(1)</script> & co",
    "line one\nline two\ttabbed",
    "e\u0301te\u0301 2026",
    "a line\u2028separator\u2029inside",
    "",
  ].map((name) => JSON.stringify(name)),
  '"\\u041f\\u0440\\u043e\\u0435\\u043a\\u0442 \\u0411\\u0435\\u0442\\u0430"',
  '"finance\\/audit \\ud83d\\udd12"',
];

export const TAGS: readonly string[] = ["Дизайн", "Дежурные ☎️", "on-call", "Руководители", "QA", "Подрядчики"].map(
  (name) => JSON.stringify(name),
);

export const ROLES: readonly string[] = ['"admin"', '"user"', '"multi_guest"', '"guest"'];

export const ATTRIBUTES: readonly string[] = [
  "first_name",
  "last_name",
  "email",
  "phone_number",
  "department",
  "title",
  "nickname",
  "custom_properties",
].map((name) => JSON.stringify(name));

export const SCOPES: readonly string[] = [
  "messages:read",
  "messages:create",
  "chats:read",
  "chats:create",
  "users:read",
  "users:update",
  "group_tags:read",
  "reactions:write",
  "profile:read",
  "audit_events:read",
].map((name) => JSON.stringify(name));

export const DLP_RULES: readonly string[] = [
  "Номера банковских карт",
  "Паспортные данные РФ (серия и номер)",
  "Ключи доступа и пароли 🔑",
  "Confidential: board papers",
].map((name) => JSON.stringify(name));

export const KMS_REASONS: readonly string[] = [
  "message content read by a member of the chat over the mobile application",
  "сообщение зашифровано перед записью в хранилище, ключ проекта обновлён по расписанию",
  "search index rebuild after key rotation, requested by the security team, ticket SEC-2291",
  "push notification preview",
].map((reason) => JSON.stringify(reason));

/** The vendor keeps this many characters of a user agent. */
const USER_AGENT_MAX = 255;

const DESKTOPS = [
  "Windows NT 10.0; Win64; x64",
  "Macintosh; Intel Mac OS X 10_15_7",
  "X11; Linux x86_64",
  "Windows NT 10.0; WOW64",
];
const LOCALES = [
  "ru-RU; tz:Europe/Moscow",
  "en-GB; tz:Europe/London",
  "kk-KZ; tz:Asia/Almaty",
  "el-GR; tz:Europe/Athens",
];

/** User agents as JSON: the desktop application, browsers, phones, integrations, and one that is longer than the limit. */
export const USER_AGENTS: readonly string[] = [
  ...DESKTOPS.flatMap((system, row) =>
    LOCALES.flatMap((locale, column) => [
      `Mozilla/5.0 (${system}) AppleWebKit/537.36 (KHTML, like Gecko) Pachca/3.6${row}.${column} Chrome/138.0.7204.251 Electron/37.4.0 Safari/537.36 (co.staply.pachca; build:36${row}0${column}; channel:stable; arch:x64; locale:${locale})`,
      `Mozilla/5.0 (${system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/13${row}.0.${7000 + column}.92 YaBrowser/25.8.${column}.882 Yowser/2.5 Safari/537.36 (managed; policy:${7 - column}; extensions:corp-sso/4.1,dlp-agent/2.9.${row}; locale:${locale})`,
    ]),
  ),
  "Pachca/3.60.0 (co.staply.pachca; build:15; iOS 18.5.0) Alamofire/5.0.0",
  "Pachca/3.59.2 (co.staply.pachca; build:1184; Android 15; Xiaomi 23127PN0CG; ru_RU) okhttp/4.12.0",
  "Pachca-CLI/2026.7.2 (node v22.18.0; linux x64)",
  "python-requests/2.32.4",
  'curl/8.14.1 "quoted" \\ backslash',
  `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${"plugin/1.0 (контур; сборка 7) ".repeat(12)}`,
].map((agent) => JSON.stringify(agent.slice(0, USER_AGENT_MAX)));

/** An address of the ranges for documentation and private use, sometimes IPv6. */
export function address(random: Random): string {
  const host = random.below(254) + 1;
  const dice = random.below(10);
  if (dice < 6) return `203.0.113.${host}`;
  if (dice < 8) return `198.51.100.${host}`;
  if (dice < 9) return `10.${random.below(32)}.${random.below(256)}.${host}`;
  return `2001:db8:${random.below(65_536).toString(16)}::${host.toString(16)}`;
}

/** One kind of event: its frequency relative to the others, its entity, and its `details`. */
export interface Kind {
  readonly key: string;
  readonly weight: number;
  readonly entityType: string;
  entityId(random: Random): number;
  /** Compact JSON. */
  details(random: Random): string;
  /** Caused by the server itself: without address and user agent. */
  readonly serverSide: boolean;
}

type Numbers = (random: Random) => number;
type Text = (random: Random) => string;
type Entity = readonly [type: string, id: Numbers];

const USER: Entity = ["User", person];
const BOT: Entity = ["User", bot];
const CHAT: Entity = ["Chat", chat];
const MESSAGE: Entity = ["Message", message];
const REACTION: Entity = ["Reaction", message];
const THREAD: Entity = ["TopicThread", thread];
const TAG: Entity = ["GroupTag", tag];
const ROOM: Entity = ["VideoRoom", room];
const TOKEN: Entity = ["AccessToken", token];

const SERVER_SIDE = true;
const nothing: Text = () => "{}";

/** From one to `most` of `items`. */
function some(random: Random, items: readonly string[], most: number): string {
  const start = random.below(items.length);
  const chosen = Array.from({ length: 1 + random.below(most) }, (_, index) => items[(start + index) % items.length]);
  return `[${chosen.join(",")}]`;
}

const orNull = (random: Random, value: string | number): string | number => (random.below(8) === 0 ? "null" : value);
const bool = (random: Random): string => (random.below(2) === 0 ? "false" : "true");
const initiator: Text = (random) => `{"initiator_id":${person(random)}}`;
const tokenScopes: Text = (random) => `{"scopes":${some(random, SCOPES, 8)}}`;
const tagName: Text = (random) => `{"name":${random.pick(TAGS)}}`;
const ofBot: Text = (random) => `{"bot_id":${bot(random)},"actor_id":${orNull(random, person(random))}}`;
const clientId: Text = (random) => `"client_id":"${random.uuid().replaceAll("-", "")}"`;
const call: Text = (random) => `"chat_id":${chat(random)},"started_message_id":${orNull(random, message(random))}`;
const kms: Text = (random) =>
  `{"chat_id":${chat(random)},"message_id":${message(random)},"reason":${random.pick(KMS_REASONS)}}`;

const search =
  (type: string, filters: string): Text =>
  (random) =>
    `{"search_type":"${type}","query_present":${bool(random)},"cursor_present":${bool(random)},"limit":${1 + random.below(200)},"filters":${random.below(4) === 0 ? "{}" : filters}}`;

const userUpdated: Text = (random) =>
  random.below(5) === 0
    ? `{"changed_attrs":${some(random, ATTRIBUTES, 3)},"context":"sso_login"}`
    : `{"changed_attrs":${some(random, ATTRIBUTES, 4)}}`;

const roleChanged: Text = (random) =>
  `{"new_company_role":${random.pick(ROLES)},"previous_company_role":${random.pick(ROLES)},"initiator_id":${person(random)}}`;

const dlp: Text = (random) =>
  `{"dlp_rule_id":${70 + random.below(9)},"dlp_rule_name":${random.pick(DLP_RULES)},"message_id":${message(random)},"chat_id":${chat(random)},"user_id":${person(random)},"action_message":${orNull(random, '"Сообщение содержит данные, пересылка которых ограничена ⚠️"')},"conditions_matched":${bool(random)}}`;

const webhook: Text = (random) =>
  `{"changes":{"outgoing_url":{"previous":null,"new":"https:\\/\\/hooks.example.com\\/${random.below(9999)}"},"ignore_self_messages":{"previous":false,"new":true}}}`;

const oauthClient: Text = (random) =>
  `{${clientId(random)},"changes":{"confidential":{"previous":${bool(random)},"new":true},"scopes":{"previous":${some(random, SCOPES, 3)},"new":${some(random, SCOPES, 5)}}}}`;

/** Sometimes a size that a double cannot represent: a program that parses it as a number changes it. */
const recordingSize = (random: Random): string =>
  random.below(3) === 0 ? `90071992547409${93 + 2 * random.below(3)}` : String(20_000_000 + random.uint32());

const recording: Text = (random) =>
  `{${call(random)},"recording_id":${40_000 + random.below(9000)},"file_id":${file(random)},"duration":${60 + random.below(7000)},"size":${recordingSize(random)}}`;

function kind(weight: number, key: string, [entityType, entityId]: Entity, details: Text, serverSide = false): Kind {
  return { key, weight, entityType, entityId, details, serverSide };
}

/** All kinds of the vendor's list, and two that are not in it. The sum of the weights is about a thousand. */
export const KINDS: readonly Kind[] = [
  kind(60, "user_login", USER, nothing),
  kind(25, "user_logout", USER, nothing),
  kind(6, "user_2fa_fail", USER, nothing),
  kind(50, "user_2fa_success", USER, nothing),
  kind(3, "user_created", USER, nothing),
  kind(1, "user_deleted", USER, nothing),
  kind(2, "user_role_changed", USER, roleChanged),
  kind(15, "user_updated", USER, userUpdated),
  kind(1, "tag_created", TAG, tagName),
  kind(1, "tag_deleted", TAG, tagName),
  kind(4, "user_added_to_tag", TAG, initiator),
  kind(2, "user_removed_from_tag", TAG, initiator),
  kind(10, "chat_created", CHAT, nothing),
  kind(8, "chat_renamed", CHAT, (random) => `{"old_name":${random.pick(NAMES)},"new_name":${random.pick(NAMES)}}`),
  kind(3, "chat_permission_changed", CHAT, (random) => `{"public_access":${bool(random)}}`),
  kind(40, "user_chat_join", CHAT, (random) => `{"inviter_id":${person(random)}}`),
  kind(15, "user_chat_leave", CHAT, initiator),
  kind(2, "tag_added_to_chat", TAG, (random) => `{"chat_id":${chat(random)},"tag_name":${random.pick(TAGS)}}`),
  kind(1, "tag_removed_from_chat", TAG, (random) => `{"chat_id":${chat(random)}}`),
  kind(200, "message_created", MESSAGE, nothing),
  kind(50, "message_updated", MESSAGE, nothing),
  kind(20, "message_deleted", MESSAGE, nothing),
  kind(70, "reaction_created", REACTION, nothing),
  kind(12, "reaction_deleted", REACTION, nothing),
  kind(30, "thread_created", THREAD, nothing),
  kind(2, "access_token_created", TOKEN, tokenScopes),
  kind(1, "access_token_updated", TOKEN, tokenScopes),
  kind(1, "access_token_destroy", TOKEN, tokenScopes),
  kind(130, "kms_encrypt", MESSAGE, kms, SERVER_SIDE),
  kind(170, "kms_decrypt", MESSAGE, kms),
  kind(3, "audit_events_accessed", USER, nothing),
  kind(14, "dlp_violation_detected", MESSAGE, dlp),
  kind(
    20,
    "search_users_api",
    USER,
    search("users", '{"company_roles":["user","admin"],"sort":"by_score","order":"desc"}'),
  ),
  kind(8, "search_chats_api", USER, search("chats", '{"active":true,"chat_subtype":"discussion","personal":false}')),
  kind(35, "search_messages_api", USER, search("messages", '{"chat_ids":[1740007,1740014],"user_ids":[133002]}')),
  kind(1, "bot_token_recreated", BOT, ofBot),
  kind(1, "bot_deleted", BOT, ofBot),
  kind(1, "bot_scopes_updated", BOT, (random) => `{"added_scopes":${some(random, SCOPES, 4)},"removed_scopes":[]}`),
  kind(1, "bot_webhook_settings_updated", BOT, webhook),
  kind(1, "bot_oauth_client_updated", BOT, oauthClient),
  kind(2, "oauth_authorization_granted", USER, (random) => `{${clientId(random)},"scopes":${some(random, SCOPES, 5)}}`),
  kind(
    1,
    "oauth_authorization_revoked",
    USER,
    (random) => `{${clientId(random)},"revoked_tokens_count":${random.below(5)}}`,
  ),
  kind(12, "video_call_started", ROOM, (random) => `{${call(random)}}`),
  kind(
    12,
    "video_call_finished",
    ROOM,
    (random) => `{${call(random)},"duration":${random.below(9000)},"max_members_count":${2 + random.below(40)}}`,
    SERVER_SIDE,
  ),
  kind(6, "video_call_recording_ready", ROOM, recording, SERVER_SIDE),
  kind(
    2,
    "chat_retention_policy_applied",
    CHAT,
    (random) => `{"policy":{"keep_days":365,"factor":1.10},"removed":${random.below(999)}}`,
  ),
  kind(
    1,
    "sso_assertion_rejected",
    USER,
    () => '{"reason":"clock_skew","skew_seconds":-3.50,"attempt":1E+2}',
    SERVER_SIDE,
  ),
];

const BY_WEIGHT: readonly Kind[] = KINDS.flatMap((each) => Array.from({ length: each.weight }, () => each));

/** A random kind; frequent kinds are more likely. */
export const pickKind = (random: Random): Kind => random.pick(BY_WEIGHT);
