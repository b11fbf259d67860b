import { readFileSync, writeFileSync } from "node:fs";
import { configSchema } from "../src/config/schema.ts";
import { definitionOf, jsonSchema } from "./json-schema.ts";
import { manual } from "./manual.ts";

/*
 * Writes what is made from the configuration's definition; with `--check`, only looks whether it is up to date, and exits
 * with 1 when it is not.
 */

const root = new URL("../", import.meta.url);
const definition = definitionOf(configSchema);
const files: Readonly<Record<string, string>> = {
  "config/exporter.schema.json": `${JSON.stringify(jsonSchema(definition), null, 2)}\n`,
  "docs/configuration.md": manual(definition),
};

for (const [name, text] of Object.entries(files)) {
  const path = new URL(name, root);
  if (!process.argv.includes("--check")) {
    writeFileSync(path, text);
  } else if (read(path) !== text) {
    console.error(`${name} is not what the configuration's definition says; run: npm run generate`);
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
