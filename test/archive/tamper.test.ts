import { gunzipSync, gzipSync } from "node:zlib";
import { beforeAll, describe, expect, test } from "vitest";
import { tick } from "../../src/export/tick.ts";
import { idSet } from "../../src/ledger/ids.ts";
import { sha256Of } from "../../src/ledger/manifest.ts";
import { readPublicKey, readSigner, type PublicKey, type Signer } from "../../src/ledger/signature.ts";
import { MINUTE_MS } from "../../src/time.ts";
import { signingKeys } from "../support/keys.ts";
import {
  archiveIn,
  headSha256,
  manifestAt,
  minutes,
  putManifest,
  rebuildFrom,
  replaceObject,
  shownAt,
  verified,
  type Files,
  type Shown,
} from "../support/verified.ts";
import { event, eventsOver, never, world } from "../support/world.ts";

const HISTORY = eventsOver(minutes(0), minutes(30), 60);
const POISON = [{ reason: "not an object", record: Buffer.from("{}"), time: minutes(3) }];

let signer: Signer;
let key: PublicKey;
let plain: Files;
let signed: Files;

/** Six windows of ten events each, in two objects, and an item in quarantine in the first. */
async function archive(by?: Signer): Promise<Files> {
  const { pipeline, files } = world(HISTORY, { signer: by, source: { poison: POISON } });
  for (const clock of [7, 12, 17, 22, 27, 32]) await tick(pipeline, minutes(clock), never);
  return files;
}

beforeAll(async () => {
  const keys = signingKeys();
  signer = readSigner(keys.privatePath);
  key = readPublicKey(keys.publicPath);
  plain = await archive();
  signed = await archive(signer);
});

/** One of the window's objects, with its key. */
const objectOf = (files: Files, seq: number, part = 0) => shownAt(files, seq).objects[part]!;
const change = (files: Files, name: string, by: (bytes: Buffer) => Buffer) => files.set(name, by(files.get(name)!));
const flipped = (bytes: Buffer, at: number): Buffer => {
  const copy = Buffer.from(bytes);
  copy[at] = copy[at]! ^ 1;
  return copy;
};
const swap = (files: Files, one: string, other: string) => {
  const bytes = files.get(one)!;
  files.set(one, files.get(other)!);
  files.set(other, bytes);
};
/** What anybody can do who can write there: nothing remains of the windows from `seq` on. */
const cutTail = (files: Files, seq: number) => {
  for (const name of [...files.keys()]) {
    const own = Number(/(\d{12})[-.][^/]*$/.exec(name)?.[1] ?? 0);
    if (own >= seq) files.delete(name);
  }
  const checkpoint = { schema: 1, stream: "test", exportedUntil: shownAt(files, seq - 1).window.to };
  const place = { sequence: seq - 1, manifestSha256: headSha256(files, seq - 1) };
  files.set("ledger/checkpoint.json", Buffer.from(JSON.stringify({ ...checkpoint, ...place })));
};

test("an intact archive has nothing wrong, signed or not", async () => {
  expect(await verified(archiveIn(plain))).toMatchObject({
    ...{ errors: [], notices: [] },
    summary: { authenticity: "not authenticated", windows: 6, events: 60, quarantined: 1, isContiguous: true },
  });
  expect(await verified(archiveIn(signed), { keys: [key] })).toMatchObject({
    ...{ errors: [], notices: [] },
    summary: { authenticity: "authenticated" },
  });
});

interface Tampering {
  readonly name: string;
  /** Does it, and says what must be found: `CODE key`, each. */
  readonly do: (files: Files) => readonly string[];
  /** Findings that may be there besides. */
  readonly besides?: RegExp;
}

const withObjects: readonly Tampering[] = [
  {
    name: "one bit of an object",
    do: (files) => {
      const { key: name } = objectOf(files, 2);
      change(files, name, (bytes) => flipped(bytes, 40));
      return [`OBJECT_ALTERED ${name}`];
    },
  },
  {
    name: "two objects swapped",
    do: (files) => {
      const names = [objectOf(files, 2).key, objectOf(files, 4).key];
      swap(files, names[0]!, names[1]!);
      return names.map((name) => `OBJECT_ALTERED ${name}`);
    },
  },
  {
    name: "an object's lines in another order",
    do: (files) => {
      const { key: name } = objectOf(files, 3);
      change(files, name, (bytes) =>
        gzipSync(`${gunzipSync(bytes).toString().trim().split("\n").reverse().join("\n")}\n`),
      );
      return [`OBJECT_ALTERED ${name}`];
    },
  },
  {
    name: "an object compressed again, its lines the same",
    do: (files) => {
      const { key: name } = objectOf(files, 3);
      change(files, name, (bytes) => gzipSync(gunzipSync(bytes), { level: 1 }));
      return [`OBJECT_ALTERED ${name}`];
    },
  },
  {
    name: "an object cut short",
    do: (files) => {
      const { key: name } = objectOf(files, 3);
      change(files, name, (bytes) => bytes.subarray(0, -9));
      return [`OBJECT_ALTERED ${name}`];
    },
  },
  {
    name: "a gzip member appended",
    do: (files) => {
      const { key: name } = objectOf(files, 5);
      change(files, name, (bytes) => Buffer.concat([bytes, gzipSync("{}\n")]));
      return [`OBJECT_TRAILING_BYTES ${name}`];
    },
  },
  {
    name: "bytes that are no gzip appended",
    do: (files) => {
      const { key: name } = objectOf(files, 5);
      change(files, name, (bytes) => Buffer.concat([bytes, Buffer.from("x")]));
      return [`OBJECT_TRAILING_BYTES ${name}`];
    },
  },
  {
    name: "a gzip member appended, and the manifests made to say so",
    do: (files) => {
      const { key: name } = objectOf(files, 5);
      change(files, name, (bytes) => Buffer.concat([bytes, gzipSync("")]));
      const stored = files.get(name)!;
      rebuildFrom(files, 5, ({ objects }) =>
        Object.assign(objects[0]!, { bytes: stored.length, sha256: sha256Of(stored) }),
      );
      return [`OBJECT_TRAILING_BYTES ${name}`];
    },
  },
  {
    name: "an object deleted",
    do: (files) => {
      const { key: name } = objectOf(files, 6, 1);
      files.delete(name);
      return [`OBJECT_MISSING ${name}`];
    },
  },
  {
    name: "an object moved to another folder, and the manifests made to say so",
    do: (files) => {
      const { key: name } = objectOf(files, 3);
      const moved = name.replace("hour=00", "hour=07");
      files.set(moved, files.get(name)!);
      files.delete(name);
      rebuildFrom(files, 3, ({ objects }) => (objects[0]!.key = moved));
      return [`OBJECT_MISSING ${moved}`];
    },
  },
  {
    name: "an object under the name of other lines, and the manifests made to say so",
    do: (files) => {
      const { key: name } = objectOf(files, 3);
      const renamed = name.replace(/_[0-9a-f]{8}\./, "_01234567.");
      files.set(renamed, files.get(name)!);
      files.delete(name);
      rebuildFrom(files, 3, ({ objects }) => (objects[0]!.key = renamed));
      return [`OBJECT_ALTERED ${renamed}`];
    },
  },
  {
    name: "a manifest that names a file outside of the archive",
    do: (files) => {
      rebuildFrom(files, 3, ({ objects }) => (objects[0]!.key = "../../etc/passwd"));
      return [`OBJECT_MISSING ../../etc/passwd`];
    },
    besides: /^UNREFERENCED_OBJECT data/,
  },
  {
    name: "an object of another's name put in",
    do: (files) => {
      files.set("data/dt=2026-11-01/hour=00/more.ndjson.gz", gzipSync("{}\n"));
      return ["UNREFERENCED_OBJECT data/dt=2026-11-01/hour=00/more.ndjson.gz"];
    },
  },
  {
    name: "an object put in with an event changed, named as a worker would name it",
    do: (files) => {
      const { key: name } = objectOf(files, 2);
      const doctored = gunzipSync(files.get(name)!).toString().replace("user_login", "user_nothing");
      const put = name.replace(/-0000_(.*)_[0-9a-f]{8}/, `-0002_$1_${sha256Of(doctored).slice(0, 8)}`);
      files.set(put, gzipSync(doctored));
      return [`UNREFERENCED_OBJECT ${put}`];
    },
  },
  {
    name: "an event of the very instant at which the window ends, and the manifests made to say so",
    do: (files) => {
      let name = "";
      rebuildFrom(files, 3, ({ objects }) => {
        replaceObject(files, objects[0]!, [event("x", minutes(15))]);
        Object.assign(objects[0]!, { first: "2026-11-01T00:15:00Z", last: "2026-11-01T00:15:00Z" });
        name = objects[0]!.key;
      });
      return [`OBJECT_TIMES ${name}`];
    },
    besides: /^(?:IDS_ALTERED|COUNT_WRONG)/,
  },
  {
    name: "a manifest that says other times than its object has",
    do: (files) => {
      rebuildFrom(files, 3, ({ objects }) => (objects[0]!["first"] = "2026-11-01T00:10:01Z"));
      return [`OBJECT_TIMES ${objectOf(files, 3).key}`];
    },
  },
  {
    name: "an object that holds a line which is no event, and the manifests made to say so",
    do: (files) => {
      let name = "";
      rebuildFrom(files, 3, ({ objects }) => {
        replaceObject(files, objects[0]!, [{ ...event("x", minutes(11)), record: Buffer.from("[]") }]);
        name = objects[0]!.key;
      });
      return [`OBJECT_ALTERED ${name}`];
    },
    besides: /^COUNT_WRONG/,
  },
  {
    name: "an event of an earlier window in a later one again, and the manifests made to say so",
    do: (files) => {
      let name = "";
      rebuildFrom(files, 3, (shown) => {
        const events = [HISTORY[1]!, HISTORY[20]!];
        replaceObject(files, shown.objects[0]!, events);
        shown["since"] = "2026-11-01T00:00:00Z";
        name = shown.objects[0]!.key;
      });
      return [`DUPLICATE_EVENT ${name}`];
    },
    besides: /^(?:IDS_ALTERED|COUNT_WRONG|OBJECT_TIMES)/,
  },
];

const withLedger: readonly Tampering[] = [
  {
    name: "a manifest deleted, its objects left",
    do: (files) => {
      files.delete(manifestAt(3));
      const { key: name } = objectOf(plain, 3);
      return ["WINDOW_MISSING manifests/000000000003.json", `UNREFERENCED_OBJECT ${name}`];
    },
    besides: /^UNREFERENCED_OBJECT (?:data|ids)\/.*000000000003-/,
  },
  {
    name: "a whole window deleted",
    do: (files) => {
      for (const name of [...files.keys()]) if (name.includes("000000000003")) files.delete(name);
      return ["WINDOW_MISSING manifests/000000000003.json"];
    },
  },
  {
    name: "the first windows deleted",
    do: (files) => {
      for (const name of [...files.keys()]) if (/00000000000[12]/.test(name)) files.delete(name);
      return ["HEAD_MISSING manifests/000000000001.json"];
    },
  },
  {
    name: "the first manifest made to have one before it",
    do: (files) => {
      rebuildFrom(files, 1, (shown) => (shown.prev = { seq: 1, sha256: "0".repeat(64) }));
      return ["HEAD_MISSING manifests/000000000001.json"];
    },
  },
  {
    name: "two manifests swapped",
    do: (files) => {
      swap(files, manifestAt(3), manifestAt(4));
      return ["MANIFEST_MOVED manifests/000000000003.json", "MANIFEST_MOVED manifests/000000000004.json"];
    },
    besides: /^UNREFERENCED_OBJECT/,
  },
  {
    name: "a manifest of another stream",
    do: (files) => {
      putManifest(files, 3, { ...shownAt(files, 3), stream: "other" });
      return ["MANIFEST_MOVED manifests/000000000003.json"];
    },
    besides: /^UNREFERENCED_OBJECT/,
  },
  {
    name: "a manifest cut",
    do: (files) => {
      change(files, manifestAt(3), (bytes) => bytes.subarray(0, 200));
      return ["MANIFEST_UNREADABLE manifests/000000000003.json"];
    },
    besides: /^UNREFERENCED_OBJECT/,
  },
  {
    name: "a manifest edited",
    do: (files) => {
      putManifest(files, 3, { ...shownAt(files, 3), exporter: { name: "other", version: "1" } });
      return ["CHAIN_BROKEN manifests/000000000003.json"];
    },
  },
  {
    name: "the newest manifest edited",
    do: (files) => {
      putManifest(files, 6, { ...shownAt(files, 6), exporter: { name: "other", version: "1" } });
      return ["CHAIN_BROKEN manifests/000000000006.json"];
    },
  },
  {
    name: "a manifest made to follow another sequence",
    do: (files) => {
      rebuildFrom(files, 3, (shown) => (shown.prev = { ...shown.prev!, seq: 1 }));
      return ["CHAIN_BROKEN manifests/000000000003.json"];
    },
  },
  {
    name: "a window that begins later than the one before it ends",
    do: (files) => {
      rebuildFrom(files, 3, narrowed("2026-11-01T00:12:00Z", "2026-11-01T00:15:00Z"));
      return ["TIME_GAP manifests/000000000003.json"];
    },
    besides: /^(?:OBJECT_|UNREFERENCED_OBJECT|COUNT_WRONG)/,
  },
  {
    name: "a window that begins before the one before it ends",
    do: (files) => {
      rebuildFrom(files, 3, narrowed("2026-11-01T00:09:00Z", "2026-11-01T00:15:00Z"));
      return ["TIME_OVERLAP manifests/000000000003.json"];
    },
    besides: /^(?:OBJECT_MISSING|UNREFERENCED_OBJECT)/,
  },
  {
    name: "a manifest that counts more events than its objects have lines",
    do: (files) => {
      rebuildFrom(files, 3, (shown) => shown.events++);
      return ["COUNT_WRONG manifests/000000000003.json"];
    },
  },
  {
    name: "a manifest that counts more lines than its object has",
    do: (files) => {
      rebuildFrom(files, 3, (shown) => {
        shown.events++;
        shown.objects[0]!["lines"] = 8;
      });
      return [`COUNT_WRONG ${objectOf(plain, 3).key}`];
    },
  },
  {
    name: "a manifest that calls events late which are not",
    do: (files) => {
      rebuildFrom(files, 3, (shown) => (shown["late"] = 2));
      return ["COUNT_WRONG manifests/000000000003.json"];
    },
  },
  {
    name: "an ids file deleted",
    do: (files) => {
      files.delete(`ledger/${shownAt(files, 3).ids!.key}`);
      return [`IDS_MISSING ${shownAt(files, 3).ids!.key}`];
    },
  },
  {
    name: "an ids file no longer named",
    do: (files) => {
      const { ids } = shownAt(files, 3);
      files.delete(`ledger/${ids!.key}`);
      rebuildFrom(files, 3, (shown) => (shown.ids = null));
      return ["IDS_MISSING manifests/000000000003.json"];
    },
  },
  {
    name: "an ids file edited",
    do: (files) => {
      const { ids } = shownAt(files, 3);
      change(files, `ledger/${ids!.key}`, (bytes) => flipped(bytes, 5));
      return [`IDS_ALTERED ${ids!.key}`];
    },
  },
  {
    name: "an ids file without one of the events, and the manifests made to say so",
    do: (files) => {
      const { ids } = shownAt(files, 3);
      const fewer = files.get(`ledger/${ids!.key}`)!.subarray(16);
      const put = `ids/000000000003-${sha256Of(fewer).slice(0, 8)}.bin`;
      files.delete(`ledger/${ids!.key}`);
      files.set(`ledger/${put}`, fewer);
      rebuildFrom(files, 3, (shown) => (shown.ids = { key: put, sha256: sha256Of(fewer) }));
      return [`IDS_ALTERED ${put}`];
    },
  },
  {
    name: "an ids file put in",
    do: (files) => {
      const more = idSet();
      more.add("an event that never was");
      const put = `ids/000000000003-${sha256Of(more.sorted()).slice(0, 8)}.bin`;
      files.set(`ledger/${put}`, more.sorted());
      return [`UNREFERENCED_OBJECT ${put}`];
    },
  },
  {
    name: "an object in quarantine deleted",
    do: (files) => {
      const name = quarantineOf(files);
      files.delete(name);
      return [`QUARANTINE_MISSING ${name}`];
    },
  },
  {
    name: "an object in quarantine edited",
    do: (files) => {
      const name = quarantineOf(files);
      change(files, name, (bytes) => gzipSync(gunzipSync(bytes).toString().replace("not an object", "no object")));
      return [`QUARANTINE_ALTERED ${name}`];
    },
  },
  {
    name: "a file put among the manifests",
    do: (files) => {
      files.set("ledger/manifests/readme.txt", Buffer.from("x"));
      return ["UNREFERENCED_OBJECT manifests/readme.txt"];
    },
  },
];

function quarantineOf(files: Files): string {
  return (shownAt(files, 1)["quarantine"] as { key: string }[])[0]!.key;
}

function narrowed(from: string, to: string) {
  return (shown: Shown) => {
    shown.window = { from, to };
  };
}

describe.each([...withObjects, ...withLedger])("found: $name", ({ do: tamper, besides }) => {
  test("by its code and key, and nothing else is reported", async () => {
    const files = new Map(plain);
    const expected = tamper(files);
    const { errors } = await verified(archiveIn(files));
    expect(errors).toEqual(expect.arrayContaining([...expected]));
    const others = errors.filter((error) => !expected.includes(error));
    expect(others.filter((error) => besides?.test(error) !== true)).toEqual([]);
  });
});

test("the finding about an object that was compressed again says that its lines are the same", async () => {
  const files = new Map(plain);
  const { key: name } = objectOf(files, 3);
  change(files, name, (bytes) => gzipSync(gunzipSync(bytes), { level: 1 }));
  const { findings } = await verified(archiveIn(files));
  expect(findings[0]!.message).toContain("the lines are the same, compressed again");
});

describe("a deleted tail", () => {
  test("is not found without an expected head or a maximum age, and the summary says so", async () => {
    const files = new Map(plain);
    cutTail(files, 5);
    expect(await verified(archiveIn(files))).toMatchObject({ errors: [], summary: { tail: "not proven" } });
  });

  test("is found by an expected head", async () => {
    const files = new Map(plain);
    cutTail(files, 5);
    const anchor = { seq: 6, sha256: headSha256(plain, 6) };
    expect((await verified(archiveIn(files), { anchor })).errors).toEqual(["TAIL_MISSING manifests/000000000006.json"]);
    expect((await verified(archiveIn(plain), { anchor })).summary).toMatchObject({
      tail: "proven by anchor",
      anchored: 6,
    });
  });

  test("is found by its age", async () => {
    const files = new Map(plain);
    cutTail(files, 5);
    const fresh = { now: minutes(33), maxAgeMs: 10 * MINUTE_MS };
    expect((await verified(archiveIn(files), fresh)).errors).toEqual(["STALE_TAIL manifests/000000000004.json"]);
    expect((await verified(archiveIn(plain), fresh)).summary.tail).toBe("fresh");
  });

  test("is found by the remaining checkpoint", async () => {
    const files = new Map(plain);
    cutTail(files, 5);
    files.set("ledger/checkpoint.json", plain.get("ledger/checkpoint.json")!);
    expect((await verified(archiveIn(files))).errors).toEqual(["TAIL_MISSING checkpoint.json"]);
  });

  test.each(["data/", "ledger/ids/", "ledger/plans/"])("is found by the remaining files in %s", async (folder) => {
    const files = new Map(plain);
    cutTail(files, 5);
    for (const [name, bytes] of plain) if (name.startsWith(folder)) files.set(name, bytes);
    const { errors } = await verified(archiveIn(files));
    expect(errors).toHaveLength(1);
    expect(errors[0]).toMatch(/^TAIL_MISSING (?:data|ids|plans)\/.*000000000006/);
  });
});

describe("a chain that was replaced as a whole", () => {
  const forge = (files: Files) => rebuildFrom(files, 2, (shown) => (shown["exporter"] = { name: "x", version: "1" }));

  test("is not found without a key and an expected head, and the summary says that nothing is authenticated", async () => {
    const files = new Map(plain);
    forge(files);
    expect(await verified(archiveIn(files))).toMatchObject({
      errors: [],
      summary: { authenticity: "not authenticated" },
    });
  });

  test("is found by an expected head", async () => {
    const files = new Map(plain);
    forge(files);
    const anchor = { seq: 6, sha256: headSha256(plain, 6) };
    const { errors, summary } = await verified(archiveIn(files), { anchor });
    expect(errors).toEqual(["CHAIN_BROKEN manifests/000000000006.json"]);
    expect(summary.tail).toBe("not proven");
  });

  test("is found by a key, although every signature was removed", async () => {
    const files = new Map(signed);
    rebuildFrom(files, 1, () => undefined);
    const { errors, summary } = await verified(archiveIn(files), { keys: [key] });
    expect(errors).toEqual(["SIG_MISSING manifests/000000000006.json"]);
    expect(summary.authenticity).toBe("refuted");
  });
});

describe("signatures", () => {
  test("an edited manifest has an invalid one", async () => {
    const files = new Map(signed);
    change(files, manifestAt(3), (bytes) =>
      Buffer.from(bytes.toString().replace('"version":"0.0.0"', '"version":"0.0.1"')),
    );
    const { errors } = await verified(archiveIn(files), { keys: [key] });
    expect(errors).toContain("SIG_BAD manifests/000000000003.json");
  });

  test("a removed one is found, with a key or without", async () => {
    const files = new Map(signed);
    change(files, manifestAt(3), (bytes) => Buffer.from(`${bytes.toString().split("\n")[0]!}\n{"alg":"none"}\n`));
    expect((await verified(archiveIn(files), { keys: [key] })).errors).toEqual(["SIG_BAD manifests/000000000003.json"]);
    expect((await verified(archiveIn(files))).errors).toEqual(["SIG_BAD manifests/000000000003.json"]);
  });

  test("an unsigned manifest after a signed one is found", async () => {
    const files = new Map(signed);
    rebuildFrom(files, 5, () => undefined);
    const unsigned = [5, 6].map((seq) => `SIG_MISSING manifests/00000000000${seq}.json`);
    expect((await verified(archiveIn(files), { keys: [key] })).errors).toEqual(unsigned);
  });

  test("one by a key that was not given, or not for this sequence, is unknown", async () => {
    const other = readPublicKey(signingKeys().publicPath);
    const { errors } = await verified(archiveIn(signed), { keys: [other] });
    expect(errors[0]).toBe("SIG_UNKNOWN_KEY manifests/000000000001.json");
    const late = await verified(archiveIn(signed), { keys: [{ ...key, fromSeq: 3 }] });
    expect(late.errors).toEqual([1, 2].map((seq) => `SIG_UNKNOWN_KEY manifests/00000000000${seq}.json`));
  });

  test("manifests before the first signed one are accepted, unless the key's range says that they are signed", async () => {
    const { pipeline, files } = world(HISTORY);
    await tick(pipeline, minutes(12), never);
    await tick(world(HISTORY, { files, signer }).pipeline, minutes(22), never);
    expect((await verified(archiveIn(files), { keys: [key] })).errors).toEqual([]);
    const { errors } = await verified(archiveIn(files), { keys: [{ ...key, fromSeq: 2 }] });
    expect(errors).toEqual(["SIG_MISSING manifests/000000000002.json"]);
  });
});
