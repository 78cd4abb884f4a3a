/** Imports go one way: worker → core, control-plane → core, cli → all. */
module.exports = {
  forbidden: [
    {
      name: "core-knows-nobody",
      severity: "error",
      from: { path: "^core/" },
      to: { path: "^(worker|control-plane|cli|test|bench)/" },
    },
    {
      name: "worker-knows-core-only",
      severity: "error",
      from: { path: "^worker/" },
      to: { path: "^(control-plane|cli|test|bench)/" },
    },
    {
      name: "control-plane-knows-core-only",
      severity: "error",
      from: { path: "^control-plane/" },
      to: { path: "^(worker|cli|test|bench)/" },
    },
    {
      name: "product-knows-no-test",
      severity: "error",
      from: { path: "^cli/" },
      to: { path: "^(test|bench)/" },
    },
    {
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "hashring-only-behind-core-ring",
      severity: "error",
      from: { pathNot: "^core/ring/hash-ring\\.ts$" },
      to: { path: "^node_modules/(@types/)?hashring/" },
    },
    {
      name: "no-dev-dependency-in-the-product",
      severity: "error",
      from: { path: "^(core|worker|control-plane|cli)/" },
      to: { dependencyTypes: ["npm-dev"], pathNot: "^node_modules/@types/" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { extensions: [".ts", ".js", ".json"], exportsFields: ["exports"] },
  },
};
