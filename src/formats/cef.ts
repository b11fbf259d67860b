import { isIPv4, isIPv6 } from "node:net";
import type { Format } from "../format.ts";
import type { Meaning, Party, Vocabulary } from "../vocabulary.ts";
import type { AuditEvent } from "../source.ts";
import { stringOf } from "../json/members.ts";
import { defineFormat } from "./define.ts";
import { escaper, isPlain, plainJson, safeJson } from "./escape.ts";
import { readEvent, shortenLine, writeLine, type Dialect, type Draft, type Field, type Identity } from "./fields.ts";
import { beginning } from "./shorten.ts";

/** The length limits of keys, from the dictionary of "ArcSight Common Event Format", document version 27. */
const CLASS_CHARS = 1023;
const NAME_CHARS = 512;
const EXTERNAL_ID_CHARS = 40;
const TEXT_CHARS = 1023;
const CUSTOM_CHARS = 4000;

const inHeader = escaper({ "\\": "\\\\", "|": "\\|", "\n": " ", "\r": " " });
const EXTENSION: Dialect = {
  delimiter: " ",
  escape: escaper({ "\\": "\\\\", "=": "\\=", "\n": "\\n", "\r": "\\r" }),
};

/**
 * Events in ArcSight's Common Event Format, version 0: `CEF:0|vendor|product|version|key|name|severity|` and an extension. The
 * six custom strings are cs1 targetType, cs2 targetId, cs3 targetName, cs4 details, cs5 actorType, cs6 eventId.
 */
export const cef = defineFormat({
  name: "cef",
  about: "for ArcSight and Microsoft Sentinel",
  suffix: "cef",
  contentType: "text/plain; charset=utf-8",
  lineStart: "CEF:0",
  read: (line) => readEvent(line, identityOf),
  lines: ({ vocabulary }) => linesFor(vocabulary),
});

function linesFor(vocabulary: Vocabulary): Pick<Format, "line" | "shorten"> {
  const { vendor, name, version } = vocabulary.product;
  const start = `CEF:0|${inHeader(vendor)}|${inHeader(name)}|${inHeader(version)}`;

  function draftOf(event: AuditEvent): Draft {
    const kind = vocabulary.kind(event.key, event.record);
    const header = `${start}|${headerField(event.key, CLASS_CHARS)}|${headerField(kind.name, NAME_CHARS)}|${kind.severity}|`;
    const fields = [
      { key: "rt", value: String(event.time), isIdentity: true },
      ...identityFields(event),
      { key: "cat", value: kind.category, maxChars: TEXT_CHARS },
      { key: "outcome", value: kind.outcome },
      ...meaningFields(vocabulary.describe(event.record)),
    ];
    return { header, fields };
  }

  return {
    line: (event) => writeLine(draftOf(event), EXTENSION),
    shorten: (event, maxBytes) => shortenLine(draftOf(event), EXTENSION, maxBytes),
  };
}

function headerField(text: string, maxChars: number): string {
  return inHeader(beginning(text, maxChars, (piece) => piece.length));
}

/** Never shortened, whatever the dictionary says: a receiver may cut it, but the archive must identify the event. */
function identityFields({ id, key }: AuditEvent): Field[] {
  const isPlainKey = isPlain(key) && key.length <= CLASS_CHARS;
  return [
    idField(id),
    // The header has no escape for line breaks, and its fields have a length limit.
    ...(isPlainKey ? [] : [{ ...custom("flexString2", "eventKeyJson", plainJson(key)), isIdentity: true }]),
  ];
}

function idField(id: string): Field {
  if (!isPlain(id)) return { ...custom("cs6", "eventIdJson", plainJson(id)), isIdentity: true };
  if (id.length > EXTERNAL_ID_CHARS) return { ...custom("cs6", "eventId", id), isIdentity: true };
  return { key: "externalId", value: id, isIdentity: true };
}

function meaningFields({ actor, target, address, userAgent, details }: Meaning): Field[] {
  return [
    { key: "suid", value: actor?.id, maxChars: TEXT_CHARS },
    { key: "suser", value: actor?.name, maxChars: TEXT_CHARS },
    custom("cs5", "actorType", actor?.type),
    ...targetFields(target),
    addressField(address),
    { key: "requestClientApplication", value: userAgent, maxChars: TEXT_CHARS },
    { ...custom("cs4", "details", details && safeJson(details)), isJson: true },
  ];
}

/** CEF has its own keys for a target that is a user, and none for other targets. */
function targetFields(target: Party | undefined): Field[] {
  const type = custom("cs1", "targetType", target?.type);
  if (target?.type?.toLowerCase() === "user") {
    const id = { key: "duid", value: target.id, maxChars: TEXT_CHARS };
    return [type, id, { key: "duser", value: target.name, maxChars: TEXT_CHARS }];
  }
  return [type, custom("cs2", "targetId", target?.id), custom("cs3", "targetName", target?.name)];
}

function addressField(address: string | undefined): Field {
  if (address === undefined || isIPv4(address)) return { key: "src", value: address };
  // An address with a zone, such as fe80::1%eth0, is not a plain IPv6 address.
  if (isIPv6(address) && !address.includes("%")) return custom("c6a2", "Source IPv6 Address", address);
  return { ...custom("flexString1", "sourceAddress", address), maxChars: TEXT_CHARS };
}

function custom(key: string, label: string, value: string | undefined): Field {
  return { key, label, value, maxChars: CUSTOM_CHARS };
}

const IN_HEADER = String.raw`[^\\|]*(?:\\[^][^\\|]*)*`;
const HEADER = new RegExp(String.raw`^CEF:0\|(?:${IN_HEADER}\|){3}(${IN_HEADER})\|${IN_HEADER}\|${IN_HEADER}\|`);

/** Each `=` in a value has a backslash before it. So an `=` after a letter or digit ends a key. */
const EXTENSION_KEY = /(?:^| )([A-Za-z0-9]+)=/g;

function identityOf(line: string): Identity | undefined {
  const header = HEADER.exec(line);
  if (header === null) return undefined;
  const extension = line.slice(header[0].length);
  const values = new Map<string, string>();
  const keys = [...extension.matchAll(EXTENSION_KEY)];
  keys.forEach(({ 0: text, 1: key = "", index }, at) => {
    values.set(key, extension.slice(index + text.length, keys[at + 1]?.index));
  });
  const value = (key: string) => unescaped(values.get(key));
  const [idLabel, keyLabel] = [value("cs6Label"), value("flexString2Label")];
  const id = value(idLabel?.startsWith("eventId") === true ? "cs6" : "externalId");
  return {
    id: idLabel === "eventIdJson" ? stringOf(id ?? "") : id,
    time: value("rt"),
    key: keyLabel === "eventKeyJson" ? stringOf(value("flexString2") ?? "") : unescaped(header[1]),
  };
}

function unescaped(text: string | undefined): string | undefined {
  if (text?.includes("\\") !== true) return text;
  return text.replaceAll(/\\([\\=|nr])/g, (_, escaped: string) => ({ n: "\n", r: "\r" })[escaped] ?? escaped);
}
