import { cruise, type ICruiseResult, type IForbiddenRuleType } from "dependency-cruiser";
import extractTSConfig from "dependency-cruiser/config-utl/extract-ts-config";

/*
 * What each folder may import: itself and the floors below it. There are no circles, not even of types only. The root of src/
 * contains the domain: terms and contracts that every folder may import.
 */

/** The lowest first. Folders on one floor do not import each other. */
const FLOORS: readonly (readonly string[])[] = [
  ["json", "config/values"],
  ["http", "ledger", "formats"],
  ["archive", "stores"],
  ["sources", "sinks"],
  ["config"],
  ["export", "status"],
  ["observe", "server", "notify", "worker"],
  ["commands"],
];

/** src/ has at least this many files. A check that finds fewer is broken and must fail. */
const MODULES_MIN = 150;

const FOLDERS = FLOORS.flat();
const DOMAIN = "^src/[a-z]+[.]ts$";
const TOP = "^src/(?:assemble|main)[.]ts$";
const inside = (folder: string): string => `^src/${folder}/`;

const folderRules = FLOORS.flatMap((folders, floor) =>
  folders.map((folder): IForbiddenRuleType => {
    const below = [folder, ...FLOORS.slice(0, floor).flat()].map(inside);
    const nested = FOLDERS.filter((other) => other.startsWith(`${folder}/`)).map(inside);
    const more = folder === "commands" ? [TOP, inside("simulator")] : [];
    return {
      name: `${folder} imports only from floors below`,
      severity: "error",
      from: { path: inside(folder), ...(nested.length > 0 && { pathNot: nested }) },
      to: { path: "^src/", pathNot: [...below, DOMAIN, ...more] },
    };
  }),
);

const rules: IForbiddenRuleType[] = [
  { name: "no circles", severity: "error", from: {}, to: { circular: true } },
  {
    name: "the domain imports only the domain",
    severity: "error",
    from: { path: DOMAIN, pathNot: TOP },
    to: { path: "^src/", pathNot: [DOMAIN] },
  },
  {
    name: "only commands import assemble.ts and main.ts",
    severity: "error",
    from: { path: "^src/", pathNot: [inside("commands"), TOP] },
    to: { path: TOP },
  },
  {
    name: "the simulator imports only time and errors from the exporter",
    severity: "error",
    from: { path: inside("simulator") },
    to: { path: "^src/", pathNot: [inside("simulator"), "^src/(?:time|errors)[.]ts$"] },
  },
  {
    name: "each folder has a floor",
    severity: "error",
    from: { path: "^src/", pathNot: [DOMAIN, inside("simulator"), ...FOLDERS.map(inside)] },
    to: {},
  },
  ...folderRules,
];

const { output } = await cruise(
  ["src"],
  { ruleSet: { forbidden: rules }, validate: true, tsPreCompilationDeps: true, doNotFollow: { path: "node_modules" } },
  undefined,
  { tsConfig: extractTSConfig("tsconfig.json") },
);
const { modules, summary } = output as ICruiseResult;
const read = modules.filter(({ source }) => source.startsWith("src/")).length;
for (const { rule, from, to, cycle = [] } of summary.violations) {
  console.error(`${rule.name}: ${[from, ...(cycle.length > 0 ? cycle.map(({ name }) => name) : [to])].join(" → ")}`);
}
const atStart = packagesAtStart();
for (const name of atStart) console.error(`${name} is loaded at the start: import() it when a command runs`);
if (read < MODULES_MIN)
  console.error(`only ${read} modules were read, of at least ${MODULES_MIN}: the check is broken`);
const passed = summary.violations.length === 0 && atStart.length === 0 && read >= MODULES_MIN;
console.log(
  `imports: ${read} modules, ${summary.totalDependenciesCruised ?? 0} imports, ${summary.violations.length} violations`,
);
process.exitCode = passed ? 0 : 1;

/** The packages, other than commander, that are loaded before the command line is read: `--help` would wait for them. */
function packagesAtStart(): string[] {
  const bySource = new Map(modules.map((module) => [module.source, module]));
  const reached = new Set(["src/main.ts"]);
  for (const source of reached) {
    for (const { resolved, dynamic, dependencyTypes } of bySource.get(source)?.dependencies ?? []) {
      if (!dynamic && !dependencyTypes.includes("type-only")) reached.add(resolved);
    }
  }
  return [...reached].filter((path) => path.includes("node_modules/") && !path.includes("node_modules/commander/"));
}
