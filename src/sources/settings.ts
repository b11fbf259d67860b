import { z } from "zod";
import { rules } from "../config/values/rules.ts";
import type { Secret } from "../config/values/secret.ts";
import { secretKeys, secretRules } from "../config/values/secret-keys.ts";
import { address, group, positive, readableFile, text, whole } from "../config/values/values.ts";

/* The settings of a source: the common ones and its own. */

/** What a source defines about the common settings. */
export interface AccountSettings<Type extends string, Own extends z.ZodRawShape> {
  readonly type: Type;
  /** The log in one line, for tables, the schema and the manual. */
  readonly about: string;
  readonly baseUrl: {
    readonly about: string;
    /** Without a default, baseUrl is required. */
    readonly default?: string;
    readonly example: string;
    /** What to set it to, for error messages. */
    readonly hint: string;
    /** A path of the API that baseUrl must not include. */
    readonly notIn?: RegExp;
  };
  /** The description of the token: its owner, and the permissions that it needs. */
  readonly token: string;
  /** The default, at most what the vendor allows. */
  readonly requestsPerSecond: number;
  /** Settings of its own, each with a description. */
  readonly settings?: Own;
  /** How many events to request in one page. */
  readonly pageLimit: { readonly about: string; readonly default: number; readonly max: number };
}

/** The settings that all sources have. */
export type CommonSettings = Omit<z.output<z.ZodObject<ReturnType<typeof commonKeys>>>, "token" | "tokenFile"> & {
  /** From `token` or `tokenFile`. */
  readonly token: Secret;
};

/** The settings that only this source has. */
export type OwnSettings<Own extends z.ZodRawShape> = keyof Own extends never ? unknown : z.output<z.ZodObject<Own>>;

/** All settings of one source. */
export type SettingsOf<Type extends string, Own extends z.ZodRawShape> = { readonly type: Type } & CommonSettings &
  OwnSettings<Own>;

/** A source's mapping in the configuration. */
export function settingsSchema<Type extends string, Own extends z.ZodRawShape>(source: AccountSettings<Type, Own>) {
  const { pageLimit, ...common } = commonKeys(source);
  const schema = group({
    type: z.literal(source.type).describe(source.about),
    ...common,
    ...(source.settings as z.ZodRawShape),
    pageLimit,
  })
    .check(rules((keys) => secretRules(keys, "token", "required")))
    .transform(({ tokenFile, token = tokenFile, ...rest }) => ({ ...rest, token: token ?? z.NEVER }));
  // The compiler cannot infer the output of a generic shape.
  return schema as unknown as z.ZodType<SettingsOf<Type, Own>> & z.core.$ZodTypeDiscriminable;
}

function commonKeys({ baseUrl, token, requestsPerSecond, pageLimit }: AccountSettings<string, z.ZodRawShape>) {
  const url = address(baseUrl.example);
  // The type of the output is the same with and without a default.
  const orDefault =
    baseUrl.default === undefined ? (url as never as z.ZodPrefault<typeof url>) : url.prefault(baseUrl.default);
  return {
    baseUrl: orDefault.describe(baseUrl.about),
    account: text("text of at most 200 characters", /^[^\p{Cc}]{0,200}$/u)
      .default("")
      .describe("Your name for this account. It identifies the account in the ledger, so do not change it later."),
    ...secretKeys("token", `${token} Either this or tokenFile.`),
    requestsPerSecond: positive(1000)
      .default(requestsPerSecond)
      .describe(
        "The maximum number of requests per second that this worker sends to the account, across all its streams.",
      ),
    caFile: readableFile()
      .optional()
      .describe("A PEM file of certificate authorities to trust in addition to the public ones."),
    pageLimit: whole(1, pageLimit.max).default(pageLimit.default).describe(pageLimit.about),
  };
}
