/** The names in a PromQL expression. */
export interface Named {
  /** Each metric with its label matchers: `state="ok"` is `["state", "=", "ok"]`. */
  readonly selectors: readonly {
    readonly metric: string;
    readonly matchers: readonly (readonly [label: string, operator: string, value: string])[];
  }[];
  /** The labels of `by (…)`, `on (…)` and similar clauses. */
  readonly groupings: readonly string[];
}

const TOKEN = /"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[a-zA-Z_:][\w:]*|\d[\w.]*|[=!]~|!=|\S/g;
const WORD = /^[a-zA-Z_:]/;
const OPERATORS = new Set(["and", "or", "unless", "offset", "bool"]);
const GROUPINGS = new Set(["by", "without", "on", "ignoring", "group_left", "group_right"]);

/** Covers what our expressions use: a name that is not an operator, clause or function is a metric. `promtool` checks the rest. */
export function namedIn(expression: string): Named {
  const tokens: readonly string[] = expression.match(TOKEN) ?? [];
  const selectors: Named["selectors"][number][] = [];
  const groupings: string[] = [];
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at]!;
    if (!WORD.test(token) || OPERATORS.has(token)) continue;
    const next = tokens[at + 1];
    if (GROUPINGS.has(token)) {
      const inside = tokens.slice(at + 2, tokens.indexOf(")", at));
      groupings.push(...inside.filter((one) => one !== ","));
      at += inside.length + 2;
    } else if (next === "{") {
      const inside = tokens.slice(at + 2, tokens.indexOf("}", at)).filter((one) => one !== ",");
      const matchers = Array.from({ length: Math.ceil(inside.length / 3) }, (_, index) => {
        const [label = "", operator = "", value = ""] = inside.slice(index * 3, index * 3 + 3);
        return [label, operator, value.slice(1, -1)] as const;
      });
      selectors.push({ metric: token, matchers });
      at = tokens.indexOf("}", at);
    } else if (next !== "(" && next !== "by" && next !== "without") {
      selectors.push({ metric: token, matchers: [] });
    }
  }
  return { selectors, groupings };
}
