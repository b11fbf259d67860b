import { nameOfKey, type Kind } from "../../vocabulary.ts";
import type { Meanings } from "../vocabulary.ts";

function kind(severity: number, name: string, outcome: Kind["outcome"] = "success"): Omit<Kind, "category"> {
  return { name, severity, outcome };
}

/**
 * The keys of the vendor's list of August 2026, by category. Severity: 1 reads, 2 daily work, 3 sessions and sharing, 4 and 5
 * removals and failures, 6 changes of permissions, 7 data leaks.
 */
const KINDS: Readonly<Record<string, Readonly<Record<string, Omit<Kind, "category">>>>> = {
  authentication: {
    user_login: kind(3, "User logged in"),
    user_logout: kind(2, "User logged out"),
    user_2fa_fail: kind(5, "Two-factor authentication failed", "failure"),
    user_2fa_success: kind(3, "Two-factor authentication passed"),
  },
  "account management": {
    user_created: kind(5, "User created"),
    user_deleted: kind(6, "User deleted"),
    user_role_changed: kind(6, "User role changed"),
    user_updated: kind(4, "User updated"),
  },
  "group management": {
    tag_created: kind(3, "Group tag created"),
    tag_deleted: kind(4, "Group tag deleted"),
    user_added_to_tag: kind(4, "User added to group tag"),
    user_removed_from_tag: kind(4, "User removed from group tag"),
    tag_added_to_chat: kind(4, "Group tag added to chat"),
    tag_removed_from_chat: kind(4, "Group tag removed from chat"),
  },
  "chat management": {
    chat_created: kind(2, "Chat created"),
    chat_renamed: kind(2, "Chat renamed"),
    chat_permission_changed: kind(6, "Chat permission changed"),
    user_chat_join: kind(3, "User joined chat"),
    user_chat_leave: kind(3, "User left chat"),
  },
  messaging: {
    message_created: kind(2, "Message created"),
    message_updated: kind(2, "Message updated"),
    message_deleted: kind(3, "Message deleted"),
    reaction_created: kind(1, "Reaction created"),
    reaction_deleted: kind(1, "Reaction deleted"),
    thread_created: kind(2, "Thread created"),
  },
  "access token management": {
    access_token_created: kind(6, "Access token created"),
    access_token_updated: kind(6, "Access token updated"),
    access_token_destroy: kind(6, "Access token destroyed"),
  },
  "bot management": {
    bot_scopes_updated: kind(6, "Bot scopes updated"),
    bot_webhook_settings_updated: kind(6, "Bot webhook settings updated"),
    bot_token_recreated: kind(6, "Bot token recreated"),
    bot_deleted: kind(5, "Bot deleted"),
    bot_oauth_client_updated: kind(6, "Bot OAuth client updated"),
  },
  authorization: {
    oauth_authorization_granted: kind(6, "OAuth authorization granted"),
    oauth_authorization_revoked: kind(6, "OAuth authorization revoked"),
  },
  encryption: {
    kms_encrypt: kind(2, "Encryption key used to encrypt"),
    kms_decrypt: kind(3, "Encryption key used to decrypt"),
  },
  "audit log": {
    audit_events_accessed: kind(1, "Audit log read"),
  },
  // No outcome: whether the action was blocked depends on the rule, and the event does not include it.
  "data loss prevention": {
    dlp_violation_detected: { name: "Data loss prevention rule violated", severity: 7 },
  },
  search: {
    search_users_api: kind(2, "Users searched through the API"),
    search_chats_api: kind(2, "Chats searched through the API"),
    search_messages_api: kind(3, "Messages searched through the API"),
  },
  "video calls": {
    video_call_started: kind(2, "Video call started"),
    video_call_finished: kind(2, "Video call finished"),
    video_call_recording_ready: kind(3, "Video call recording ready"),
  },
};

const BY_KEY: ReadonlyMap<string, Kind> = new Map(
  Object.entries(KINDS).flatMap(([category, kinds]) =>
    Object.entries(kinds).map(([key, each]) => [key, { ...each, category }] as const),
  ),
);

/** What Pachca's events mean. */
export const meanings: Meanings = {
  product: { vendor: "Pachca", name: "Audit", version: "1.0" },
  kind: (key) => BY_KEY.get(key) ?? { name: nameOfKey(key), category: "other", severity: 3 },
  actor: { id: "actor_id", type: "actor_type" },
  target: { id: "entity_id", type: "entity_type" },
  address: "ip_address",
  userAgent: "user_agent",
  // Half of all keys have empty details.
  oftenEmpty: ["details"],
};
