import { z } from "zod";

type Schema = z.core.JSONSchema.JSONSchema;

/** Text with a variable in it. It is checked only after the variable is filled in. */
const VARIABLE = { type: "string", pattern: "\\$\\{" } as const;

/** The definition from which the schema, the manual and the tests are made. */
export function definitionOf(schema: z.ZodType): Schema {
  return z.toJSONSchema(schema, {
    io: "input",
    target: "draft-7",
    override({ jsonSchema: made }) {
      // zod drops a default that it did not set itself.
      if ("usual" in made) made.default = String(made["usual"]);
      delete made["usual"];
    },
  });
}

/**
 * The JSON Schema for editors. Its descriptions, which editors show, include what is accepted. It also accepts a variable where
 * a number, a choice or a pattern would reject it.
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
  // Its pattern does not help in an editor, and a key is never a variable.
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

/** Not all editors support Unicode properties. */
function withoutControls(pattern: string): string {
  return pattern.replaceAll("\\p{Cc}", "\\u0000-\\u001f");
}
