/** Holds action.yml, its bundle, its page in docs/ and the sources together. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { EXITS } from '../../action/failure.ts';
import { inputVariable, MODES } from '../../action/inputs.ts';
import { COMMAND_VARIABLES, PASSED_VARIABLES } from '../../action/invocation.ts';
import { OUTPUTS } from '../../action/outputs.ts';
import { ERROR_CODES } from '../../controller/errors.ts';
import { importsOf } from '../house-rules/import-rules.ts';
import { readAction } from './runner/runner.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const action = readAction();
const page = read('docs/github-action.md');
const tableBelow = (heading: string) =>
  (page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '')
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .slice(2, -2)
        .split(' | ')
        .map((cell) => cell.trim()),
    );
const quoted = (text: string) => (text === '' ? '' : `\`${text}\``);

describe('the page about the action', () => {
  it('has every input with its default, and every output, in the words of action.yml', () => {
    expect(tableBelow('Inputs')).toEqual(
      Object.entries(action.inputs).map(([name, { description, default: preset = '' }]) => [
        `\`${name}\``,
        quoted(preset),
        description,
      ]),
    );
    expect(tableBelow('Outputs')).toEqual(
      Object.entries(action.outputs).map(([name, { description }]) => [`\`${name}\``, description]),
    );
  });

  it('lists the variables that pass, and the command files', () => {
    const [, block = ''] = /\n```\n(GITHUB_ACTION [^`]+)```/.exec(page) ?? [];
    expect(block.trim().split(/\s+/)).toEqual(PASSED_VARIABLES);
    for (const name of Object.values(COMMAND_VARIABLES)) expect(page).toContain(name);
    expect(
      PASSED_VARIABLES.filter(
        (name) => /TOKEN|SECRET|PASSWORD|KEY|URL$/.test(name) && !/_(API|GRAPHQL|SERVER)_URL$/.test(name),
      ),
    ).toEqual([]);
  });
});

describe('action.yml', () => {
  it('declares the outputs that are set, and the inputs that are read', () => {
    expect(Object.keys(action.outputs)).toEqual(OUTPUTS);
    const sources = read('action/inputs.ts');
    const names = [...sources.matchAll(/(?:text|flag)\('([\w-]+)'\)|inputVariable\('([\w-]+)'\)/g)].map(
      ([, plain, other]) => plain ?? other ?? '',
    );
    expect([...new Set(names)].sort()).toEqual(Object.keys(action.inputs).sort());
    for (const name of Object.keys(action.inputs)) expect(inputVariable(name)).not.toContain(' ');
    for (const mode of MODES) expect(action.inputs.mode?.description).toContain(`\`${mode}\``);
  });

  it('starts what is built', () => {
    expect(action.runs).toEqual({
      using: 'node24',
      main: 'action/dist/index.js',
      post: 'action/dist/post.js',
    });
  });
});

describe('the bundle', () => {
  it('is the one that these sources make, byte for byte', () => {
    const fresh = mkdtempSync(join(tmpdir(), 'sand-action-'));
    try {
      execFileSync(process.execPath, [join(ROOT, 'scripts/build-action.ts'), fresh], { cwd: ROOT });
      const names = readdirSync(fresh).sort();
      expect(readdirSync(join(ROOT, 'action/dist')).sort()).toEqual(names);
      const same = (name: string) => read(`action/dist/${name}`) === readFileSync(join(fresh, name), 'utf8');
      expect(
        names.filter((name) => !same(name)),
        'run: npm run build:action',
      ).toEqual([]);
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
  });

  it('brings nothing of anybody else along', () => {
    for (const name of readdirSync(join(ROOT, 'action/dist'))) {
      expect(read(`action/dist/${name}`)).not.toMatch(/^\/\/ node_modules/m);
    }
  });
});

it('the action imports Node’s own modules, its own, and of sand types and how text is escaped', () => {
  const strangers = readdirSync(join(ROOT, 'action'))
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => importsOf(read(`action/${name}`)))
    .filter(({ specifier, typeOnly }) => !typeOnly && !/^(node:|\.\/[\w-]+\.ts$)/.test(specifier))
    .map(({ specifier }) => specifier);
  expect([...new Set(strangers)]).toEqual(['../audit/escape.ts']);
});

it('the exit codes of the action are those of the catalogue', () => {
  for (const [code, exit] of Object.entries(EXITS)) {
    expect([code, ERROR_CODES[code as keyof typeof EXITS].exit]).toEqual([code, exit]);
  }
});
