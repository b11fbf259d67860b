import { z } from "zod";

type Schema = z.core.JSONSchema.JSONSchema;

/** Anything with a variable in it, which is checked only once it is filled in. */
const VARIABLE = { type: "string", pattern: "\\$\\{" } as const;

/** What the schema, the manual and the tests are made from. */
export function definitionOf(schema: z.ZodType): Schema {
  return z.toJSONSchema(schema, {
    io: "input",
    target: "draft-7",
    override({ jsonSchema: made }) {
      // zod drops a default that is not one of its own.
      if ("usual" in made) made.default = String(made["usual"]);
      delete made["usual"];
    },
  });
}

/**
 * The JSON Schema for editors: what is accepted goes into the description, which editors show, and a variable may stand
 * where a number, a choice or a pattern would else forbid it.
 */
export function jsonSchema(definition: Schema): Schema {
  return { ...editable(definition), title: "siem-export configuration" };
}

function editable(schema: Schema): Schema {
  const { accepted, description, default: standard, pattern, ...rest } = schema;
  const about = {
    ...(description === undefined ? {} : { description: withAccepted(description, accepted) }),
    ...(standard === undefined ? {} : { default: standard }),
  };
  const inner: Schema = { ...rest, ...(pattern === undefined ? {} : { pattern: withoutControls(pattern) }) };
  if (rest.properties !== undefined) inner.properties = mapped(rest.properties);
  // Its pattern is of no help in an editor, and a key is never a variable.
  delete inner.propertyNames;
  if (typeof rest.additionalProperties === "object") inner.additionalProperties = editable(rest.additionalProperties);
  if (rest.items !== undefined) inner.items = editable(rest.items as Schema);
  if (rest.oneOf !== undefined) inner.oneOf = rest.oneOf.map((option) => editable(option));
  if (rest.anyOf !== undefined) inner.anyOf = rest.anyOf.map((option) => editable(option));
  const narrow =
    rest.enum !== undefined || pattern !== undefined || ["number", "integer", "boolean"].includes(String(rest.type));
  return narrow && rest.const === undefined ? { ...about, anyOf: [inner, VARIABLE] } : { ...about, ...inner };
}

function mapped(properties: Readonly<Record<string, unknown>>): Record<string, Schema> {
  return Object.fromEntries(Object.entries(properties).map(([key, value]) => [key, editable(value as Schema)]));
}

function withAccepted(description: string, accepted: unknown): string {
  return typeof accepted === "string" ? `${description} Accepted: ${accepted}.` : description;
}

/** Editors do not all know Unicode properties. */
function withoutControls(pattern: string): string {
  return pattern.replaceAll("\\p{Cc}", "\\u0000-\\u001f");
}
