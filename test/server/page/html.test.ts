import fc from "fast-check";
import { expect, test } from "vitest";
import { html } from "../../../src/server/page/html.ts";

test("what stands between the parts of a template stays text", () => {
  expect(html`<p title="${`"><script>`}">${"<b>&'"}</p>`.html).toBe(
    '<p title="&quot;&gt;&lt;script&gt;">&lt;b&gt;&amp;&#39;</p>',
  );
});

test("no text whatever leaves its element or its attribute", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom("<", ">", '"', "'", "&", "a", "=", "/", " ", "-", "!") }), (text) => {
      expect(html`<i>${text}</i>`.html.slice(3, -4)).not.toMatch(/[<>"']/);
    }),
  );
});

test("pieces of HTML go in as they are, lists of them one after another, and nothing where there is none", () => {
  const items = ["<", "b"].map((text) => html`<li>${text}</li>`);
  expect(html`${items}${undefined}${7}`.html).toBe("<li>&lt;</li><li>b</li>7");
});

test("the layout of a template is not sent", () => {
  const shown = html`<ul>
    <li>${"two\n    lines"}</li>
  </ul>`;
  expect(shown.html).toBe("<ul>\n<li>two\n    lines</li>\n</ul>");
});
