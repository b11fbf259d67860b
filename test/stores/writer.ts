import type { ExporterError } from "../../src/errors.ts";
import { fileStore } from "../../src/stores/file/file.ts";

// A separate process for file.test.ts: it writes objects until it is killed or fails, and prints which are durable.
const uid = process.argv[3];
// Only after the imports: another user might not be able to load this program.
if (uid !== undefined) process.setuid?.(Number(uid));
const store = fileStore(process.argv[2] ?? "");
const never = new AbortController().signal;
const bytes = Buffer.alloc(300_000, "x");
try {
  for (let number = 0; ; number++) {
    const key = `objects/${String(number).padStart(6, "0")}.json`;
    await Promise.all([store.create(key, bytes, never), store.replace("checkpoint.json", bytes, never)]);
    process.stdout.write(`${key}\n`);
  }
} catch (error) {
  const { name, code, message, hint = "" } = error as ExporterError;
  process.stdout.write(`${name} ${code}; ${message}; ${hint}\n`);
}
