import { ExporterError, RefusedError, TransientError } from "../../errors.ts";

/** Keys come from manifests too, and a manifest may be forged. Such a part of a key would lead out of the folder, or nowhere. */
const BAD_PART = /^(?:|\.|\.\.)$|[\\\0]|\.tmp$/;

/**
 * The parts of `key`, to join to the folder's path.
 * @throws RefusedError if the key does not name a file below the folder
 */
export function checkKey(root: string, key: string): readonly string[] {
  const parts = key.split("/");
  if (parts.some((part) => BAD_PART.test(part))) {
    throw new RefusedError("bad_request", `find ${JSON.stringify(key)} in ${root}: not a key of this folder`);
  }
  return parts;
}

export function isErrno(error: unknown, ...codes: readonly string[]): error is NodeJS.ErrnoException {
  return error instanceof Error && codes.includes((error as NodeJS.ErrnoException).code ?? "");
}

/** Does `work`, and turns errors of the file system into ours. After an abort it throws the signal's reason. */
export async function storeFailure<Result>(
  what: string,
  root: string,
  signal: AbortSignal,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof ExporterError || !(cause instanceof Error)) throw cause;
    const { code, syscall } = cause as NodeJS.ErrnoException;
    if (code === undefined || syscall === undefined) throw cause;
    throw failureOf(`${what}: ${code}`, code, syscall, root, cause);
  }
}

function failureOf(message: string, code: string, syscall: string, root: string, cause: Error): ExporterError {
  // First, because a file system without hard links answers EPERM, which is not about permissions then.
  if (syscall === "link" && ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK", "EXDEV"].includes(code)) {
    const hint = `the file system of ${root} has no hard links, which are needed to create an object only once: use another`;
    return new RefusedError("bad_request", message, { hint, cause });
  }
  if (syscall === "fsync" && ["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(code)) {
    const hint = `the file system of ${root} cannot sync a file or directory to disk: use another`;
    return new RefusedError("bad_request", message, { hint, cause });
  }
  switch (code) {
    case "EACCES":
    case "EPERM":
      return new RefusedError("forbidden", message, { hint: permissionHint(root), cause });
    case "EROFS":
      return new RefusedError("forbidden", message, {
        hint: `${root} is mounted read-only: mount it read-write`,
        cause,
      });
    case "ENOTDIR":
    case "EISDIR":
    case "EEXIST":
    case "ELOOP":
      return new RefusedError("bad_request", message, {
        hint: "there is a file instead of a folder, or a folder instead of a file: move it away",
        cause,
      });
    case "ENAMETOOLONG":
    case "EINVAL":
      return new RefusedError("bad_request", message, {
        hint: "use a shorter path for the directory, without special characters",
        cause,
      });
    case "ENOSPC":
    case "EDQUOT":
      return new TransientError("unavailable", message, {
        hint: `the disk of ${root} is full (space, inodes or quota): free some; nothing is lost, and the export then continues`,
        cause,
      });
    case "EMFILE":
    case "ENFILE":
      return new TransientError("unavailable", message, { hint: "raise the limit on open files (ulimit -n)", cause });
    default:
      return new TransientError("unavailable", message, { hint: `check the disk of ${root}`, cause });
  }
}

function permissionHint(root: string): string {
  const [uid, gid] = [process.getuid?.() ?? "?", process.getgid?.() ?? "?"];
  return `this process runs as uid ${uid}, gid ${gid}: chown ${uid}:${gid} ${root}, or mount it read-write for that user`;
}
