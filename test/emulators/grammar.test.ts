import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { dumpHelp } from './grammar/help.ts';
import { readGrammar } from './grammar/model.ts';
import { type ParseResult, parseCommandLine } from './grammar/parse.ts';
import { splitArguments } from './grammar/tokens.ts';

const FILE = fileURLToPath(new URL('container/grammar.json', import.meta.url));
const GRAMMAR = readGrammar(FILE, 'container');
const EXAMPLES: {
  accept: string[][];
  reject: { argv: string[]; status: number; why: string }[];
} = JSON.parse(readFileSync(FILE, 'utf8')).examples;

function parse(...words: string[]): ParseResult {
  return parseCommandLine(GRAMMAR, words);
}

function given(...words: string[]) {
  const parsed = parse(...words);
  if (parsed.kind !== 'command') throw new Error(`refused: ${words.join(' ')}`);
  return parsed;
}

function refusalOf(...words: string[]): string {
  const parsed = parse(...words);
  return parsed.kind === 'refused' ? (parsed.stderr.split('\n')[0] ?? '') : parsed.kind;
}

describe('the examples of the grammar', () => {
  it.each(EXAMPLES.accept.map((words) => [words.join(' '), words]))('accepts %s', (_, words) => {
    expect(parseCommandLine(GRAMMAR, words).kind).toBe('command');
  });

  it.each(
    EXAMPLES.reject.filter(({ status }) => status === 64).map(({ argv, why }) => [argv.join(' '), why, argv]),
  )('refuses %s: %s', (_, __, words) => {
    const parsed = parseCommandLine(GRAMMAR, words);
    if (parsed.kind === 'refused') expect(parsed.status).toBe(64);
    else expect(parsed.kind).toBe('unknown');
  });
});

describe('values of options', () => {
  it('takes one that is attached, and the next word where nothing is attached', () => {
    expect(given('run', '--env=A=1', '--env', 'B=2', '-e=C=3', 'x').values.get('--env')).toEqual([
      'A=1',
      'B=2',
      'C=3',
    ]);
    expect(given('run', '--name=', 'n', 'x').values.get('--name')).toEqual(['n']);
    expect(given('run', '--name', '', 'x').values.get('--name')).toEqual(['']);
    expect(given('run', '--name', '-', 'x').values.get('--name')).toEqual(['-']);
  });

  it('takes none that begins with a dash unless it is attached', () => {
    expect(refusalOf('run', '--env', '-X=1', 'x')).toBe("Error: Missing value for '--env <env>'");
    expect(given('run', '--env=-X=1', 'x').values.get('--env')).toEqual(['-X=1']);
    expect(refusalOf('run', '--name', '--', 'x')).toBe("Error: Missing value for '--name <name>'");
  });

  it('lets only the last letter of a pack take one', () => {
    expect(given('run', '-itu', 'root', 'x').values.get('--user')).toEqual(['root']);
    expect(refusalOf('run', '-uit', 'root', 'x')).toBe("Error: Missing value for '-u <user>'");
  });

  it('reads numbers within the range of their type', () => {
    expect(refusalOf('run', '--uid', '4294967296', 'x')).toContain(
      "The value '4294967296' is invalid for '--uid <uid>'",
    );
    expect(refusalOf('run', '--uid', '1x', 'x')).toContain('is invalid');
    expect(given('run', '--uid', '4294967295', 'x').values.get('--uid')).toEqual(['4294967295']);
  });

  it('names what may be chosen', () => {
    expect(refusalOf('ls', '--format', 'xml')).toBe(
      "Error: The value 'xml' is invalid for '--format <format>'. Please provide one of 'json', 'table', 'yaml', or 'toml'.",
    );
  });
});

describe('where options end', () => {
  it('hands everything over from the first argument on, the terminator included', () => {
    expect(given('run', 'alpine', '--', 'ls', '-la', '--help').arguments).toEqual([
      ...['alpine', '--', 'ls', '-la', '--help'],
    ]);
  });

  it('swallows a terminator before the image', () => {
    expect(given('exec', '-i', '--', 'id', 'cmd', '---x', '-=y', '--').arguments).toEqual([
      ...['id', 'cmd', '---x', '-=y', '--'],
    ]);
  });

  it('refuses three dashes anywhere before a terminator', () => {
    expect(refusalOf('exec', 'id', 'cmd', '---x')).toBe('Error: Invalid option: ---x');
    expect(refusalOf('exec', 'id', 'cmd', '-=x')).toBe('Error: Invalid option: -=x');
    expect(splitArguments(['--', '---x']).ok).toBe(true);
  });

  it('mixes options and arguments where nothing is handed over', () => {
    const parsed = given('stop', 'a', '--time', '3', 'b');
    expect([parsed.arguments, parsed.values.get('--time')]).toEqual([['a', 'b'], ['3']]);
  });
});

describe('what is printed', () => {
  it('says how a command is used after what is wrong', () => {
    const parsed = parse('stop', '--tme', '3', 'a');
    expect(parsed).toMatchObject({
      kind: 'refused',
      stderr: [
        "Error: Unknown option '--tme'. Did you mean '--time'?",
        'Usage: container stop [--signal <signal>] [--time <time>] [--all] [--debug] [<container-ids> ...]',
        "  See 'container stop --help' for more information.",
        '',
      ].join('\n'),
    });
  });

  it('gives help even where something is wrong, and for a group alone', () => {
    for (const words of [['stop', '--bogus', '--help'], ['network'], ['help', 'stop'], ['-h']]) {
      expect(parse(...words).kind, words.join(' ')).toBe('printed');
    }
    expect(parse('network', '--bogus').kind).toBe('refused');
    expect(parse('--version').kind).toBe('version');
  });

  it('dumps the grammar in the form of the parser', () => {
    expect(parse('--experimental-dump-help').kind).toBe('dump');
    const dumped = JSON.stringify(dumpHelp(GRAMMAR));
    expect(dumped).toContain('"commandName":"container"');
    expect(dumped).toContain('"valueName":"nameserver"'.replace('nameserver', 'ip'));
  });
});

describe('older versions', () => {
  it('do not know what came later', () => {
    const older = readGrammar(FILE, 'container', '1.1.0');
    const words = ['run', '--masked-path', 'NONE', 'x'];
    expect(parseCommandLine(older, words).kind).toBe('refused');
    expect(parse(...words).kind).toBe('command');
    expect(parseCommandLine(readGrammar(FILE, 'container', '0.12.3'), ['cp', 'a:/x', 'y']).kind).toBe(
      'unknown',
    );
  });
});
