/** Every argument list, as text, and as the tool's own grammar takes it. */
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import {
  LIST,
  planClone,
  planCreate,
  planDelete,
  planExec,
  planFullName,
  planGet,
  planIp,
  planPull,
  planRun,
  planSet,
  planStop,
} from '../../../../controller/backends/tart/argv.ts';
import { readGrammar } from '../../../emulators/grammar/model.ts';
import { parseCommandLine } from '../../../emulators/grammar/parse.ts';

const GRAMMAR = readGrammar(
  fileURLToPath(new URL('../../../emulators/tart/grammar.json', import.meta.url)),
  'tart',
  '2.35.0',
);
const NONE = { cpus: null, memoryMiB: null, diskGB: null, display: null };
const EXEC = { name: 'sand-1', interactive: true, terminal: false, command: ['ls'] };

const LISTS: Readonly<Record<string, readonly string[]>> = {
  'list --source local --format json': LIST,
  'clone -- ghcr.io/a/b:latest sand-1': planClone('ghcr.io/a/b:latest', 'sand-1'),
  'set --random-mac -- sand-1': planSet('sand-1', NONE),
  'set --random-mac --cpu=4 --memory=8192 --disk-size=60 --display=1920x1200 -- sand-1': planSet('sand-1', {
    cpus: 4,
    memoryMiB: 8192,
    diskGB: 60,
    display: '1920x1200',
  }),
  'run --no-graphics --no-audio --no-clipboard --net-softnet --dir=a:/x y:ro --dir=b:/z -- sand-1': planRun({
    name: 'sand-1',
    card: 'cable',
    vnc: false,
    shares: [
      { name: 'a', source: '/x y', writable: false },
      { name: 'b', source: '/z', writable: true },
    ],
  }),
  'run --no-graphics --no-audio --no-clipboard --net-softnet --net-softnet-block=0.0.0.0/0 --net-softnet-allow=@host -- sand-1':
    planRun({ name: 'sand-1', card: 'softnet', vnc: false, shares: [] }),
  'run --no-graphics --no-audio --no-clipboard -- sand-1': planRun({
    name: 'sand-1',
    card: 'nat',
    vnc: false,
    shares: [],
  }),
  'exec -i -- sand-1 ls': planExec(EXEC),
  'exec -i -t -- sand-1 ls': planExec({ ...EXEC, terminal: true }),
  'get --format json -- sand-1': planGet('sand-1'),
  'stop --timeout 5 -- sand-1': planStop('sand-1', 5),
  'delete -- sand-1': planDelete('sand-1'),
  'ip --resolver agent -- sand-1': planIp('sand-1'),
  'fqn -- ghcr.io/a/b:latest': planFullName('ghcr.io/a/b:latest'),
  'pull -- ghcr.io/a/b:latest': planPull('ghcr.io/a/b:latest'),
  'create --from-ipsw=latest --disk-size=80 -- sand-macos': planCreate('sand-macos', 'latest', 80),
};

describe('argument lists', () => {
  it.each(Object.entries(LISTS))('%s', (text, words) => {
    expect(words.join(' ')).toBe(text);
    expect(parseCommandLine(GRAMMAR, words)).toMatchObject({ command: { path: [words[0]] } });
  });

  it('a machine never has another network, a microphone or a clipboard of the host', () => {
    const words = planRun({ name: 'sand-1', card: 'cable', vnc: true, shares: [] });
    expect(words).toEqual(expect.arrayContaining(['--no-audio', '--no-clipboard', '--net-softnet', '--vnc']));
    expect(words.filter((word) => word.startsWith('--net'))).toEqual(['--net-softnet']);
  });

  it('words of a command are never the tool\u2019s, whatever they begin with', () => {
    const command = ['cut', '-t', '--', '---x', '-i'];
    const parsed = parseCommandLine(GRAMMAR, planExec({ ...EXEC, interactive: false, command }));
    expect(parsed).toMatchObject({ arguments: ['sand-1', ...command] });
    expect(parsed).not.toMatchObject({ flags: new Set(['-i']) });
  });

  it.each(['/a:b', 'relative', '~/x', 'https://example.com/x.tar', '/a\nb', ''])(
    'paths of another meaning: refuses to share %j, which the tool would read as something else',
    (source) => {
      const shares = [{ name: 'a', source, writable: true }];
      expect(() => planRun({ name: 'sand-1', card: 'cable', vnc: false, shares })).toThrow(
        /cannot be mounted/,
      );
    },
  );
});
