import { readFileSync, writeFileSync } from "node:fs";
import { configSchema } from "../src/config/schema.ts";
import { definitionOf, jsonSchema } from "./json-schema.ts";
import { manual } from "./manual.ts";
import { withTables } from "./tables.ts";

/*
 * Writes the files that are generated from the schema of the configuration and from the lists of sinks. With `--check` it
 * only checks that they are up to date, and exits with 1 if they are not.
 */

const root = new URL("../", import.meta.url);
const definition = definitionOf(configSchema);
const files: Readonly<Record<string, string>> = {
  "config/exporter.schema.json": `${JSON.stringify(jsonSchema(definition), null, 2)}\n`,
  "docs/configuration.md": manual(definition),
  "README.md": withTables(readFileSync(new URL("README.md", root), "utf8")),
};

for (const [name, text] of Object.entries(files)) {
  const path = new URL(name, root);
  if (!process.argv.includes("--check")) {
    writeFileSync(path, text);
  } else if (read(path) !== text) {
    console.error(`${name} is out of date; run: npm run generate`);
    process.exitCode = 1;
  }
}

function read(path: URL): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
