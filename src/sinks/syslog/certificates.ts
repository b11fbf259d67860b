import { isIP } from "node:net";
import { checkServerIdentity, createSecureContext, type ConnectionOptions } from "node:tls";
import { ConfigError } from "../../errors.ts";
import { readCertificates, readPem } from "../../config/values/certificates.ts";

export interface TlsOptions {
  /** A PEM file of the authorities to trust, instead of the system's. */
  readonly caFile?: string | undefined;
  /** PEM files of our own certificate and its key, where the receiver asks for one. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** The name to ask for, and to look for in the receiver's certificate; the host without it. */
  readonly serverName?: string | undefined;
  readonly checkServerName: boolean;
}

/**
 * Half of what Node needs for TLS to `host`. The files are read each time, so that renewed ones are used.
 * @throws ConfigError when a file cannot be read, or what is in it cannot be used
 */
export function secureOptions(
  { caFile, certFile, keyFile, serverName, checkServerName }: TlsOptions,
  host: string,
): ConnectionOptions {
  const name = serverName ?? host;
  return {
    secureContext: contextOf(
      caFile === undefined ? undefined : readCertificates(caFile, "sink.caFile"),
      certFile === undefined ? undefined : readPem(certFile, "sink.certFile"),
      keyFile === undefined ? undefined : readPem(keyFile, "sink.keyFile"),
      [certFile, keyFile].filter((file) => file !== undefined).join(" and "),
    ),
    // SNI knows no addresses (RFC 6066, section 3).
    ...(isIP(name) === 0 && { servername: name }),
    // Said although it is the default: NODE_TLS_REJECT_UNAUTHORIZED=0 in the environment changes that.
    rejectUnauthorized: true,
    checkServerIdentity: (_host, certificate) => (checkServerName ? checkServerIdentity(name, certificate) : undefined),
  };
}

function contextOf(ca: string | undefined, cert: string | undefined, key: string | undefined, files: string) {
  try {
    return createSecureContext({
      minVersion: "TLSv1.2",
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
    });
  } catch (cause) {
    throw new ConfigError(`read ${files}: ${(cause as Error).message}`, {
      hint: "sink.certFile and sink.keyFile must be PEM, belong together, and the key must have no password",
      cause,
    });
  }
}
