/**
 * A function that replaces each character of `replacements`, and also the characters that no line may hold: a control character
 * becomes its picture (U+2400 and up), because receivers rewrite it (rsyslog turns a tab into `#011`) or end the message there;
 * half a surrogate pair, which UTF-8 cannot represent, becomes U+FFFD.
 */
export function escaper(replacements: Readonly<Record<string, string>>): (text: string) => string {
  const own = Object.keys(replacements).join("").replaceAll("\\", "\\\\");
  const suspect = new RegExp(`[${own}${SUSPECT}]`);
  const special = new RegExp(`[${own}${FORBIDDEN}]`, "gu");
  const replacement = (character: string) => replacements[character] ?? picture(character);
  return (text) => (suspect.test(text) ? text.replaceAll(special, replacement) : text);
}

/** Control characters of ASCII and halves of surrogate pairs, for a regular expression with the flag `u`. */
const FORBIDDEN = "\\u0000-\\u001f\\u007f\\p{Surrogate}";
/** The same without that flag, which takes a third of the time, but also matches whole pairs. */
const SUSPECT = "\\u0000-\\u001f\\u007f\\ud800-\\udfff";

function picture(character: string): string {
  const code = character.charCodeAt(0);
  if (code > 0x7f) return "\ufffd";
  return String.fromCharCode(code === 0x7f ? 0x2421 : 0x2400 + code);
}

const ANY_SUSPECT = new RegExp(`[${SUSPECT}]`);
const ANY_FORBIDDEN = new RegExp(`[${FORBIDDEN}]`, "u");

/** Whether a text can be read back from a line unchanged. */
export function isPlain(text: string): boolean {
  return !ANY_SUSPECT.test(text) || !ANY_FORBIDDEN.test(text);
}

/** A text as a JSON string that every line can hold. */
export function plainJson(text: string): string {
  return safeJson(JSON.stringify(text));
}

/** The same JSON, with DEL escaped: it is the one ASCII control character that JSON allows unescaped. */
export function safeJson(json: string): string {
  return json.replaceAll("\x7f", "\\u007f");
}
