import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../controller/cli/program.ts';
import {
  anchorsOf,
  type CommandShape,
  checkCommandLine,
  checkFlags,
  checkLinks,
  commandLinesOf,
  documentedFlags,
  flatten,
} from './document-rules.ts';
import { ROOT, readTree } from './tree.ts';

const documents = readTree().filter(({ path }) => path.endsWith('.md'));
const exists = (path: string) => existsSync(join(ROOT, path));
const read = (path: string) => documents.find((document) => document.path === path)?.text ?? null;
const reference = () => readFileSync(join(ROOT, 'docs/cli.md'), 'utf8');

function shapeOf(command: ReturnType<typeof createProgram>): CommandShape {
  // What sand calls for itself is hidden from people.
  const visible = command.createHelp().visibleCommands(command);
  return {
    name: command.name(),
    flags: command.options.map((option) => ({
      text: option.flags,
      names: option.flags.match(/(?<=^|[ ,])--?[a-z][a-z-]*/gi) ?? [],
      takesValue: option.required || option.optional,
    })),
    arguments: command.registeredArguments.length,
    commands: command.commands.filter((inner) => visible.includes(inner)).map(shapeOf),
  };
}

const program = shapeOf(createProgram({ command: null, write: () => {}, finish: () => {} }));

describe('documents', () => {
  it('link to what is there', () => {
    expect(documents.flatMap((document) => checkLinks(document, exists, read))).toEqual([]);
  });

  it('show command lines that the command tree knows', () => {
    const lines = documents.flatMap(({ path, text }) => commandLinesOf(text).map((line) => ({ path, line })));
    expect(lines.length).toBeGreaterThan(20);
    const wrong = lines.flatMap(({ path, line }) => {
      const said = checkCommandLine(line, program);
      return said === null ? [] : [`${path}: ${line}: ${said}`];
    });
    expect(wrong).toEqual([]);
  });
});

describe('docs/cli.md', () => {
  it('has every flag, with an example, and no other', () => {
    expect(checkFlags(program, documentedFlags(reference()))).toEqual([]);
  });

  it('has a section for every command', () => {
    const sections = [...reference().matchAll(/^## `(sand[^`]*)`/gm)].map(([, heading = '']) =>
      heading.split(/ (?=[^a-z])/, 1).join(''),
    );
    expect(sections).toEqual(flatten(program).map(([name]) => name));
  });
});

const SMALL: CommandShape = {
  name: 'sand',
  flags: [],
  arguments: 0,
  commands: [
    {
      name: 'run',
      flags: [
        { text: '--policy <P>', names: ['--policy'], takesValue: true },
        { text: '--json', names: ['--json'], takesValue: false },
      ],
      arguments: 0,
      commands: [],
    },
    {
      name: 'audit',
      flags: [],
      arguments: 1,
      commands: [{ name: 'ls', flags: [], arguments: 0, commands: [] }],
    },
  ],
};

describe('each document rule goes red', () => {
  it.each([
    'see [this](missing.md)',
    'see [this](../outside.md)',
    'see [`code`](missing.ts)',
    'see [a heading](#nowhere)',
    'see [there](b.md#nowhere)',
  ])('links: %s', (text) => {
    const found = checkLinks(
      { path: 'docs/a.md', text },
      (path) => /docs\/[ab]\.md/.test(path),
      () => '# Somewhere',
    );
    expect(found).toHaveLength(1);
  });

  it('lets links to the web, to files, and to headings pass, and what is only code', () => {
    const text =
      '# One `two` three\n[x](https://example.com) [x](b.md#somewhere) [x](#one-two-three) `[x](y.md)`\n```\n[x](y)\n```\n';
    const other = (path: string) => (path === 'docs/a.md' ? text : '## Somewhere');
    expect(checkLinks({ path: 'docs/a.md', text }, (path) => path.endsWith('.md'), other)).toEqual([]);
    expect(anchorsOf('# A\n# A\n')).toEqual(['a', 'a-1']);
  });

  it.each([
    ['sand fly', 'sand takes no fly'],
    ['sand run --fast -- true', 'run has no --fast'],
    ['sand run true', 'run takes no true'],
    ['sand audit ls RUN', 'ls takes no RUN'],
    ['sand audit --json', 'audit has no --json'],
  ])('command lines: %s', (line, said) => {
    expect(checkCommandLine(line, SMALL)).toBe(said);
  });

  it.each([
    'sand',
    'sand run --policy strict --json -- curl --silent https://example.com',
    'sand run [FLAGS] -- CMD [ARG...]',
    'sand audit [RUN]',
    'sand audit          the last run as a table',
    'sand audit | less',
    'sand audit ls --help',
    'sand COMMAND --help',
  ])('lets pass: %s', (line) => {
    expect(checkCommandLine(line, SMALL)).toBeNull();
  });

  it('finds command lines in fences and in code', () => {
    const text = 'Try `sand run`, not `sandbox`.\n\n```console\n$ npx sand audit\nsand denied it\n```\n';
    expect(commandLinesOf(text)).toEqual(['sand audit', 'sand denied it', 'sand run']);
  });

  it('a flag without a row, a row without a flag, and an example of something else', () => {
    const text = [
      '## `sand run [FLAGS] -- CMD`',
      '| `--policy <P>` | what | `sand run --json -- true` |',
      '| `--fast` | what | `sand run --fast -- true` |',
    ].join('\n');
    expect(checkFlags(SMALL, documentedFlags(text))).toEqual([
      'sand run --json is not documented',
      'the example of sand run --policy <P> does not show it',
      'sand run --fast is documented and does not exist',
    ]);
  });
});
