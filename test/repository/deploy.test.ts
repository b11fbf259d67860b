import { existsSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { STREAM_STATES } from "../../src/status/status-document.ts";
import type { MetricDefinition } from "../../src/fact.ts";
import { METRICS } from "../../src/observe/metrics.ts";
import { MINUTE_MS, parseDuration } from "../../src/time.ts";
import { page, quoted, read, root, rowsOf } from "../support/pages.ts";
import { namedIn } from "../support/promql.ts";
import { fold, contentOf } from "../support/status.ts";

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<"summary" | "description" | "runbook", string>>;
}

const { groups } = parse(read("deploy/prometheus/alerts.yml")) as { groups: readonly { rules: readonly Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: Readonly<Record<"x" | "y" | "w" | "h", number>>;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly annotations: { readonly list: readonly { readonly expr: string }[] };
  readonly templating: { readonly list: readonly { readonly name: string; readonly definition?: string }[] };
}

const dashboard = JSON.parse(read("deploy/grafana/dashboard.json")) as Dashboard;
const queries = dashboard.panels.flatMap(({ targets = [] }) => targets);

/** The labels of each metric that the program exposes. */
const exposed = new Map<string, Set<string>>();
let types: Map<string, string>;

beforeAll(async () => {
  const shown = await contentOf(() => fold([])).metrics.text();
  types = new Map([...shown.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = "", type = ""]) => [name, type]));
  for (const [, name = "", labels = ""] of shown.matchAll(/^(\w+)(?:\{(.*)\})? \S+$/gm)) {
    const known = exposed.get(name) ?? new Set();
    for (const [, label = ""] of labels.matchAll(/(\w+)="/g)) known.add(label);
    exposed.set(name, known);
  }
  // The exporter's metrics, including those without a series yet.
  for (const [name, { type, labels }] of Object.entries<MetricDefinition>(METRICS)) {
    expect(types.get(name), name).toBe(type);
    const parts = type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
    for (const part of parts) exposed.set(name + part, new Set([...labels, ...(part === "_bucket" ? ["le"] : [])]));
  }
});

/** The labels that Prometheus adds to each series. */
const ADDED = ["job", "instance"];

const labelsOf = (expression: string) =>
  namedIn(expression).selectors.flatMap(({ metric }) => [...(exposed.get(metric) ?? [])]);

/** Expects that the program exposes each metric, each label, and each value of a closed set. */
function expectExposed(expression: string): void {
  const { selectors, groupings } = namedIn(expression);
  expect(selectors.length, expression).toBeGreaterThan(0);
  for (const { metric, matchers } of selectors) {
    expect([...exposed.keys()], expression).toContain(metric);
    for (const [label, operator, value] of matchers) {
      expect([...exposed.get(metric)!, ...ADDED], expression).toContain(label);
      if (operator === "=" || (operator === "=~" && /^[\w|]+$/.test(value))) {
        for (const one of value.split("|")) expect(one, expression).toMatch(VALUES[label] ?? /./);
      }
    }
  }
  for (const label of groupings) expect([...labelsOf(expression), ...ADDED], expression).toContain(label);
}

const VALUES: Readonly<Record<string, RegExp>> = {
  state: new RegExp(`^(?:${STREAM_STATES.join("|")})$`),
  stage: /^(?:plan|fetch|write|commit|store|reconcile|none)$/,
  // The error codes that operations.md explains; another test compares them with the program's.
  code: new RegExp(
    `^(?:${rowsOf(page("docs/operations.md"), "Error codes")
      .flatMap(([cell = ""]) => quoted(cell))
      .join("|")})$`,
  ),
  result: /^(?:sent|failed|dropped)$/,
};

/** The anchor of a heading, as GitHub makes it. */
const anchorOf = (heading: string) =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");

function expectThere(link: string, from: string): void {
  const [path = "", anchor] = link.split("#");
  const target = join(from, path);
  expect(existsSync(join(root, target)), link).toBe(true);
  if (anchor === undefined) return;
  const anchors = [...read(target).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading));
  expect(anchors, link).toContain(anchor);
}

test("namedIn finds the metrics, matchers and groupings of an expression", () => {
  const { selectors, groupings } = namedIn(
    'sum by (le, job) (rate(a_total{b="x,y", c!~"d|e"}[$__rate_interval])) > 2 * on (f) max_over_time(g[1d] offset 1h) or h',
  );
  expect(selectors).toEqual([
    { metric: "a_total", matchers: [["b", "=", "x,y"], ["c", "!~", "d|e"]] }, // prettier-ignore
    { metric: "g", matchers: [] },
    { metric: "h", matchers: [] },
  ]);
  expect(groupings).toEqual(["le", "job", "f"]);
});

test("only counters have names that end with _total, as promtool requires", () => {
  const ended = [...types].filter(([name, type]) => name.endsWith("_total") !== (type === "counter"));
  expect(ended).toEqual([]);
});

describe("alerts", () => {
  test.each(rules)("$alert uses only metrics that the program exposes", ({ expr }) => {
    expectExposed(expr);
  });

  test.each(rules)("$alert has a severity, a summary, a description and a runbook", (rule) => {
    const { alert, annotations, labels, expr } = rule;
    expect(alert).toMatch(/^SiemExport[A-Z][A-Za-z]+$/);
    expect(["critical", "warning"]).toContain(labels["severity"]);
    const { summary, description, runbook } = annotations;
    expect(summary.length).toBeLessThan(120);
    expect(description).toMatch(/\.$/);
    for (const [, label = ""] of `${summary} ${description}`.matchAll(/\$labels\.(\w+)/g)) {
      expect([...labelsOf(expr), ...ADDED]).toContain(label);
    }
    expect(runbook).toMatch(/^docs\/[\w/]+\.md#/);
    expectThere(runbook, "");
    if (rule.for !== undefined) expect(parseDuration(rule.for)).toBeGreaterThanOrEqual(5 * MINUTE_MS);
  });

  test("each alert fires in a unit test, at each severity, on series that the program can expose", () => {
    const text = read("deploy/prometheus/alerts.test.yml");
    for (const { alert, labels } of rules) {
      expect(text).toMatch(new RegExp(`ALERTS\\{alertname="${alert}"[^}]*severity="${labels["severity"]}"`));
    }
    const { tests } = parse(text) as { tests: readonly { input_series: readonly { series: string }[] }[] };
    const series = tests.flatMap((one) => one.input_series.map((input) => input.series));
    expect(series.length).toBeGreaterThan(50);
    // Prometheus itself exposes `up`.
    for (const one of series.filter((name) => !name.startsWith("up{"))) expectExposed(one);
  });

  test("the table of alerts lists exactly the rules", () => {
    const rows = rowsOf(read("deploy/README.md"), "Prometheus").map(([alert = "", severity = ""]) => [
      quoted(alert)[0],
      severity,
    ]);
    const names = [...new Set(rules.map(({ alert }) => alert))];
    const severities = (name: string) =>
      rules.filter(({ alert }) => alert === name).map(({ labels }) => labels["severity"]);
    expect(rows).toEqual(names.map((name) => [name, severities(name).join(", ")]));
  });
});

describe("the dashboard", () => {
  test("it uses only metrics that the program exposes", () => {
    expect(queries.length).toBeGreaterThan(20);
    for (const { expr, legendFormat } of queries) {
      expectExposed(expr);
      for (const [, label = ""] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        expect([...labelsOf(expr), ...ADDED], expr).toContain(label);
      }
    }
    for (const { expr } of dashboard.annotations.list) expectExposed(expr);
    for (const { definition } of dashboard.templating.list) {
      const [, metric = "", label = ""] = /^label_values\((\w+), (\w+)\)$/.exec(definition ?? "") ?? [];
      if (definition !== undefined) expect([...(exposed.get(metric) ?? [])]).toContain(label);
    }
  });

  test("it shows every metric of the exporter", () => {
    const shown = new Set(queries.flatMap(({ expr }) => namedIn(expr).selectors.map(({ metric }) => metric)));
    const left = Object.keys(METRICS).filter((name) => !shown.has(name) && !shown.has(`${name}_bucket`));
    // Not useful on a dashboard: the lag is computed from the first, and the second only counts up.
    expect(left).toEqual(["siem_export_checkpoint_timestamp_seconds", "siem_export_head_sequence"]);
  });

  test("each variable that it uses is defined in it or by Grafana", () => {
    const own = dashboard.templating.list.map(({ name }) => name);
    const used = JSON.stringify(dashboard).matchAll(/\$\{?(\w+)/g);
    for (const [, name = ""] of used) expect([...own, "__all", "__range", "__rate_interval"]).toContain(name);
  });

  test("each panel has its own id and its own place", () => {
    const { panels } = dashboard;
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) => {
      expect(x + w).toBeLessThanOrEqual(24);
      return Array.from({ length: w * h }, (_, index) => `${x + (index % w)} ${y + Math.floor(index / w)}`);
    });
    expect(new Set(cells).size).toBe(cells.length);
  });
});

test("each link of deploy/README.md has a target", () => {
  const links = [...read("deploy/README.md").matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
  expect(links.length).toBeGreaterThan(5);
  for (const link of links) expectThere(link, "deploy");
});
