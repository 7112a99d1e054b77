import { defineConfig } from 'vitest/config';
import { withoutGuard } from './test/conformance/guards.ts';

const removed = process.env.SAND_WITHOUT_GUARD;
const common = {
  testTimeout: 60_000,
  hookTimeout: 120_000,
  passWithNoTests: false,
  // Two at a time is what two cores carry: the files of `e2e` start guests of their own.
  maxWorkers: 2,
  // Else the next run would load what this one has changed.
  fsModuleCache: removed === undefined,
};

/** Guests by the dozen, waits for a dead host or for a program that hangs, and emulated tools of which each call is a process of its own: a minute and more. */
const LONG_UNITS = [
  ...['arm64', 'confinement', 'dial-put', 'ending', 'load', 'run'].map(
    (name) => `controller/links/relay/${name}`,
  ),
  ...['build', 'guest-faults', 'life', 'run', 'sockets'].map((name) => `emulators/container-${name}`),
  ...['faults', 'life', 'vms'].map((name) => `emulators/tart-${name}`),
  'controller/verify/probe-script',
].map((name) => `test/${name}.test.ts`);

/** Machines of their own for guests on emulated tools: minutes on an emulated processor, one at a time. */
const MACHINES = [
  ...['apple', 'tart'].map((name) => `test/e2e/${name}/machine.test.ts`),
  ...['container', 'tart'].map((name) => `test/emulators/${name}-machine.test.ts`),
];

const units = {
  plugins: [withoutGuard(removed)],
  test: {
    ...common,
    name: 'units',
    globalSetup: ['test/controller/links/relay/built-program.ts'],
    // No module of sand holds state, so a file of tests can take over the worker of another.
    isolate: false,
    include: ['test/**/*.test.ts'],
    exclude: ['test/e2e/**', 'node_modules/**', ...LONG_UNITS, ...MACHINES],
  },
};

/** They start kernels of their own, guests by the dozen, a browser, or real tools one by one: minutes, of which `npm test` has none to give. */
const LONG = [
  ...[
    ...['commands', 'conformance', 'faults', 'guest', 'install'],
    ...['stock-softnet', 'terminal', 'traps', 'verify'],
  ].map((name) => `tart/${name}`),
  ...['asking', 'audit-ui-browser', 'ci', 'ci-runs', 'guest-commands', 'guests', 'gvisor'],
  ...[
    'apple/builds',
    'apple/coding-agents',
    'apple/images',
    'image',
    'learning/learning',
    'many-guests',
    'metrics',
    'page/report',
    'phases',
  ],
  ...['kernel', 'rough', 'softnet'].map((name) => `ethernet/${name}`),
  'lifecycle/flags',
  'lifecycle/kill',
  'lifecycle/teardown',
  ...[
    'project-file',
    'recipes/owner',
    'recipes/runner',
    'recipes/steps',
    'resources',
    'tools',
    'unified',
    'verify/isolation',
    'verify/verify',
    'vm',
    'volumes',
  ],
  ...['attacks', 'diff', 'document', 'run', 'setup', 'shell'].map((name) => `action/${name}`),
  ...['clients', 'conformance', 'faults', 'files', 'given', 'guests', 'life', 'network'].map(
    (name) => `apple/${name}`,
  ),
  ...['port-53', 'stdio', 'teardown', 'words'].map((name) => `apple/${name}`),
].map((name) => `test/e2e/${name}.test.ts`);

const e2e = {
  test: {
    ...common,
    name: 'e2e',
    include: ['test/e2e/**/*.test.ts'],
    exclude: [...LONG, ...MACHINES],
    globalSetup: ['test/e2e/package.ts'],
    sequence: { groupOrder: 1 },
  },
};

const long = {
  test: {
    ...e2e.test,
    name: 'long',
    include: [...LONG, ...LONG_UNITS],
    exclude: [],
    globalSetup: [...e2e.test.globalSetup, ...units.test.globalSetup],
    sequence: { groupOrder: 2 },
  },
};

const vm = {
  test: {
    ...e2e.test,
    name: 'vm',
    include: MACHINES,
    exclude: [],
    maxWorkers: 1,
    globalSetup: [...e2e.test.globalSetup, ...units.test.globalSetup, 'test/e2e/machine-kernel.ts'],
    sequence: { groupOrder: 3 },
  },
};

/** The end-to-end tests start guests of the linux backend. In CI their absence is a failure. */
function projects() {
  if (process.platform === 'linux') return [units, e2e, long, vm];
  if (process.env.CI) throw new Error('the end-to-end tests need Linux, and CI must run them');
  console.log(`skipped: the end-to-end tests need Linux, and this is ${process.platform}`);
  return [units];
}

export default defineConfig({ test: { projects: projects() } });
