import * as organisation from "./organisation.ts";
import { ATTRIBUTES, DLP_RULES, KMS_REASONS, NAMES, ROLES, SCOPES, TAGS } from "./organisation.ts";
import type { Random } from "./random.ts";

/** One kind of event: how often it occurs beside the others, what it is about, and what its `details` say. */
export interface Kind {
  readonly key: string;
  readonly weight: number;
  readonly entityType: string;
  entityId(random: Random): number;
  /** JSON, in compact form. */
  details(random: Random): string;
  /** Written by the server itself: no address and no user agent. */
  readonly serverSide: boolean;
}

type Numbers = (random: Random) => number;
type Text = (random: Random) => string;
type Entity = readonly [type: string, id: Numbers];

const USER: Entity = ["User", organisation.person];
const BOT: Entity = ["User", organisation.bot];
const CHAT: Entity = ["Chat", organisation.chat];
const MESSAGE: Entity = ["Message", organisation.message];
const REACTION: Entity = ["Reaction", organisation.message];
const THREAD: Entity = ["TopicThread", organisation.thread];
const TAG: Entity = ["GroupTag", organisation.tag];
const ROOM: Entity = ["VideoRoom", organisation.room];
const TOKEN: Entity = ["AccessToken", organisation.token];

const SERVER_SIDE = true;
const nothing: Text = () => "{}";

/** Up to `most` of `items`, at least one. */
function some(random: Random, items: readonly string[], most: number): string {
  const start = random.below(items.length);
  const chosen = Array.from({ length: 1 + random.below(most) }, (_, index) => items[(start + index) % items.length]);
  return `[${chosen.join(",")}]`;
}

const orNull = (random: Random, value: string | number): string | number => (random.below(8) === 0 ? "null" : value);
const bool = (random: Random): string => (random.below(2) === 0 ? "false" : "true");
const initiator: Text = (random) => `{"initiator_id":${organisation.person(random)}}`;
const tokenScopes: Text = (random) => `{"scopes":${some(random, SCOPES, 8)}}`;
const tagName: Text = (random) => `{"name":${random.pick(TAGS)}}`;
const ofBot: Text = (random) =>
  `{"bot_id":${organisation.bot(random)},"actor_id":${orNull(random, organisation.person(random))}}`;
const clientId: Text = (random) => `"client_id":"${random.uuid().replaceAll("-", "")}"`;
const call: Text = (random) =>
  `"chat_id":${organisation.chat(random)},"started_message_id":${orNull(random, organisation.message(random))}`;
const kms: Text = (random) =>
  `{"chat_id":${organisation.chat(random)},"message_id":${organisation.message(random)},"reason":${random.pick(KMS_REASONS)}}`;

const search =
  (type: string, filters: string): Text =>
  (random) =>
    `{"search_type":"${type}","query_present":${bool(random)},"cursor_present":${bool(random)},"limit":${1 + random.below(200)},"filters":${random.below(4) === 0 ? "{}" : filters}}`;

const userUpdated: Text = (random) =>
  random.below(5) === 0
    ? `{"changed_attrs":${some(random, ATTRIBUTES, 3)},"context":"sso_login"}`
    : `{"changed_attrs":${some(random, ATTRIBUTES, 4)}}`;

const roleChanged: Text = (random) =>
  `{"new_company_role":${random.pick(ROLES)},"previous_company_role":${random.pick(ROLES)},"initiator_id":${organisation.person(random)}}`;

const dlp: Text = (random) =>
  `{"dlp_rule_id":${70 + random.below(9)},"dlp_rule_name":${random.pick(DLP_RULES)},"message_id":${organisation.message(random)},"chat_id":${organisation.chat(random)},"user_id":${organisation.person(random)},"action_message":${orNull(random, '"Сообщение содержит данные, пересылка которых ограничена ⚠️"')},"conditions_matched":${bool(random)}}`;

const webhook: Text = (random) =>
  `{"changes":{"outgoing_url":{"previous":null,"new":"https:\\/\\/hooks.example.com\\/${random.below(9999)}"},"ignore_self_messages":{"previous":false,"new":true}}}`;

const oauthClient: Text = (random) =>
  `{${clientId(random)},"changes":{"confidential":{"previous":${bool(random)},"new":true},"scopes":{"previous":${some(random, SCOPES, 3)},"new":${some(random, SCOPES, 5)}}}}`;

/** Now and then a size that a double cannot hold: whoever parses it into a number alters it. */
const recordingSize = (random: Random): string =>
  random.below(3) === 0 ? `90071992547409${93 + 2 * random.below(3)}` : String(20_000_000 + random.uint32());

const recording: Text = (random) =>
  `{${call(random)},"recording_id":${40_000 + random.below(9000)},"file_id":${organisation.file(random)},"duration":${60 + random.below(7000)},"size":${recordingSize(random)}}`;

function kind(weight: number, key: string, [entityType, entityId]: Entity, details: Text, serverSide = false): Kind {
  return { key, weight, entityType, entityId, details, serverSide };
}

/** All kinds of the vendor's list (weights per about a thousand events), and two that no list has. */
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
  kind(40, "user_chat_join", CHAT, (random) => `{"inviter_id":${organisation.person(random)}}`),
  kind(15, "user_chat_leave", CHAT, initiator),
  kind(
    2,
    "tag_added_to_chat",
    TAG,
    (random) => `{"chat_id":${organisation.chat(random)},"tag_name":${random.pick(TAGS)}}`,
  ),
  kind(1, "tag_removed_from_chat", TAG, (random) => `{"chat_id":${organisation.chat(random)}}`),
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

/** A kind, by its weight. */
export const pickKind = (random: Random): Kind => random.pick(BY_WEIGHT);
