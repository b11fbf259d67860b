import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** A key and its certificate, as files. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
}

/** The right and wrong certificates for a connection with mutual TLS. */
export interface Certificates {
  readonly caFile: string;
  /** For localhost and 127.0.0.1. */
  readonly server: Certificate;
  /** The same, but expired yesterday. */
  readonly expired: Certificate;
  /** For exporter.test. */
  readonly client: Certificate;
  /** An untrusted authority, and its client certificate, which is for exporter.test too. */
  readonly otherCaFile: string;
  readonly otherClient: Certificate;
}

const NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** Created in `folder` by openssl for each run, so no private key is in the repository, and none expires. */
export function makeCertificates(folder: string): Certificates {
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  const authority = (name: string): string => {
    openssl("req", "-x509", ...NEW_KEY, "-keyout", `${name}.key`, "-out", `${name}.pem`, "-subj", `/CN=${name}`);
    return join(folder, `${name}.pem`);
  };
  const certificate = (name: string, ca: string, subject: string, names: string, days: number): Certificate => {
    writeFileSync(join(folder, "names"), `basicConstraints=CA:FALSE\nsubjectAltName=${names}\n`);
    openssl("req", ...NEW_KEY, "-keyout", `${name}.key`, "-out", `${name}.csr`, "-subj", `/CN=${subject}`);
    const signed = ["-CA", `${ca}.pem`, "-CAkey", `${ca}.key`, "-CAcreateserial", "-days", `${days}`];
    openssl("x509", "-req", "-in", `${name}.csr`, "-out", `${name}.pem`, "-extfile", "names", ...signed);
    return { certFile: join(folder, `${name}.pem`), keyFile: join(folder, `${name}.key`) };
  };
  const local = "DNS:localhost,IP:127.0.0.1";
  return {
    caFile: authority("authority"),
    server: certificate("server", "authority", "localhost", local, 2),
    expired: certificate("expired", "authority", "localhost", local, -1),
    client: certificate("client", "authority", "exporter.test", "DNS:exporter.test", 2),
    otherCaFile: authority("stranger"),
    otherClient: certificate("other-client", "stranger", "exporter.test", "DNS:exporter.test", 2),
  };
}
