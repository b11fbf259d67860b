/**
 * An escape: replaces each character of `replacements`. What no line may hold is shown by a character of its own: a control
 * character by its picture (U+2400 and on), for receivers rewrite it (rsyslog makes `#011` of a tab) or end the message at it;
 * half a surrogate pair, which UTF-8 does not have, by U+FFFD.
 */
export function escaper(replacements: Readonly<Record<string, string>>): (text: string) => string {
  const own = Object.keys(replacements).join("").replaceAll("\\", "\\\\");
  const suspect = new RegExp(`[${own}${SUSPECT}]`);
  const special = new RegExp(`[${own}${FORBIDDEN}]`, "gu");
  const replacement = (character: string) => replacements[character] ?? picture(character);
  return (text) => (suspect.test(text) ? text.replaceAll(special, replacement) : text);
}

/** Control characters of ASCII, and halves of surrogate pairs: for an expression that knows pairs (`u`). */
const FORBIDDEN = "\\u0000-\\u001f\\u007f\\p{Surrogate}";
/** The same, and whole pairs with them, for one that does not, at a third of the price. */
const SUSPECT = "\\u0000-\\u001f\\u007f\\ud800-\\udfff";

function picture(character: string): string {
  const code = character.charCodeAt(0);
  if (code > 0x7f) return "\ufffd";
  return String.fromCharCode(code === 0x7f ? 0x2421 : 0x2400 + code);
}

const ANY_SUSPECT = new RegExp(`[${SUSPECT}]`);
const ANY_FORBIDDEN = new RegExp(`[${FORBIDDEN}]`, "u");

/** Whether a text can be read back from a line as it was. */
export function isPlain(text: string): boolean {
  return !ANY_SUSPECT.test(text) || !ANY_FORBIDDEN.test(text);
}

/** A text as JSON that every line can hold. */
export function plainJson(text: string): string {
  return safeJson(JSON.stringify(text));
}

/** The same JSON, with the one control character escaped that JSON lets stand. */
export function safeJson(json: string): string {
  return json.replaceAll("\x7f", "\\u007f");
}
