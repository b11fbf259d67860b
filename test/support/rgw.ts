import { execFile, type ChildProcess } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort, installed, portOpen, startServer, stopServer } from "./process.ts";

/** The endpoint and credentials of a real S3. */
export interface S3Server {
  readonly endpoint: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

const USER = { accessKeyId: "TESTACCESSKEY0000001", secretAccessKey: "testsecretkeytestsecretkeytestsecretkey1" };

export const rgwInstalled = () => installed("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "monmaptool", "ceph");

const run = (program: string, ...args: string[]) =>
  promisify(execFile)(program, args, { env: { ...process.env, LC_ALL: "C" } });

/**
 * Ceph's S3 gateway over one monitor and one object store in memory, on loopback, in its own folder. Takes about
 * 16 seconds.
 */
export async function startRgw(): Promise<{ server: S3Server; stop: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "siem-export-rgw-"));
  const [port, mon2, mon1] = [await freePort(), await freePort(), await freePort()];
  const conf = join(folder, "ceph.conf");
  const monitors = `[v2:127.0.0.1:${mon2},v1:127.0.0.1:${mon1}]`;
  const id = randomUUID();
  writeFileSync(conf, configuration(folder, id, monitors, port));
  for (const name of ["mon/a", "osd/0", "run"]) mkdirSync(join(folder, name), { recursive: true });

  const children: ChildProcess[] = [];
  const stop = async () => {
    await Promise.all(children.map((child) => stopServer(child)));
    rmSync(folder, { recursive: true, force: true });
  };
  const start = (program: string, ...args: string[]) => {
    const child = startServer(program, ["-f", "-c", conf, ...args]);
    children.push(child);
    return child;
  };
  try {
    const map = join(folder, "monmap");
    await run("monmaptool", "--create", "--addv", "a", monitors, "--fsid", id, map);
    await run("ceph-mon", "-c", conf, "--mkfs", "-i", "a", "--monmap", map);
    await portOpen(mon2, start("ceph-mon", "-i", "a"));
    const osd = randomUUID();
    await run("ceph", "-c", conf, "osd", "new", osd, "0");
    await run("ceph-osd", "-c", conf, "-i", "0", "--mkfs", "--osd-uuid", osd);
    start("ceph-osd", "-i", "0");
    await portOpen(port, start("radosgw", "-n", "client.rgw"));
    const keys = ["--access-key", USER.accessKeyId, "--secret-key", USER.secretAccessKey];
    await run(
      "radosgw-admin",
      "-c",
      conf,
      "-n",
      "client.rgw",
      "user",
      "create",
      "--uid=t",
      "--display-name=t",
      ...keys,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { server: { endpoint: `http://127.0.0.1:${port}`, ...USER }, stop };
}

function configuration(folder: string, id: string, monitors: string, port: number): string {
  return `[global]
fsid = ${id}
mon host = ${monitors}
mon initial members = a
auth cluster required = none
auth service required = none
auth client required = none
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv4 = true
ms mon client mode = crc
ms client mode = crc
ms service mode = crc
ms cluster mode = crc
ms mon service mode = crc
ms mon cluster mode = crc
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
osd pool default pg num = 1
osd pool default pgp num = 1
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 1
mon warn on pool no redundancy = false
run dir = ${folder}/run
admin socket = ${folder}/run/$name.$pid.asok
pid file = ${folder}/run/$name.pid
log file = ${folder}/run/$name.log
err to stderr = false
[mon]
mon data = ${folder}/mon/$id
[osd]
osd data = ${folder}/osd/$id
osd objectstore = memstore
memstore device bytes = 2147483648
osd memory target = 939524096
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:${port}
rgw enable static website = false
rgw thread pool size = 32
`;
}
