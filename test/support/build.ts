import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const PAGE = "server/page";
const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/**
 * Brings `dist` up to date with `src` for the tests that run the built program. It compiles only the files that changed and
 * does not check types, which takes a second or two. After `npm run build` there is nothing to do.
 */
export default function build(): void {
  const read = ts.readConfigFile(join(ROOT, "tsconfig.build.json"), (path) => ts.sys.readFile(path));
  const { options, fileNames } = ts.parseJsonConfigFileContent(read.config, ts.sys, ROOT);
  for (const source of fileNames) {
    const target = join(ROOT, "dist", source.slice(join(ROOT, "src").length)).replace(/\.ts$/, ".js");
    if (modifiedMs(target) > modifiedMs(source)) continue;
    const { outputText, sourceMapText } = ts.transpileModule(readFileSync(source, "utf8"), {
      // A single file does not see the "type" of its package.
      compilerOptions: { ...options, module: ts.ModuleKind.ESNext },
      fileName: basename(source),
    });
    if (sourceMapText !== undefined) replace(`${target}.map`, sourceMapText);
    replace(target, outputText);
  }
  // The page's style sheet and script are read as they are.
  for (const name of readdirSync(join(ROOT, "src", PAGE)).filter((file) => !file.endsWith(".ts"))) {
    replace(join(ROOT, "dist", PAGE, name), readFileSync(join(ROOT, "src", PAGE, name), "utf8"));
  }
  chmodSync(join(ROOT, "dist/main.js"), 0o755);
}

function modifiedMs(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Atomic, because another process may be running the program. */
function replace(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}`;
  writeFileSync(temporary, text);
  renameSync(temporary, path);
}
