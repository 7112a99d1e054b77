/** The files of recipes/containers agree: with sand's flags, with each other, and with what keeps a container in. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { createProgram } from '../../controller/cli/program.ts';

const RECIPE = new URL('../../recipes/containers/', import.meta.url).pathname;
const read = (name: string) => readFileSync(join(RECIPE, name), 'utf8');
const compose = parse(read('compose.yaml'));
const manifests = parseAllDocuments(read('kubernetes.yaml')).map((document) => document.toJS());
const manifest = (kind: string, name: string) =>
  manifests.find((one) => one.kind === kind && one.metadata.name === name);
/** Python's, since Node has no reader of TOML; null where Python is older than 3.11. */
function readToml(name: string) {
  const program = 'import json, sys, tomllib; print(json.dumps(tomllib.load(sys.stdin.buffer)))';
  const { status, stdout } = spawnSync('/usr/bin/python3', ['-c', program], {
    input: read(name),
    encoding: 'utf8',
  });
  return status === 0 ? JSON.parse(stdout) : null;
}
const gitlab = readToml('gitlab-runner.toml')?.runners[0] ?? null;
const arc = parse(read('arc-values.yaml'));
const [runner] = arc.template.spec.containers;

/** What `sand gateway` would be given, by commander's own reading; throws on a flag that it does not know. */
function gatewayFlags(args: readonly string[]): Readonly<Record<string, unknown>> {
  expect(args[0]).toBe('gateway');
  const program = createProgram({ command: null, write: () => {}, finish: () => {} });
  const command = program.commands.find((one) => one.name() === 'gateway');
  if (command === undefined) throw new Error('there is no sand gateway');
  const { operands, unknown } = command.parseOptions([...args.slice(1)]);
  expect([operands, unknown]).toEqual([[], []]);
  return command.opts();
}

it('start the gateway by flags that it has', () => {
  const { gateway } = compose.services;
  const address = gateway.networks.jobs.ipv4_address;
  expect(gatewayFlags(gateway.command)).toMatchObject({
    listen: `${address}:3128`,
    dnsListen: `${address}:5300`,
    policy: ['/etc/sand/gateway.policy.yaml'],
  });
  const pod = manifest('Deployment', 'sand-gateway').spec.template.spec.containers[0];
  expect(gatewayFlags(pod.args)).toMatchObject({ listen: '$(POD_IP):3128' });
});

it('give a job the gateway of its network as its proxy, and no network besides', () => {
  const { gateway, job } = compose.services;
  const proxy = `http://${gateway.networks.jobs.ipv4_address}:3128`;
  expect(job.networks).toEqual(['jobs']);
  expect(compose.networks.jobs.internal).toBe(true);
  expect(job.environment).toMatchObject({ https_proxy: proxy, http_proxy: proxy });
  const { clusterIP } = manifest('Service', 'sand-gateway').spec;
  const variables = Object.fromEntries(
    runner.env.map(({ name, value }: Record<string, string>) => [name, value]),
  );
  expect(variables).toMatchObject({
    https_proxy: `http://${clusterIP}:3128`,
    http_proxy: `http://${clusterIP}:3128`,
  });
});

it.skipIf(gitlab === null)(
  'give GitLab the same network and the same proxy (needs Python 3.11 for TOML)',
  () => {
    const { environment } = compose.services.job;
    expect(gitlab.environment).toEqual(
      Object.entries(environment).map(([name, value]) => `${name}=${value}`),
    );
    expect(gitlab.docker).toMatchObject({ network_mode: compose.networks.jobs.name, privileged: false });
    expect(JSON.stringify([gitlab, compose])).not.toContain('docker.sock');
  },
);

it('let a pod of the jobs reach the gateway and nothing else, whatever its labels', () => {
  const { spec } = manifest('NetworkPolicy', 'jobs-reach-the-gateway-alone');
  expect(spec.podSelector).toEqual({});
  expect(spec.policyTypes).toEqual(['Ingress', 'Egress']);
  expect(spec.ingress).toBeUndefined();
  expect(spec.egress).toHaveLength(1);
  const [{ to, ports }] = spec.egress;
  expect(ports).toEqual([{ protocol: 'TCP', port: 3128 }]);
  const gateway = manifest('Deployment', 'sand-gateway');
  expect(to).toEqual([
    {
      namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': gateway.metadata.namespace } },
      podSelector: { matchLabels: gateway.spec.template.metadata.labels },
    },
  ]);
  expect(gateway.metadata.namespace).not.toBe('sand-jobs');
  expect(manifest('Namespace', 'sand-jobs').metadata.labels).toEqual({
    'pod-security.kubernetes.io/enforce': 'baseline',
  });
  expect(arc.containerMode).toBeUndefined();
});

it('have one policy', () => {
  expect(manifest('ConfigMap', 'sand-policy').data['gateway.policy.yaml']).toBe(read('gateway.policy.yaml'));
});
