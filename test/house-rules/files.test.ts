import { describe, expect, it } from 'vitest';
import {
  checkBarrel,
  checkExit,
  checkModuleState,
  checkName,
  checkOpening,
  checkPlaces,
  checkPromises,
  checkStilled,
} from './file-rules.ts';
import { isSource, isTest, readTree } from './tree.ts';

const tree = readTree();

describe('files', () => {
  it('are found at all', () => {
    expect(tree.filter(({ path }) => isSource(path)).length).toBeGreaterThan(100);
    expect(tree.filter(({ path }) => isTest(path)).length).toBeGreaterThan(20);
  });

  it('are named in kebab-case, by nouns that say something', () => {
    expect(tree.flatMap(checkName)).toEqual([]);
  });

  it('open with a comment', () => {
    expect(tree.flatMap(checkOpening)).toEqual([]);
  });

  it('end the process in the entry, the planter, the prober and the dialer alone', () => {
    expect(tree.flatMap(checkExit)).toEqual([]);
  });

  it('keep no state in modules', () => {
    expect(tree.flatMap(checkModuleState)).toEqual([]);
  });

  it('are no barrels', () => {
    expect(tree.flatMap(checkBarrel)).toEqual([]);
  });

  it('promise nothing', () => {
    expect(tree.flatMap(checkPromises)).toEqual([]);
  });

  it('name no registry host and no path of one machine', () => {
    expect(tree.flatMap(checkPlaces)).toEqual([]);
  });

  it('still no test', () => {
    expect(tree.flatMap(checkStilled)).toEqual([]);
  });
});

describe('each file rule goes red', () => {
  it.each([
    'controller/run/signalHandling.ts',
    'dns/wire_format.ts',
    'proxy/utils.ts',
    'audit/log-manager.ts',
    'controller/services/guest.ts',
    'test/dns/helpers.ts',
  ])('names: %s', (path) => {
    expect(checkName({ path, text: '' })).toHaveLength(1);
  });

  it('lets a name in one word, with hyphens, and of a test pass', () => {
    const paths = ['dns/plan.ts', 'dns/system-resolvers.ts', 'test/dns/plan.test.ts', 'docs/Whatever.md'];
    expect(paths.flatMap((path) => checkName({ path, text: '' }))).toEqual([]);
  });

  it.each(["import { a } from './a.ts';\n/** late */\n", '// a line is no such comment\n', '/** */\n'])(
    'openings: %j',
    (text) => {
      expect(checkOpening({ path: 'dns/a.ts', text })).toHaveLength(1);
    },
  );

  it('lets a script with its interpreter line open with a comment after it', () => {
    expect(
      checkOpening({ path: 'controller/bin/a.js', text: '#!/usr/bin/env node\n/**\n * A.\n */\n' }),
    ).toEqual([]);
  });

  it.each(['process.exit(1);', 'process.abort();', 'process?.exit(0)'])('exits: %s', (text) => {
    expect(checkExit({ path: 'controller/run/a.ts', text })).toHaveLength(1);
    expect(checkExit({ path: 'controller/cli/main.ts', text })).toEqual([]);
  });

  it.each(['let count = 0;', 'export let count = 0;', 'var count;'])('module state: %s', (text) => {
    expect(checkModuleState({ path: 'dns/a.ts', text })).toHaveLength(1);
  });

  it('barrels', () => {
    expect(checkBarrel({ path: 'dns/index.ts', text: '' })).toHaveLength(1);
    expect(checkBarrel({ path: 'dns/a.ts', text: "export * from './b.ts';" })).toHaveLength(1);
  });

  it.each(['TO', 'FIX'])('promises: %s…', (half) => {
    const word = half === 'TO' ? `${half}DO` : `${half}ME`;
    expect(checkPromises({ path: 'dns/a.ts', text: `/** ok */\n// ${word}: later` })).toHaveLength(1);
  });

  it('registry hosts, and lets their patterns pass', () => {
    const host = ['registry', 'npmjs', 'org'].join('.');
    const mirror = ['deb', 'debian', 'org'].join('.');
    const text = `allow: ${host}\nallow: ${mirror}\nallow: "*.npmjs.org"\nallow: "**.debian.org"`;
    expect(checkPlaces({ path: 'README.md', text })).toHaveLength(2);
  });

  it('paths of one machine', () => {
    const text = ['see ', '/work', '/shared/notes'].join('');
    expect(checkPlaces({ path: 'docs/a.md', text })).toHaveLength(1);
  });

  it.each(['it', 'describe', 'test.concurrent'])('stilled tests: %s', (name) => {
    for (const how of ['skip', 'only', 'todo']) {
      const text = [name, `.${how}`, "('x', () => {})"].join('');
      expect(checkStilled({ path: 'test/a.test.ts', text })).toHaveLength(1);
    }
    expect(checkStilled({ path: 'test/a.test.ts', text: `${name}.skipIf(!isRoot)('x', () => {})` })).toEqual(
      [],
    );
  });
});
