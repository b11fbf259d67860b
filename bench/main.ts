/* npm run bench -- [name…]: each benchmark prints a table of RESULTS.md. */
import { backfill } from "./backfill.ts";
import { compression } from "./compression.ts";
import { cpu } from "./cpu.ts";
import { memory } from "./memory.ts";
import { start } from "./start.ts";
import { machine } from "./stage.ts";
import { verify } from "./verify.ts";

const BENCHES: Readonly<Record<string, () => Promise<void>>> = { backfill, cpu, compression, memory, start, verify };

const asked = process.argv.slice(2);
const unknown = asked.find((name) => !Object.hasOwn(BENCHES, name));
if (unknown !== undefined) throw new Error(`no benchmark ${unknown}; there are: ${Object.keys(BENCHES).join(", ")}`);
console.log(machine());
for (const name of asked.length > 0 ? asked : Object.keys(BENCHES)) await BENCHES[name]?.();
