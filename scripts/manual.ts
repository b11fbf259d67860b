import type { z } from "zod";

type Schema = z.core.JSONSchema.JSONSchema;

const HEAD = `<!-- Made by \`npm run generate\` from src/config: change it there. -->

# Configuration

\`siem-export\` reads one YAML file: \`config/exporter.yaml\`, or the file that \`--config\` or \`SIEM_EXPORT_CONFIG\` names. A minimal configuration:

\`\`\`yaml
# yaml-language-server: $schema=./exporter.schema.json
streams:
  - name: pachca-acme
    source:
      type: pachca
      token: \${PACHCA_TOKEN}
    windows: { start: 2026-11-01T00:00:00Z }
    sink:
      type: s3
      bucket: acme-siem
      prefix: audit
      region: eu-central-1
\`\`\`

[config/exporter.example.yaml](../config/exporter.example.yaml) shows every key. With
[config/exporter.schema.json](../config/exporter.schema.json) an editor completes and checks keys as you type.

## How it is read

- **Strict.** An unknown key is a mistake, and so is a value that is not accepted. All mistakes are reported at once, each
  with its line, its column and what is accepted. Nothing starts until all of them are fixed (exit code 78).
- **Variables.** \`\${NAME}\` in a value is replaced by the environment variable \`NAME\`, or else by the line \`NAME=…\` of the file
  \`.env\` in the working directory. \`\${NAME:-text}\` is \`text\` if the variable is empty or not set; \`$\${\` is a literal
  \`\${\`. Variables are replaced after the file is parsed, so they can contain any text. A value that is a single variable can also
  be a number or true or false: \`port: \${PORT}\`. Within \`{ }\` and \`[ ]\`, YAML requires quotes: \`{ port: "\${PORT}" }\`.
- **Secrets.** Each secret has a second key that ends in \`File\`. It names a file that contains only the secret, as Docker and
  Kubernetes mount them. The file is read at each use, so a secret can be changed without a restart. A newline at its end is
  ignored. Messages never show a secret or the value of a variable.
- **Durations** have a unit: \`90s\`, \`5m\`, \`1h30m\`, \`365d\`. **Sizes** have one, too: \`512KiB\`, \`32MiB\`, \`1GiB\`. **Times** are UTC.
- **Relative paths** are relative to the working directory, not to the file.
- **Ids** are text: write \`"0123"\`, because YAML would read \`0123\` as the number 123.
- **Streams** have different names, and write to different places.
`;

/** docs/configuration.md: every key with its default, what is accepted, and its description. */
export function manual(definition: Schema): string {
  return [HEAD, ...sections("Top level", "", definition)].join("\n");
}

/** A section for the mapping, then those of the mappings in it. */
function sections(title: string, path: string, schema: Schema): string[] {
  const properties = Object.entries(schema.properties ?? {}) as [string, Schema][];
  const type = properties.find(([key, { const: only }]) => key === "type" && only !== undefined)?.[1];
  const about = (type ?? schema).description ?? "";
  const rows = properties.map(([key, value]) => row(key, value, schema.required?.includes(key) === true));
  const table = ["| key | default | accepted | description |", "| --- | --- | --- | --- |", ...rows, ""];
  return [
    `## ${title}\n`,
    ...(path === "" ? [] : [`${about}\n`]),
    ...table,
    ...properties.flatMap(([key, value]) => inner(path === "" ? key : `${path}.${key}`, value)),
  ];
}

function inner(path: string, schema: Schema): string[] {
  if (schema.properties !== undefined) return sections(`\`${path}\``, path, schema);
  const items = schema.items as Schema | undefined;
  if (items?.properties !== undefined)
    return sections(`\`${path}[]\``, `${path}[]`, { ...items, ...describedAs(schema) });
  return options(schema).flatMap((option) => {
    if (option.properties === undefined) return [];
    const type = (option.properties["type"] as Schema | undefined)?.const;
    // In other places, the ledger has the keys of a sink and those of type beside. Both have a section already.
    if (path.endsWith(".ledger") && type !== "beside") return [];
    return sections(type === undefined ? `\`${path}\`` : `\`${path}\`, type \`${String(type)}\``, path, {
      ...describedAs(schema),
      ...option,
    });
  });
}

const describedAs = ({ description }: Schema) => (description === undefined ? {} : { description });
const options = ({ oneOf, anyOf }: Schema) => oneOf ?? anyOf ?? [];

function row(key: string, schema: Schema, required: boolean): string {
  const cells = [`\`${key}\``, standard(schema, required), accepted(schema), schema.description ?? ""];
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
}

function standard(schema: Schema, required: boolean): string {
  if (required) return "**required**";
  const value = schema.default;
  if (value === undefined || isEmpty(value)) return "";
  return `\`${typeof value === "string" && value !== "" ? value : JSON.stringify(value)}\``;
}

const isEmpty = (value: unknown) => typeof value === "object" && value !== null && Object.keys(value).length === 0;

function accepted(schema: Schema): string {
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  const items = schema.items as Schema | undefined;
  const words = schema["accepted"];
  if (items !== undefined)
    return `${String(words)}${typeof items["accepted"] === "string" ? `, each ${items["accepted"]}` : ""}`;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(", ");
  if (typeof words === "string") return words;
  const types = options(schema).flatMap(({ properties }) => (properties?.["type"] as Schema | undefined)?.const ?? []);
  if (types.length > 0) return `a mapping of type ${types.map((type) => `\`${String(type)}\``).join(" or ")}`;
  return options(schema).some(({ const: only }) => only === false) ? "a mapping, or `false`" : "a mapping";
}
