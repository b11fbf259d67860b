import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** A certificate authority of a test, and a server's key and certificate from it, for localhost and 127.0.0.1. */
export interface Authority {
  readonly caFile: string;
  readonly key: Buffer;
  readonly cert: Buffer;
}

/** Created in `directory` by openssl for each run, so no private key is in the repository, and none expires. */
export function makeAuthority(directory: string): Authority {
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: directory, stdio: "pipe" });
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  openssl("req", "-x509", ...newKey, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority");
  const names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"];
  const signed = ["-CA", "ca.pem", "-CAkey", "ca.key"];
  openssl(
    "req",
    "-x509",
    ...newKey,
    "-keyout",
    "server.key",
    "-out",
    "server.pem",
    "-subj",
    "/CN=localhost",
    ...names,
    ...signed,
  );
  const read = (name: string) => readFileSync(join(directory, name));
  return { caFile: join(directory, "ca.pem"), key: read("server.key"), cert: read("server.pem") };
}
