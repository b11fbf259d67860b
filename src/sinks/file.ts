import { join, resolve } from "node:path";
import { directory } from "../config/values/values.ts";
import { fileStore } from "../stores/file/file.ts";
import { fileRemover } from "../stores/file/remove.ts";
import { defineSink } from "./define.ts";

export const file = defineSink({
  type: "file",
  about: "A folder on this machine.",
  guarantee: "the same, in a folder on a local disk; every file is synced before it counts",
  keys: {
    directory: directory().describe("The folder. It is created if missing. The stream has a folder of its name in it."),
  },
  place: (settings, stream) => `file:${resolve(String(settings["directory"]), stream)}/`,
  open(settings, stream) {
    const folder = join(settings.directory, stream);
    return { store: fileStore(folder), remove: fileRemover(folder) };
  },
});
