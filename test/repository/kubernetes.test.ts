import { readdirSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { HOUR_MS, SECOND_MS } from "../../src/time.ts";
import { loadText, temporaryFolder } from "../support/config.ts";
import { read, root } from "../support/pages.ts";

const FOLDER = "deploy/kubernetes";
const object = (name: string): unknown => parse(read(`${FOLDER}/${name}`));

type Labels = Readonly<Record<string, string>>;
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}
interface Worker {
  readonly image: string;
  readonly ports: readonly { readonly containerPort: number; readonly name: string }[];
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}
interface Deployment {
  readonly spec: {
    readonly progressDeadlineSeconds: number;
    readonly template: {
      readonly metadata: { readonly labels: Labels };
      readonly spec: {
        readonly containers: readonly [Worker];
        readonly volumes: readonly { readonly name: string }[];
        readonly securityContext: { readonly runAsUser: number; readonly runAsGroup: number };
        readonly terminationGracePeriodSeconds: number;
      };
    };
  };
}

const { template, progressDeadlineSeconds } = (object("deployment.yaml") as Deployment).spec;
const [worker] = template.spec.containers;
const config = read(`${FOLDER}/exporter.yaml`);
const secrets = [...config.matchAll(/File: (\S+)/g)].map(([, path = ""]) => path);

test("everything in the folder is applied", () => {
  const { resources, configMapGenerator } = object("kustomization.yaml") as {
    readonly resources: readonly string[];
    readonly configMapGenerator: readonly { readonly files: readonly string[] }[];
  };
  const named = ["kustomization.yaml", ...resources, ...configMapGenerator.flatMap(({ files }) => files)];
  expect(named.sort()).toEqual(readdirSync(join(root, FOLDER)).sort());
});

test("the configuration loads, and fits the pod that reads it", async () => {
  const folder = temporaryFolder();
  for (const path of secrets) writeFileSync(join(folder, basename(path)), "s3cret\n");
  const { server, shutdownGraceMs } = await loadText(config.replaceAll("/run/secrets/siem-export", folder));
  const [port] = worker.ports;
  expect(server).toMatchObject({ host: "0.0.0.0", port: port?.containerPort });
  expect(shutdownGraceMs).toBeLessThan(template.spec.terminationGracePeriodSeconds * SECOND_MS);
});

test("probes, service and network policy find the worker's port", () => {
  const [{ containerPort, name } = { containerPort: 0, name: "" }] = worker.ports;
  expect(worker.livenessProbe.httpGet).toEqual({ path: "/healthz", port: name });
  expect(worker.readinessProbe.httpGet).toEqual({ path: "/readyz", port: name });
  const selected = template.metadata.labels;
  expect(object("service.yaml")).toMatchObject({
    spec: { selector: selected, ports: [{ port: containerPort, targetPort: name }] },
  });
  expect(object("network-policy.yaml")).toMatchObject({
    spec: { podSelector: { matchLabels: selected }, ingress: [{ ports: [{ port: name }] }] },
  });
});

test("a first catching up of some hours, not ready as it is, is no failed rollout", () => {
  expect(progressDeadlineSeconds * SECOND_MS).toBeGreaterThanOrEqual(12 * HOUR_MS);
});

test("what is mounted is what the configuration and the image look for", () => {
  const mounted = worker.volumeMounts.map(({ mountPath }) => mountPath);
  expect(worker.volumeMounts.map(({ name }) => name)).toEqual(template.spec.volumes.map(({ name }) => name));
  expect(secrets.length).toBe(3);
  for (const path of secrets) expect(mounted).toContain(dirname(path));
  const image = read("Dockerfile");
  expect(mounted).toContain(dirname(/^CMD .*"--config", "([^"]+)"/m.exec(image)?.[1] ?? ""));
  expect(mounted).toContain(/^WORKDIR (\/var\S+)$/m.exec(image)?.[1]);
  const { runAsUser, runAsGroup } = template.spec.securityContext;
  expect(image).toContain(`\nUSER ${runAsUser}:${runAsGroup}\n`);
  const { version } = JSON.parse(read("package.json")) as { version: string };
  expect(worker.image.split(":")[1]).toBe(version);
});

test("the secret that deploy/README.md makes holds the files that the configuration names", () => {
  const made = [...read("deploy/README.md").matchAll(/--from-file=([\w-]+)/g)].map(([, name = ""]) => name);
  expect(made.sort()).toEqual(secrets.map((path) => basename(path)).sort());
});
