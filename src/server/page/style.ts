/** The page's style, as the browser gets it: system fonts, one accent colour, light or dark as the reader has it. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --paper: #f6f7f8; --card: #fff; --ink: #1b2026; --quiet: #57616d; --line: #e1e5ea; --track: #e7eaee;
  --accent: #2b5fc4; --mark: #4f7fd6; --mark-soft: #a9c2ef;
  --ok: #17734a; --warn: #8f5200; --bad: #b42318;
  --ok-soft: #e5f3ec; --warn-soft: #fbf0dd; --bad-soft: #fdeceb; --plain-soft: #eceff2;
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #0f1216; --card: #161a20; --ink: #e4e8ed; --quiet: #9ba6b3; --line: #272d36; --track: #262c35;
    --accent: #7ca4f5; --mark: #5b87dc; --mark-soft: #39507d;
    --ok: #63c795; --warn: #e3b05b; --bad: #ff8a80;
    --ok-soft: #14291f; --warn-soft: #2e2413; --bad-soft: #351a1a; --plain-soft: #222831;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  font-variant-numeric: tabular-nums;
}
a { color: inherit; text-decoration: underline; text-decoration-color: var(--accent); text-underline-offset: 3px; }
a:hover { color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; border-radius: 4px; }
h1, h2, h3, p, dl, dd, figure, ul, ol { margin: 0; padding: 0; }
h1 { font-size: 26px; line-height: 1.25; font-weight: 650; letter-spacing: -0.015em; text-wrap: balance; }
h2 { font-size: 18px; line-height: 1.3; font-weight: 650; letter-spacing: -0.01em; overflow-wrap: anywhere; }
h3 { font-size: 13px; font-weight: 600; color: var(--quiet); }
code, .mono { font-family: var(--mono); font-size: 0.9em; overflow-wrap: anywhere; }
svg { display: block; }
.wide { max-width: 1080px; margin: 0 auto; padding: 0 24px; }
.quiet { color: var(--quiet); }
.small { font-size: 13px; }
.unseen {
  position: absolute; width: 1px; height: 1px; margin: -1px; padding: 0; border: 0; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap;
}
.skip:not(:focus) { position: absolute; left: -9999px; }
.skip:focus { position: fixed; top: 8px; left: 8px; z-index: 2; padding: 6px 12px; background: var(--card); }
#offline {
  position: sticky; top: 0; z-index: 1; padding: 8px 24px; background: var(--bad-soft); color: var(--bad);
  border-bottom: 1px solid var(--bad); text-align: center; font-weight: 600;
}
#offline[hidden] { display: none; }
.stale #page { filter: grayscale(1); }

header.wide { padding-top: 26px; padding-bottom: 26px; }
.brand { display: flex; flex-wrap: wrap; gap: 2px 16px; justify-content: space-between; margin-bottom: 20px; }
.brand strong { font-weight: 650; }
.verdict { display: grid; grid-template-columns: auto 1fr; gap: 4px 14px; align-items: center; }
.verdict p { grid-column: 2; color: var(--quiet); max-width: 72ch; }
.verdict .glyph { width: 34px; height: 34px; font-size: 18px; }
.glyph {
  display: inline-grid; place-items: center; flex: none; width: 20px; height: 20px; border-radius: 50%;
  font-size: 12px; line-height: 1; font-weight: 700; color: var(--card); background: var(--quiet);
}
.state { display: inline-flex; gap: 8px; align-items: center; font-weight: 600; white-space: nowrap; }
.is-ok { color: var(--ok); } .is-ok .glyph, .glyph.is-ok { background: var(--ok); color: var(--card); }
.is-behind { color: var(--warn); } .is-behind .glyph, .glyph.is-behind { background: var(--warn); color: var(--card); }
.is-failing, .is-stopped { color: var(--bad); }
.is-failing .glyph, .is-stopped .glyph, .glyph.is-failing, .glyph.is-stopped { background: var(--bad); color: var(--card); }
.is-starting { color: var(--quiet); } .is-starting .glyph, .glyph.is-starting { color: var(--card); }

.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin: 0 0 20px; }
table { border-collapse: collapse; width: 100%; }
th { font-size: 13px; font-weight: 600; color: var(--quiet); text-align: left; }
th, td { padding: 9px 12px; vertical-align: middle; }
th:first-child, td:first-child { padding-left: 20px; }
th:last-child, td:last-child { padding-right: 20px; }
tbody tr { border-top: 1px solid var(--line); }
tbody th { font-size: 15px; color: var(--ink); overflow-wrap: anywhere; }
.number { text-align: right; white-space: nowrap; }
.overview .strip { width: 200px; }
.overview time { white-space: nowrap; }
.overview .name { display: flex; gap: 10px; align-items: center; }
.overview th, .overview td { padding-top: 7px; padding-bottom: 7px; }
.overview .word { font-weight: 400; font-size: 13px; }
.alarming { color: var(--bad); font-weight: 600; }

.stream { padding: 20px; scroll-margin-top: 12px; }
.stream > .top { display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: baseline; }
.route { margin-top: 2px; overflow-wrap: anywhere; } .route .mono { white-space: nowrap; }
.why { margin-top: 14px; padding: 12px 16px; border-left: 3px solid currentColor; border-radius: 0 6px 6px 0; }
.why.is-ok, .why.is-starting { background: var(--plain-soft); } .why.is-behind { background: var(--warn-soft); }
.why.is-failing, .why.is-stopped { background: var(--bad-soft); }
.why p { color: var(--ink); overflow-wrap: anywhere; } .why p:first-child { font-weight: 600; }
.figures { display: grid; grid-template-columns: repeat(4, 1fr); gap: 18px 28px; margin-top: 18px; }
.figures dt { font-size: 13px; color: var(--quiet); }
.figures dd { font-size: 20px; line-height: 1.35; font-weight: 600; letter-spacing: -0.01em; }
.figures dd.more { font-size: 13px; font-weight: 400; letter-spacing: 0; color: var(--quiet); }
.figures small { font-size: 13px; font-weight: 400; }
.gauge svg { margin-top: 4px; max-width: 150px; }
.gauge .track { fill: var(--track); } .gauge .under { fill: var(--accent); } .gauge .over { fill: var(--bad); }

.day { margin-top: 24px; padding-top: 18px; border-top: 1px solid var(--line); }
.day figcaption { display: flex; flex-wrap: wrap; gap: 0 12px; justify-content: space-between; align-items: baseline; }
.day figcaption p { font-size: 13px; color: var(--quiet); }
.plot { margin-top: 12px; overflow: visible; }
.plot text { font-size: 12px; fill: var(--quiet); }
.bars-0 { fill: var(--mark); } .bars-1 { fill: var(--mark-soft); } .base { fill: var(--line); }
.hit { fill: transparent; } .hit:hover { fill: var(--ink); fill-opacity: 0.07; }
.c-exported, .c-late { fill: var(--mark); }
.c-empty { fill: var(--mark-soft); fill-opacity: 0.5; }
.c-outside { fill: var(--track); fill-opacity: 0.6; }
.c-quarantined { fill: var(--warn); }
.c-gap { stroke: var(--bad); }
.c-waiting { fill: var(--card); stroke: var(--quiet); stroke-dasharray: 2 2; }
.c-overdue { fill: var(--warn-soft); stroke: var(--warn); stroke-dasharray: 3 2; }
.p-gap rect { fill: var(--bad-soft); } .p-gap path { stroke: var(--bad); stroke-width: 2; }
.p-running rect { fill: var(--mark-soft); } .p-running path { stroke: var(--mark); stroke-width: 2; }
.dot { fill: var(--card); }
.plot .mark, .mark { fill: var(--card); font-size: 10px; font-weight: 800; text-anchor: middle; }
.hours { display: grid; grid-template-columns: repeat(24, minmax(0, 1fr)); margin-top: 4px; font-size: 12px; color: var(--quiet); }
.hours span { white-space: nowrap; }
.hours span:not(:nth-child(3n + 1)) { visibility: hidden; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; margin-top: 10px; font-size: 13px; color: var(--quiet); list-style: none; }
.legend li { display: flex; gap: 7px; align-items: center; }
details { margin-top: 10px; font-size: 13px; }
summary { cursor: pointer; color: var(--quiet); width: fit-content; }
summary:hover { color: var(--ink); }
details table { margin-top: 6px; } details th, details td { padding: 4px 8px; }
details th:first-child { padding-left: 0; } details td:last-child, details th:last-child { padding-right: 0; }
.numbers td, .numbers th:not(:first-child) { text-align: right; }
details tbody th { font-size: 13px; font-weight: 400; }

.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 400px), 1fr)); gap: 26px 48px; margin-top: 26px; }
.columns table { margin-top: 6px; font-size: 14px; }
.columns th, .columns td { padding: 3px 0; border: 0; }
.columns tbody tr { border: 0; }
.columns tbody th { font-size: 14px; font-weight: 400; }
.columns th:first-child, .columns td:first-child { padding-left: 0; }
.columns .bar { width: 34%; padding-left: 12px; }
.columns .number { padding-left: 12px; }
.columns .week { font-size: 13px; } .columns .week th { width: 88px; font-size: 13px; color: var(--quiet); white-space: nowrap; }
.bar svg { width: 100%; height: 8px; } .bar rect { fill: var(--mark); }
.columns p { margin-top: 6px; font-size: 14px; color: var(--quiet); }
.errors { margin-top: 6px; list-style: none; font-size: 14px; }
.errors li { padding: 6px 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.errors li:first-child { border: 0; padding-top: 0; }
.head { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: center; margin-top: 22px; padding-top: 14px; border-top: 1px solid var(--line); font-size: 13px; }
.head code { font-size: 12px; }
button {
  display: none; font: inherit; font-size: 13px; padding: 2px 12px; min-height: 26px; border: 1px solid var(--line); border-radius: 6px;
  background: var(--card); color: var(--ink); cursor: pointer;
}
.scripted button { display: inline-block; }
button:hover { border-color: var(--accent); }
footer.wide { padding-top: 4px; padding-bottom: 40px; font-size: 13px; color: var(--quiet); }
footer p + p { margin-top: 4px; }

@media (max-width: 760px) {
  .overview .strip, .overview .minor { display: none; }
  .overview td .small { display: block; line-height: 1.2; }
  .figures { grid-template-columns: 1fr 1fr; }
}
@media (max-width: 520px) {
  .wide { padding: 0 14px; }
  header.wide { padding-top: 16px; padding-bottom: 18px; }
  h1 { font-size: 22px; }
  .stream { padding: 16px 14px; }
  th, td { padding: 9px 8px; }
  th:first-child, td:first-child { padding-left: 14px; } th:last-child, td:last-child { padding-right: 14px; }
  .figures { gap: 16px; }
  .columns .bar { width: 24%; }
  .figures dd { font-size: 17px; }
  .hours span:not(:nth-child(6n + 1)) { visibility: hidden; }
}
@media (prefers-reduced-motion: no-preference) {
  html { scroll-behavior: smooth; }
  .c-running { animation: breathe 2.4s ease-in-out infinite; }
  @keyframes breathe { 50% { opacity: 0.45; } }
}
@media (forced-colors: active) { .glyph { border: 1px solid; } }
`;
