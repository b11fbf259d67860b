/* Parsers of messages, written from the specifications only: they share no code with the formatters. */

/** RFC 5424, section 6. */
export interface SyslogMessage {
  readonly priority: number;
  readonly timestamp: string;
  readonly hostname: string;
  readonly appName: string;
  readonly processId: string;
  readonly messageId: string;
  /** The parameters of each element by its id. */
  readonly data: Readonly<Record<string, Readonly<Record<string, string>>>>;
  readonly message: string;
}

const HEADER =
  /^<(0|[1-9]\d{0,2})>1 (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)) ([!-~]{1,255}) ([!-~]{1,48}) ([!-~]{1,128}) ([!-~]{1,32}) /;
const ELEMENT = /\[([^\]= "\\]{1,32})((?: [^\]= "]{1,32}="(?:[^"\\\]]|\\.)*")*)\]/suy;
const PARAMETER = / ([^\]= "]{1,32})="((?:[^"\\\]]|\\.)*)"/gsu;

/** @throws when it does not match the grammar */
export function readSyslog(text: string): SyslogMessage {
  const header = HEADER.exec(text);
  if (header === null) throw new Error(`no header of RFC 5424: ${text.slice(0, 200)}`);
  const [all, priority, timestamp = "", hostname = "", appName = "", processId = "", messageId = ""] = header;
  const data: Record<string, Record<string, string>> = {};
  let at = all.length;
  for (;;) {
    ELEMENT.lastIndex = at;
    const element = ELEMENT.exec(text);
    if (element === null) break;
    const [whole, id = "", parameters = ""] = element;
    if (id in data) throw new Error(`the element ${id} is there twice`);
    // A backslash before any other character is a plain character.
    const pairs = [...parameters.matchAll(PARAMETER)].map(([, name = "", value = ""]) => [
      name,
      value.replaceAll(/\\(["\\\]])/g, "$1"),
    ]);
    data[id] = Object.fromEntries(pairs) as Record<string, string>;
    at += whole.length;
  }
  if (Object.keys(data).length === 0 && text[at++] !== "-")
    throw new Error(`no structured data: ${text.slice(0, 200)}`);
  if (text[at] !== " ") throw new Error(`no message after the structured data: ${text.slice(at, at + 100)}`);
  const rest = { timestamp, hostname, appName, processId, messageId };
  return { priority: Number(priority), ...rest, data, message: text.slice(at + 1) };
}

/** A CEF or LEEF line: the fields between the bars, and the values after them by key. */
export interface Fields {
  readonly header: readonly string[];
  readonly values: Readonly<Record<string, string>>;
}

/** CEF, implementation standard version 27: `CEF:0|vendor|product|version|class|name|severity|extension`. */
export function readCef(text: string): Fields {
  const match = /^CEF:0((?:\|(?:[^|\\\r\n]|\\[\\|])*){6})\|(.*)$/su.exec(text);
  if (match === null) throw new Error(`not CEF: ${text.slice(0, 200)}`);
  const [, header = "", extension = ""] = match;
  const fields = [...header.matchAll(/\|((?:[^|\\]|\\.)*)/gsu)].map(([, field = ""]) =>
    field.replaceAll(/\\(.)/gs, "$1"),
  );
  const values: Record<string, string> = {};
  // A value ends before a blank, a key and an equals sign without a backslash, or at the end of the line.
  for (const [, key = "", value = ""] of extension.matchAll(
    /([A-Za-z0-9]+)=((?:[^\\=]|\\.)*)(?= [A-Za-z0-9]+=|$)/gsu,
  )) {
    if (key in values) throw new Error(`the key ${key} is there twice`);
    values[key] = value.replaceAll(/\\([\\=nr])/g, (_, what: string) => ({ n: "\n", r: "\r" })[what] ?? what);
  }
  return { header: fields, values };
}

/** LEEF 2.0: `LEEF:2.0|vendor|product|version|event id|delimiter|attributes`; nothing is escaped. */
export function readLeef(text: string): Fields {
  const [version, vendor = "", product = "", productVersion = "", eventId = "", delimiter = "", ...rest] =
    text.split("|");
  if (version !== "LEEF:2.0" || rest.length === 0) throw new Error(`not LEEF: ${text.slice(0, 200)}`);
  const hex = /^(?:0x|x)([0-9A-Fa-f]{1,4})$/.exec(delimiter)?.[1];
  const apart = hex === undefined ? delimiter : String.fromCodePoint(Number.parseInt(hex, 16));
  const values: Record<string, string> = {};
  for (const attribute of rest.join("|").split(apart)) {
    const [key = "", ...value] = attribute.split("=");
    if (key in values) throw new Error(`the key ${key} is there twice`);
    values[key] = value.join("=");
  }
  return { header: [vendor, product, productVersion, eventId], values };
}
