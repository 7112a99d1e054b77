import { describe, expect, it } from 'vitest';
import {
  checkBackendImports,
  checkBackendNames,
  checkDirection,
  checkLibraries,
  checkNodeModules,
  checkTestImports,
  importsOf,
} from './import-rules.ts';
import { readTree } from './tree.ts';

const tree = readTree();
/** Bundled into the package, so they are devDependencies like the tools. */
const LIBRARIES = [
  'commander',
  'dns2',
  // Makes the pages of a clone; the package has them ready.
  'esbuild',
  'execa',
  'http-proxy',
  'ipaddr.js',
  'micromatch',
  'pino',
  'read-tls-client-hello',
  'tldts',
  'yaml',
  'zod',
];

describe('imports of the sources', () => {
  it('point down: policies, audit, dns and proxy, controller', () => {
    expect(tree.flatMap(checkDirection)).toEqual([]);
  });

  it('never lead into tests, nor into benchmarks', () => {
    expect(tree.flatMap(checkTestImports)).toEqual([]);
  });

  it('reach each wrapped library in one file', () => {
    expect(checkLibraries(tree, LIBRARIES)).toEqual([]);
  });

  it('keep processes in the controller and the network out of policies and audit', () => {
    expect(tree.flatMap(checkNodeModules)).toEqual([]);
  });

  it('reach concrete backends from the registry alone', () => {
    expect(tree.flatMap(checkBackendImports)).toEqual([]);
  });

  it('and no backend is named outside its folder', () => {
    expect(tree.flatMap(checkBackendNames)).toEqual([]);
  });
});

describe('the reading of imports', () => {
  it('finds every form of them', () => {
    const text = [
      "import a from 'one';",
      "import type { B } from 'two';",
      "import {\n  type C,\n  type D,\n} from 'three';",
      "import { type E, f } from 'four';",
      "export { g } from 'five';",
      "export * from 'six';",
      "import 'seven';",
      "const h = await import('eight');",
      "export type { I } from 'nine';",
      "const j = load('ten').parse(text);",
    ].join('\n');
    expect(importsOf(text)).toEqual([
      { specifier: 'one', typeOnly: false },
      { specifier: 'two', typeOnly: true },
      { specifier: 'three', typeOnly: true },
      { specifier: 'four', typeOnly: false },
      { specifier: 'five', typeOnly: false },
      { specifier: 'six', typeOnly: false },
      { specifier: 'nine', typeOnly: true },
      { specifier: 'seven', typeOnly: false },
      { specifier: 'eight', typeOnly: false },
      { specifier: 'ten', typeOnly: false },
    ]);
  });
});

describe('each import rule goes red', () => {
  it.each([
    ['policies/a.ts', "import { log } from '../audit/log.ts';"],
    ['policies/a.ts', "import type { AuditEvent } from '../audit/event.ts';"],
    ['audit/a.ts', "import type { run } from '../controller/run/session-request.ts';"],
    ['dns/a.ts', "import { dial } from '../proxy/dial.ts';"],
    ['dns/a.ts', "import { escapeJson } from '../audit/escape.ts';"],
    ['dns/a.ts', "const { dial } = await import('../proxy/dial.ts');"],
    ['proxy/a.ts', "import type { Question } from '../dns/message.ts';"],
    ['proxy/b/a.ts', "import { SandError } from '../../controller/errors.ts';"],
    ['controller/a.ts', "import { samples } from '../test/audit/samples.ts';"],
    ['index.ts', "import { samples } from './test/audit/samples.ts';"],
  ])('direction: %s with %s', (path, text) => {
    expect(checkDirection({ path, text })).toHaveLength(1);
  });

  it('and lets types of audit pass to dns and proxy', () => {
    const text = "import type { AuditSink } from '../audit/event.ts';";
    expect(checkDirection({ path: 'proxy/a.ts', text })).toEqual([]);
  });

  it.each([
    ['scripts/a.ts', "import { x } from '../test/a.ts';"],
    ['controller/a.ts', "import { x } from '../bench/a.ts';"],
  ])('tests and benchmarks: %s with %s', (path, text) => {
    expect(checkTestImports({ path, text })).toHaveLength(1);
  });

  it('a second importer of a library, one of a library that is no dependency, and a dependency without one', () => {
    const files = [
      { path: 'dns/a.ts', text: "import dns2 from 'dns2';" },
      { path: 'dns/b.ts', text: "const { Packet } = await import('dns2/packet.js');" },
      { path: 'proxy/a.ts', text: "import leftpad from '@scope/leftpad';" },
      { path: 'test/dns/a.test.ts', text: "import dns2 from 'dns2';" },
    ];
    expect(checkLibraries(files, ['dns2', 'zod'])).toEqual([
      'proxy/a.ts imports @scope/leftpad, which is no dependency',
      'dns2 has 2 importers: dns/a.ts, dns/b.ts',
      'zod has 0 importers: none',
    ]);
  });

  it.each([
    ['policies/a.ts', "import { connect } from 'node:net';"],
    ['policies/a.ts', "import { readFileSync } from 'node:fs';"],
    ['audit/a.ts', "import { lookup } from 'node:dns';"],
    ['proxy/a.ts', "import { lookup } from 'node:dns/promises';"],
    ['dns/a.ts', "import { spawn } from 'node:child_process';"],
    ['controller/run/a.ts', "import { spawn } from 'node:child_process';"],
  ])('modules of Node: %s with %s', (path, text) => {
    expect(checkNodeModules({ path, text })).toHaveLength(1);
  });

  it.each([
    ['controller/run/a.ts', "import { planMounts } from '../backends/linux/mounts.ts';"],
    ['controller/backends/tart/a.ts', "import { planMounts } from '../linux/mounts.ts';"],
  ])('backend folders: %s with %s', (path, text) => {
    expect(checkBackendImports({ path, text })).toHaveLength(1);
  });

  it('backend names', () => {
    const text = "if (backend.name === 'linux') return;";
    expect(checkBackendNames({ path: 'controller/run/a.ts', text })).toHaveLength(1);
  });
});
