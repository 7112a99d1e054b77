import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  FIRST_DATA_DESCRIPTOR,
  type Launch,
  planLaunch,
} from '../../../../controller/backends/linux/argv.ts';
import { launchSpec } from './samples.ts';

/** What bubblewrap reads from the descriptor that `--args` names. */
function handedOptions(launch: Launch): readonly string[] {
  const descriptor = Number(launch.args[launch.args.indexOf('--args') + 1]);
  const bytes = launch.data[descriptor - FIRST_DATA_DESCRIPTOR] ?? Buffer.alloc(0);
  return bytes.toString().split('\0').slice(0, -1);
}

function formatLaunch(launch: Launch): string {
  const handed = handedOptions(launch);
  const data = launch.data.map((bytes, at) => [FIRST_DATA_DESCRIPTOR + at, bytes.toString()] as const);
  const shown = data.filter(([, text]) => !text.includes('\0'));
  return [
    ...['# command line', launch.file, ...launch.args, '', '# handed over to bubblewrap', ...handed, ''],
    ...shown.flatMap(([descriptor, text]) => [`# descriptor ${descriptor}`, text]),
    '',
  ].join('\n');
}

function expectGolden(name: string, actual: string): void {
  const file = new URL(`golden/${name}`, import.meta.url);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, actual);
  expect(actual).toBe(readFileSync(file, 'utf8'));
}

describe('planLaunch', () => {
  it('plans a guest without a terminal', () => {
    expectGolden('launch.txt', formatLaunch(planLaunch(launchSpec())));
  });

  it('plans a guest on a terminal', () => {
    expectGolden('launch-terminal.txt', formatLaunch(planLaunch(launchSpec({ terminal: true }))));
  });

  it('keeps job control on a terminal, and takes the session away without one', () => {
    expect(handedOptions(planLaunch(launchSpec()))).toContain('--new-session');
    expect(handedOptions(planLaunch(launchSpec({ terminal: true })))).not.toContain('--new-session');
  });

  it.each([
    ['--unshare-user'],
    ['--disable-userns'],
    ['--unshare-pid'],
    ['--unshare-ipc'],
    ['--die-with-parent'],
    ['--clearenv'],
    ['--seccomp'],
    ['--cap-drop'],
  ])('always says %s', (option) => {
    fc.assert(
      fc.property(fc.boolean(), (terminal) => {
        expect(handedOptions(planLaunch(launchSpec({ terminal })))).toContain(option);
      }),
    );
  });

  it('enters the holder\u2019s user and network namespaces, and makes no network namespace of its own', () => {
    const launch = planLaunch(launchSpec({ holderPid: 99 }));
    expect(launch.args).toEqual(expect.arrayContaining(['--user=/proc/99/ns/user', '--net=/proc/99/ns/net']));
    expect(handedOptions(launch)).not.toContain('--unshare-net');
    expect(handedOptions(launch)).not.toContain('--unshare-all');
  });

  it('ends with sand from its first moment on', () => {
    expect(planLaunch(launchSpec()).args.slice(0, 3)).toEqual(['--pdeathsig', 'KILL', '--']);
  });

  const word = fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0'));
  const name = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,8}$/);

  it('hands the command over as it is, whatever its words are', () => {
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), fc.boolean(), (command, terminal) => {
        const { args } = planLaunch(launchSpec({ command, terminal }));
        expect(args.slice(-command.length)).toEqual(command);
        expect(args.at(-command.length - 1)).toBe('sand');
      }),
    );
  });

  it('shows no variable on a command line that every user of the host can read', () => {
    fc.assert(
      fc.property(fc.dictionary(name, word), (named) => {
        const environment = { ...named, SECRET: 'sesame-of-the-test' };
        const launch = planLaunch(launchSpec({ environment }));
        expect(launch.args.join('\0')).not.toContain('sesame-of-the-test');
        const handed = handedOptions(launch);
        for (const [key, value] of Object.entries(environment)) {
          const at = handed.findIndex((option, i) => option === '--setenv' && handed[i + 1] === key);
          expect(handed[at + 2]).toBe(value);
        }
      }),
    );
  });

  it('names every handed-over descriptor once', () => {
    const launch = planLaunch(launchSpec());
    const options = handedOptions(launch);
    const named = ['--seccomp', '--ro-bind-data', '--file'].flatMap((option) =>
      options.flatMap((word, at) => (word === option ? [Number(options[at + 1])] : [])),
    );
    const all = [...named, Number(launch.args[launch.args.indexOf('--args') + 1])].sort((a, b) => a - b);
    expect(all).toEqual(launch.data.map((_, at) => FIRST_DATA_DESCRIPTOR + at));
  });

  it.each([false, true])('has a prelude that sh can read (terminal: %s)', (terminal) => {
    const { args } = planLaunch(launchSpec({ terminal }));
    const prelude = args[args.lastIndexOf('-c') + 1] ?? '';
    expect(() => execFileSync('sh', ['-n', '-c', prelude])).not.toThrow();
    expect(prelude).toContain('exec "$@"');
  });
});
