import type { Random } from "./random.ts";

/** The invented company whose log this is. What is text for `details` is kept as JSON, ready to be joined. */

/** Who owns the workspace and its token. */
export const OWNER_ID = 133_000;

const PEOPLE = 420;
const BOTS = 12;
const CHATS = 900;

/** The fewer the number, the busier: a few people write most of what is written. */
export const person = (random: Random): number => OWNER_ID + Math.floor(random.share() ** 2 * PEOPLE);
export const bot = (random: Random): number => 210_000 + random.below(BOTS);
export const chat = (random: Random): number => 1_740_000 + Math.floor(random.share() ** 2 * CHATS) * 7;
export const message = (random: Random): number => 410_000_000 + random.below(900_000_000);
export const thread = (random: Random): number => 9_100_000 + random.below(800_000);
export const tag = (random: Random): number => 9_000 + random.below(60);
export const token = (random: Random): number => 51_000 + random.below(400);
export const room = (random: Random): number => 3_300_000 + random.below(90_000);
export const file = (random: Random): number => 77_000_000 + random.below(9_000_000);

/** Names as JSON. Some are spelt in ways that a program which writes JSON anew would not keep. */
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

/** The vendor truncates user agents to this many characters. */
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

/** User agents as JSON: the desktop application, browsers, phones, integrations, one that is cut at the limit. */
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

/** An address of the ranges kept for documentation and private use, IPv6 now and then. */
export function address(random: Random): string {
  const host = random.below(254) + 1;
  const dice = random.below(10);
  if (dice < 6) return `203.0.113.${host}`;
  if (dice < 8) return `198.51.100.${host}`;
  if (dice < 9) return `10.${random.below(32)}.${random.below(256)}.${host}`;
  return `2001:db8:${random.below(65_536).toString(16)}::${host.toString(16)}`;
}
