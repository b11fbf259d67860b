import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { checkKey, storeFailure } from "./errors.ts";
import type { Remover } from "../../store.ts";

/** Removes files below a folder. It is separate from the store, so that the store cannot delete. */
export function fileRemover(directory: string): Remover {
  const root = resolve(directory);
  return async (key, signal) => {
    const path = join(root, ...checkKey(root, key));
    await storeFailure(`remove ${path}`, root, signal, () => rm(path, { force: true }));
  };
}
