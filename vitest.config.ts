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

const units = {
  plugins: [withoutGuard(removed)],
  test: {
    ...common,
    name: 'units',
    // No module of sand holds state, so a file of tests can take over the worker of another.
    isolate: false,
    include: ['test/**/*.test.ts'],
    exclude: ['test/e2e/**', 'node_modules/**'],
  },
};

/** They boot kernels, most often emulated: minutes, of which `npm test` has none to give. */
const MACHINES = ['test/e2e/vm.test.ts', 'test/e2e/unified.test.ts'];

const e2e = {
  test: {
    ...common,
    name: 'e2e',
    include: ['test/e2e/**/*.test.ts'],
    exclude: MACHINES,
    globalSetup: ['test/e2e/package.ts'],
    sequence: { groupOrder: 1 },
  },
};

const machines = {
  test: { ...e2e.test, name: 'machines', include: MACHINES, exclude: [], sequence: { groupOrder: 2 } },
};

/** The end-to-end tests start guests of the linux backend. In CI their absence is a failure. */
function projects() {
  if (process.platform === 'linux') return [units, e2e, machines];
  if (process.env.CI) throw new Error('the end-to-end tests need Linux, and CI must run them');
  console.log(`skipped: the end-to-end tests need Linux, and this is ${process.platform}`);
  return [units];
}

export default defineConfig({ test: { projects: projects() } });
