import fc from "fast-check";
import { expect, test } from "vitest";
import { html } from "../../../src/server/page/html.ts";

test("values in a template stay text", () => {
  expect(html`<p title="${`"><script>`}">${"<b>&'"}</p>`.html).toBe(
    '<p title="&quot;&gt;&lt;script&gt;">&lt;b&gt;&amp;&#39;</p>',
  );
});

test("no text can leave its element or its attribute", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("<", ">", '"', "'", "&", "a", "=", "/", " ", "-", "!") }), (text) => {
      expect(html`<i>${text}</i>`.html.slice(3, -4)).not.toMatch(/[<>"']/);
    }),
  );
});

test("pieces of HTML and lists of them are inserted unchanged, and undefined inserts nothing", () => {
  const items = ["<", "b"].map((text) => html`<li>${text}</li>`);
  expect(html`${items}${undefined}${7}`.html).toBe("<li>&lt;</li><li>b</li>7");
});

test("the indentation of a template is not sent", () => {
  const shown = html`<ul>
    <li>${"two\n    lines"}</li>
  </ul>`;
  expect(shown.html).toBe("<ul>\n<li>two\n    lines</li>\n</ul>");
});
