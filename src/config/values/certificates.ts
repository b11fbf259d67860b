import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { ConfigError } from "../../errors.ts";
import { flawOfReading } from "./secret.ts";

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/**
 * The text of a PEM file.
 * @param setting where the file is named, for the hint: `sink.keyFile`
 * @throws ConfigError when the file cannot be read
 */
export function readPem(file: string, setting: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (cause) {
    const hint = `${setting} must name a PEM file that this process can read`;
    throw new ConfigError(`read ${file}: ${flawOfReading(cause)}`, { hint, cause });
  }
}

/**
 * The text of a PEM file of one or more certificates. Each certificate is parsed here: TLS would silently skip a broken
 * one, and the connection would fail later with an error that does not name the file.
 * @param setting where the file is named, for the hint: `caFile`
 * @throws ConfigError when the file cannot be read, has no certificate, or has a broken one
 */
export function readCertificates(file: string, setting: string): string {
  const text = readPem(file, setting);
  const certificates = text.match(CERTIFICATE) ?? [];
  const hint = `${setting} must name a PEM file of certificates`;
  if (certificates.length === 0) throw new ConfigError(`read ${file}: it contains no certificate`, { hint });
  try {
    for (const certificate of certificates) new X509Certificate(certificate);
  } catch (cause) {
    throw new ConfigError(`read ${file}: a certificate in it is broken: ${(cause as Error).message}`, { hint, cause });
  }
  return text;
}
