import { execFile, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort, installed, portOpen, startServer, stopServer } from "./process.ts";
import type { S3Server } from "./rgw.ts";

const KINDS = ["account", "container", "object"] as const;

export const swiftInstalled = () =>
  installed("swift-proxy-server", "swift-ring-builder", "memcached", ...KINDS.map((kind) => `swift-${kind}-server`));

/**
 * OpenStack Swift with its S3 interface, which has no conditional writes: on loopback, with one device, in its own folder.
 */
export async function startSwift(): Promise<{ server: S3Server; stop: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), "siem-export-swift-"));
  const etc = join(folder, "etc");
  for (const name of ["etc", "srv/sda1", "cache"]) mkdirSync(join(folder, name), { recursive: true });
  const hash = "[swift-hash]\nswift_hash_path_suffix = test\nswift_hash_path_prefix = test\n";
  writeFileSync(join(etc, "swift.conf"), `${hash}[storage-policy:0]\nname = default\ndefault = yes\n`);
  const common = `[DEFAULT]
user = ${userInfo().username}
swift_dir = ${etc}
bind_ip = 127.0.0.1
workers = 0
`;
  const children: ChildProcess[] = [];
  const stop = async () => {
    await Promise.all(children.map((child) => stopServer(child)));
    rmSync(folder, { recursive: true, force: true });
  };
  const start = async (port: number, program: string, ...args: string[]) => {
    const child = startServer(program, args, { SWIFT_DIR: etc });
    children.push(child);
    await portOpen(port, child);
  };
  try {
    for (const kind of KINDS) {
      const port = await freePort();
      writeFileSync(join(etc, `${kind}.conf`), common + storage(folder, kind, port));
      const ring = (...args: string[]) =>
        promisify(execFile)("swift-ring-builder", [`${kind}.builder`, ...args], { cwd: etc });
      await ring("create", "4", "1", "1");
      await ring("add", `r1z1-127.0.0.1:${port}/sda1`, "1");
      await ring("rebalance");
      await start(port, `swift-${kind}-server`, join(etc, `${kind}.conf`));
    }
    const [cache, port] = [await freePort(), await freePort()];
    await start(
      cache,
      "memcached",
      "-u",
      userInfo().username,
      "-l",
      "127.0.0.1",
      "-p",
      `${cache}`,
      "-U",
      "0",
      "-m",
      "64",
    );
    writeFileSync(join(etc, "proxy.conf"), common + proxy(port, cache));
    await start(port, "swift-proxy-server", join(etc, "proxy.conf"));
    const keys = { accessKeyId: "test:tester", secretAccessKey: "testing" };
    return { server: { endpoint: `http://127.0.0.1:${port}`, ...keys }, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const storage = (folder: string, kind: string, port: number) => `bind_port = ${port}
devices = ${folder}/srv
mount_check = false
[pipeline:main]
pipeline = ${kind}-server
[app:${kind}-server]
use = egg:swift#${kind}
recon_cache_path = ${folder}/cache
fallocate_reserve = 0
`;

const proxy = (port: number, cache: number) => `bind_port = ${port}
[pipeline:main]
pipeline = catch_errors cache listing_formats s3api tempauth proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:${cache}
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
auth_pipeline_check = false
allow_multipart_uploads = false
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = testing .admin
`;
