// Checks dashboards against the types of @grafana/schema with the TypeScript compiler: every known field has its type, and no field is unknown.
// Prints {"dashboards": N, "errors": [...], "refused": true}; the last says that a dashboard with a mistake in it is found to be wrong.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const panelTypes = { timeseries: "timeseries/panelcfg/x/TimeSeriesPanelCfg", stat: "stat/panelcfg/x/StatPanelCfg", heatmap: "heatmap/panelcfg/x/HeatmapPanelCfg",
  table: "table/panelcfg/x/TablePanelCfg", "state-timeline": "statetimeline/panelcfg/x/StateTimelinePanelCfg" };
const name = (type) => type.replace("-", "_");

const imports = Object.entries(panelTypes).map(([type, path]) =>
  `import type * as ${name(type)} from "@grafana/schema/dist/esm/raw/composable/${path}_types.gen";`).join("\n");

// Types of the schema as JSON has them: an enum is one of its values.
const head = `import type { Dashboard, RowPanel, Panel } from "@grafana/schema";
${imports}
type Json<T> = T extends string ? \`\${T}\` : T extends number ? number : T extends boolean ? boolean
  : T extends readonly (infer U)[] ? Json<U>[] : T extends object ? { [K in keyof T]: Json<T[K]> } : T;
type Config<T> = T extends { FieldConfig: infer C } ? C : Record<string, unknown>;
`;

function source(dashboard) {
  const { panels, ...rest } = dashboard;
  const lines = [head, `export const dashboard: Json<Omit<Dashboard, "panels">> = ${JSON.stringify(rest)};`];
  for (const panel of panels) {
    const { options, fieldConfig, ...own } = panel;
    if (panel.type === "row") {
      lines.push(`export const p${panel.id}: Json<RowPanel> = ${JSON.stringify(panel)};`);
      continue;
    }
    if (!(panel.type in panelTypes)) throw new Error(`a panel of type ${panel.type}: add its schema to grafana-dashboards.mjs`);
    const module = name(panel.type);
    lines.push(`export const p${panel.id}: Json<Omit<Panel, "options" | "fieldConfig">> = ${JSON.stringify(own)};`);
    lines.push(`export const o${panel.id}: Json<Partial<${module}.Options>> = ${JSON.stringify(options)};`);
    const { custom, ...defaults } = fieldConfig.defaults;
    lines.push(`export const f${panel.id}: Json<NonNullable<Panel["fieldConfig"]>> = ${JSON.stringify({ ...fieldConfig, defaults })};`);
    if (custom) lines.push(`export const c${panel.id}: Json<Partial<${module}.FieldConfig>> = ${JSON.stringify(custom)};`);
  }
  return lines.join("\n") + "\n";
}

function check(files) {
  const folder = mkdtempSync(join(here, "dashboards-"));
  try {
    for (const [file, dashboard] of files) writeFileSync(join(folder, `${file}.ts`), source(dashboard));
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({
      compilerOptions: { strict: true, noEmit: true, skipLibCheck: true, module: "esnext", moduleResolution: "bundler", target: "esnext", types: [] }, include: ["*.ts"] }));
    try {
      execFileSync(join(here, "node_modules", ".bin", "tsc"), ["-p", folder, "--pretty", "false"], { encoding: "utf8" });
      return [];
    } catch (failure) {
      if (!failure.stdout) throw failure;
      return failure.stdout.split("\n").filter((line) => line.trim().length > 0);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const dashboards = process.argv.slice(2).map((file) => [basename(file, ".json"), JSON.parse(readFileSync(file, "utf8"))]);
const wrong = structuredClone(dashboards[0][1]);
const series = wrong.panels.find((panel) => panel.type === "timeseries");
series.options.legend.displayMode = "tabel";
series.gridPosition = {};
const mistakes = check([["wrong", wrong]]);
console.log(JSON.stringify({
  dashboards: dashboards.length,
  errors: check(dashboards),
  refused: mistakes.some((line) => line.includes("tabel")) && mistakes.some((line) => line.includes("gridPosition")),
}));
