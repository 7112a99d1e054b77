/** Jobs for the end-to-end tests of the action: a runner for each, with origins and policies that need no network beyond this machine. */
import { afterAll, beforeAll, vi } from 'vitest';
import { createRunner, type Runner, type RunnerOptions } from '../../action/runner/runner.ts';
import { createOrigins, type Origins } from '../origins.ts';
import { NODE, SAND } from '../sand.ts';

export const USES = 'octo/sand@v1';
export const IN_GUEST = 'sand-shell {0}';
export { SAND };

/** A job is several processes and guests, one after the other. */
const JOB_DEADLINE_MS = 240_000;

/** An expression of a workflow, which the runner fills in. */
export function expression(text: string): string {
  return ['$', `{{ ${text} }}`].join('');
}

export interface Jobs {
  start(options?: Partial<RunnerOptions>): Runner;
  origins(): Origins;
  /** Flags by which a guest's names are looked up at the origins. */
  flags(): string;
  /** A policy file that allows the plain HTTP origin by name. */
  policy(...lines: readonly string[]): string;
}

/** For one file of tests: what was started is removed when it ends. */
export function planJobs(): Jobs {
  vi.setConfig({ testTimeout: JOB_DEADLINE_MS });
  const runners: Runner[] = [];
  const opened: Origins[] = [];
  beforeAll(async () => {
    opened.push(await createOrigins());
  });
  afterAll(async () => {
    for (const runner of runners) runner.remove();
    for (const origins of opened) await origins.close();
  });
  const origins = (): Origins => {
    const [first] = opened;
    if (first === undefined) throw new Error('asked before the tests');
    return first;
  };
  return {
    origins,
    start(options = {}) {
      const runner = createRunner({ node: NODE, ...options });
      runners.push(runner);
      return runner;
    },
    flags: () => `--dns-upstream=127.0.0.1:${origins().dnsPort}`,
    policy: (...lines) =>
      [
        'version: 1',
        'extends: [offline]',
        'rules:',
        '  - allow: allowed.origin.test',
        `    http: [${origins().httpPort}]`,
        '    addresses: [127.0.0.0/8]',
        ...lines,
        '',
      ].join('\n'),
  };
}
