import { randomBytes } from "node:crypto";
import type { Dirent } from "node:fs";
import { link, mkdir, open, readFile, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { Entry, Store } from "../../store.ts";
import { HOUR_MS, epochMs } from "../../time.ts";
import { checkKey, isErrno, storeFailure } from "./errors.ts";
import { findings, proveCreate, storeSteps } from "../preflight.ts";

/** `<name>.<pid>-<random>.tmp`: what a write in progress is called, and all that a killed one can leave. */
const TEMPORARY = /\.\d+-[0-9a-f]{16}\.tmp$/;

/** No write takes this long: an older temporary file is what a killed process left. */
const TEMPORARY_MAX_AGE_MS = HOUR_MS;

/**
 * Directories remembered as synced and swept; past this all are forgotten and looked at again, so that memory is
 * bounded.
 */
const DIRECTORIES_MAX = 1000;

/** `stat` calls at once in a listing. */
const STATS_AT_ONCE = 64;

/**
 * A folder as a store. An object is a file, written and synced beside its name, then linked to it: a name is never
 * visible before its bytes, and `link` fails where `rename` would overwrite. Needs a file system with hard links.
 *
 * A process that is killed in the middle of a write leaves a `*.tmp` file, which is never listed and is removed by a later
 * write to the same directory.
 */
export function fileStore(directory: string): Store {
  const root = resolve(directory);
  const prepare = directoryKeeper(root);
  const pathOf = (key: string) => join(root, ...checkKey(root, key));

  const store: Store = {
    place: root,

    async create(key, bytes, signal) {
      const path = pathOf(key);
      return storeFailure(`create ${path}`, root, signal, async () => {
        const created = await throughTemporary(path, bytes, prepare, signal, (temporary) => linkOnce(temporary, path));
        // Also when somebody was first: their name may not be on the disk yet, and our caller will build on it.
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
      return proveCreate(store, probeKey, "use a local disk or a file system that keeps hard links", signal);
    },

    check: (probeKey, signal) => findings(storeSteps(store, probeKey, signal), signal),
  };
  return store;
}

/**
 * Writes the bytes beside `path`, lets `publish` give them their name, and leaves no temporary file whatever happens.
 */
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
    // A failure to remove it must not hide the failure that led here, nor undo a success: it is swept later.
    await rm(temporary, { force: true }).catch(() => undefined);
  }
}

async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true }).catch(async (error: unknown) => {
    // Of a read-only file system Node says this, too: asked for that one folder alone, it says why.
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
 * What is done in a directory at the first write to it, and again an hour later: its name, and those of the directories
 * above it, are put on the disk (whoever made them may have died before that), and what killed processes left is removed.
 */
function directoryKeeper(root: string): (directory: string, temporary: string) => Promise<void> {
  const keptMs = new Map<string, number>();
  return async (directory, temporary) => {
    // The age of files is told by the clock of the file system that stamped them, not by ours.
    const nowMs = (await stat(temporary)).mtimeMs;
    if (nowMs - (keptMs.get(directory) ?? -Infinity) < TEMPORARY_MAX_AGE_MS) return;
    for (let above = directory; above !== root; above = dirname(above)) await syncDirectory(dirname(above));
    await removeLeftBehind(directory, nowMs);
    if (keptMs.size >= DIRECTORIES_MAX) keptMs.clear();
    keptMs.set(directory, nowMs);
  };
}

async function removeLeftBehind(directory: string, nowMs: number): Promise<void> {
  for (const name of await readdir(directory)) {
    if (!TEMPORARY.test(name)) continue;
    const path = join(directory, name);
    const state = await orUndefined(stat(path));
    if (state !== undefined && nowMs - state.mtimeMs > TEMPORARY_MAX_AGE_MS) await rm(path, { force: true });
  }
}

/** Puts the names in a directory on the disk: without it, a crash of the machine can undo a link or a rename. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Every file whose key starts with `prefix` and sorts after `after`; enters only directories that can hold one. */
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

  // The part of the prefix up to its last slash is where to start; each folder's name ends with a slash, the root's is
  // empty.
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
      // Links to directories are not followed: they could lead round in a circle.
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
  const state = await orUndefined(stat(join(root, key)));
  return state?.isFile() === true
    ? { key, bytes: state.size, modified: epochMs(Math.floor(state.mtimeMs)) }
    : undefined;
}

/** Nothing of that name, or a file where a folder would have to be, is not a failure: there is no such object. */
async function orUndefined<Result>(work: Promise<Result>): Promise<Result | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}
