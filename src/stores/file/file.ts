import { randomBytes } from "node:crypto";
import type { Dirent } from "node:fs";
import { link, mkdir, open, readFile, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Entry, Store } from "../../store.ts";
import { HOUR_MS, epochMs } from "../../time.ts";
import { checkKey, isErrno, storeFailure } from "./errors.ts";
import { findings, proveCreate, storeSteps } from "../preflight.ts";

/** `<name>.<pid>-<random>.tmp`: the name of a file while it is written, and all that a killed process can leave. */
const TEMPORARY = /\.\d+-[0-9a-f]{16}\.tmp$/;

/** No write takes this long: an older temporary file was left by a killed process. */
const TEMPORARY_MAX_AGE_MS = HOUR_MS;

/** How many directories are remembered as synced and cleaned. Then all are forgotten and prepared again: memory is bounded. */
const DIRECTORIES_MAX = 1000;

/** Concurrent `stat` calls in a listing. */
const STATS_AT_ONCE = 64;

/**
 * A folder as a store. An object is written to a temporary file and synced, then linked to its name: a name is never visible
 * before its bytes, and `link` fails if the name exists, while `rename` would overwrite it. Needs a file system with hard links.
 *
 * A process that is killed in the middle of a write leaves a `*.tmp` file. It is never listed, and a later write to the same
 * directory removes it.
 */
export function fileStore(directory: string): Store {
  const root = resolve(directory);
  const prepare = directoryPreparer(root);
  const pathOf = (key: string) => join(root, ...checkKey(root, key));

  const store: Store = {
    place: root,

    async create(key, bytes, signal) {
      const path = pathOf(key);
      return storeFailure(`create ${path}`, root, signal, async () => {
        const created = await throughTemporary(path, bytes, prepare, signal, (temporary) => linkOnce(temporary, path));
        // Also if another process was first: its name may not be on disk yet, and our caller will rely on it.
        await syncDirectory(dirname(path));
        return created;
      });
    },

    async replace(key, bytes, signal) {
      const path = pathOf(key);
      await storeFailure(`replace ${path}`, root, signal, async () => {
        await throughTemporary(path, bytes, prepare, signal, (temporary) => rename(temporary, path));
        await syncDirectory(dirname(path));
      });
    },

    async read(key, signal) {
      const path = pathOf(key);
      return storeFailure(`read ${path}`, root, signal, () => orUndefined(readFile(path, { signal })));
    },

    list: (prefix, after, signal) => walk(root, prefix, after, signal),

    probe(probeKey, signal) {
      return proveCreate(store, probeKey, "use a local disk, or a file system that supports hard links", signal);
    },

    check: (probeKey, signal) => findings(storeSteps(store, probeKey, signal), signal),
  };
  return store;
}

/** Writes the bytes to a temporary file beside `path`, which `publish` gives its name. Leaves no temporary file in any case. */
async function throughTemporary<Result>(
  path: string,
  bytes: Buffer,
  prepare: (directory: string, temporary: string) => Promise<void>,
  signal: AbortSignal,
  publish: (temporary: string) => Promise<Result>,
): Promise<Result> {
  signal.throwIfAborted();
  await makeDirectory(dirname(path));
  const temporary = `${path}.${process.pid}-${randomBytes(8).toString("hex")}.tmp`;
  try {
    const file = await open(temporary, "wx");
    try {
      await file.writeFile(bytes, { signal });
      await file.sync();
    } finally {
      await file.close();
    }
    await prepare(dirname(path), temporary);
    signal.throwIfAborted();
    return await publish(temporary);
  } finally {
    // A failure to remove it must neither hide the failure that led here nor undo a success. It is removed later.
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}

async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true }).catch(async (error: unknown) => {
    // Node reports this for a read-only file system, too. Without `recursive`, it reports the true reason.
    if (isErrno(error, "ENOENT") && error.path !== undefined) await mkdir(error.path);
    throw error;
  });
  for (let made = directory; first !== undefined; made = dirname(made)) {
    await syncDirectory(dirname(made));
    if (made === first) return;
  }
}

async function linkOnce(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    if (isErrno(error, "EEXIST")) return false;
    throw error;
  }
}

/**
 * Prepares a directory at the first write to it, and again every hour. It syncs the names of the directory and of those above
 * it (the process that created them may have died before it did), and removes what killed processes left.
 */
function directoryPreparer(root: string): (directory: string, temporary: string) => Promise<void> {
  const preparedMs = new Map<string, number>();
  return async (directory, temporary) => {
    // Ages are measured by the clock of the file system, which also stamped the other files, not by ours.
    const nowMs = (await stat(temporary)).mtimeMs;
    if (nowMs - (preparedMs.get(directory) ?? -Infinity) < TEMPORARY_MAX_AGE_MS) return;
    for (let above = directory; above !== root; above = dirname(above)) await syncDirectory(dirname(above));
    await removeLeftBehind(directory, nowMs);
    if (preparedMs.size >= DIRECTORIES_MAX) preparedMs.clear();
    preparedMs.set(directory, nowMs);
  };
}

async function removeLeftBehind(directory: string, nowMs: number): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!TEMPORARY.test(name)) continue;
    const path = join(directory, name);
    const stats = await orUndefined(stat(path));
    if (stats !== undefined && nowMs - stats.mtimeMs > TEMPORARY_MAX_AGE_MS) await rm(path, { force: true });
  }
}

/** Syncs the names in a directory to disk: otherwise a crash of the machine can undo a link or a rename. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Every file whose key starts with `prefix` and sorts after `after`. Reads only directories that can hold one. */
async function* walk(
  root: string,
  prefix: string,
  after: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Entry> {
  const wanted = (key: string) => key.startsWith(prefix) && (after === undefined || key > after);
  const mayHold = (folder: string) =>
    (folder.startsWith(prefix) || prefix.startsWith(folder)) &&
    (after === undefined || folder > after || after.startsWith(folder));

  // Starts in the folder that the prefix names up to its last slash. Each folder ends with a slash; the root is empty.
  const folders = [prefix.slice(0, prefix.lastIndexOf("/") + 1)];
  if (folders[0] !== "") checkKey(root, `${folders[0] ?? ""}x`);
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    signal.throwIfAborted();
    const path = join(root, folder);
    const children = await storeFailure(`list ${path}`, root, signal, () =>
      orUndefined(readdir(path, { withFileTypes: true })),
    );
    const keys: string[] = [];
    for (const child of children ?? []) {
      const key = folder + child.name;
      // Links to directories are not followed: they could form a circle.
      if (child.isDirectory() && mayHold(`${key}/`)) folders.push(`${key}/`);
      else if (isObject(child) && wanted(key)) keys.push(key);
    }
    for (let start = 0; start < keys.length; start += STATS_AT_ONCE) {
      signal.throwIfAborted();
      const chunk = keys.slice(start, start + STATS_AT_ONCE);
      const entries = await storeFailure(`list ${path}`, root, signal, () =>
        Promise.all(chunk.map((key) => entryOf(root, key))),
      );
      yield* entries.filter((entry) => entry !== undefined);
    }
  }
}

const isObject = (child: Dirent) => (child.isFile() || child.isSymbolicLink()) && !TEMPORARY.test(child.name);

async function entryOf(root: string, key: string): Promise<Entry | undefined> {
  const stats = await orUndefined(stat(join(root, key)));
  return stats?.isFile() === true
    ? { key, bytes: stats.size, modified: epochMs(Math.floor(stats.mtimeMs)) }
    : undefined;
}

/** A missing file, or a file where a folder should be, is not a failure: there is no such object. */
async function orUndefined<Result>(work: Promise<Result>): Promise<Result | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}
