import { readFileSync } from "node:fs";

/** This program's name and version, as manifests and requests show them. */
export const EXPORTER: { readonly name: string; readonly version: string } = readPackage();

function readPackage(): { name: string; version: string } {
  // One folder up from both src/ and dist/.
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  const { name, version } = JSON.parse(text) as { name: string; version: string };
  return { name, version };
}
