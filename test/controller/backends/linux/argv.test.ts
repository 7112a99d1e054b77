import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Launch, planCommand, planInit } from '../../../../controller/backends/linux/argv.ts';
import { commandSpec, initSpec } from './samples.ts';

/** Behind those of the report, the leave to go and, for the init, bubblewrap's status. */
const FIRST = { init: 6, command: 5 } as const;

/** What bubblewrap reads from the descriptor that `--args` names. */
function handedOptions(launch: Launch, first: number): readonly string[] {
  const descriptor = Number(launch.args[launch.args.indexOf('--args') + 1]);
  const bytes = launch.data[descriptor - first] ?? Buffer.alloc(0);
  return bytes.toString().split('\0').slice(0, -1);
}

function formatLaunch(launch: Launch, first: number): string {
  const handed = handedOptions(launch, first);
  const data = launch.data.map((bytes, at) => [first + at, bytes.toString()] as const);
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

const initOptions = () => handedOptions(planInit(initSpec()), FIRST.init);
const commandOptions = (terminal = false) =>
  handedOptions(planCommand(commandSpec({ terminal })), FIRST.command);

describe('variables that change a shell or a loader', () => {
  const environment = { LD_PRELOAD: '/evil.so', BASH_ENV: '/evil', PLAIN: 'x' };

  it.each([false, true])(
    'reach the command alone, and not what reports on its sandbox (terminal: %s)',
    (terminal) => {
      const launch = planCommand(commandSpec({ environment, terminal }));
      const options = handedOptions(launch, FIRST.command);
      expect(options).toEqual(
        expect.arrayContaining(['SAND_HELD_LD_PRELOAD', 'SAND_HELD_BASH_ENV', 'PLAIN']),
      );
      expect(options).not.toContain('LD_PRELOAD');
      expect(options).not.toContain('BASH_ENV');
    },
  );

  it('have their names and values again when it runs', () => {
    const { args } = planCommand(commandSpec({ environment: { LD_PRELOAD: '/a "b" $c' } }));
    const prelude = args.find((word) => word.includes('export LD_PRELOAD')) ?? '';
    const run = prelude.slice(prelude.indexOf('export LD_PRELOAD'));
    const command = ['-c', run, 'sand', '/usr/bin/env'];
    const shown = execFileSync('/bin/sh', command, {
      env: { SAND_HELD_LD_PRELOAD: '/a "b" $c' },
      stdio: 'pipe',
    });
    expect(shown.toString()).toContain('LD_PRELOAD=/a "b" $c\n');
    expect(shown.toString()).not.toContain('HELD');
  });
});

describe('a guest of an image', () => {
  const launcher = {
    bubblewrap: ['/l/bwrap'],
    shell: ['/l/sh'],
    cat: ['/l/cat'],
    readlink: ['/l/rl'],
    env: ['/l/env'],
  };

  it('has its root put together before bubblewrap of the host starts, and stays writable', () => {
    const launch = planInit(initSpec({ launcher, overlay: ['unshare', '--mount', '--'] }));
    const words = launch.args.slice(launch.args.indexOf('unshare'));
    expect(words.slice(0, 4)).toEqual(['unshare', '--mount', '--', 'bwrap']);
    expect(words).toContain('/l/sh');
    expect(handedOptions(launch, FIRST.init)).not.toContain('--remount-ro');
  });

  it('starts commands by the launcher, and by nothing of the image', () => {
    for (const terminal of [false, true]) {
      const { args } = planCommand(commandSpec({ launcher, terminal }));
      const inside = args.slice(args.lastIndexOf('nsenter')).join(' ');
      expect(inside).toContain('-- /l/bwrap --args');
      expect(inside).toContain('/l/cat /proc/self/status');
      expect(inside).not.toMatch(/\/bin\/sh|\/usr\/bin\/env/);
    }
  });
});

describe('the guest\u2019s init', () => {
  it('is planned as before', () => {
    expectGolden('init.txt', formatLaunch(planInit(initSpec()), FIRST.init));
  });

  it.each([
    ['--unshare-user'],
    ['--disable-userns'],
    ['--unshare-pid'],
    ['--as-pid-1'],
    ['--unshare-ipc'],
    ['--die-with-parent'],
    ['--new-session'],
    ['--clearenv'],
    ['--seccomp'],
    ['--cap-drop'],
  ])('always says %s', (option) => {
    expect(initOptions()).toContain(option);
  });

  it('enters the holder\u2019s user and network namespaces, and makes no network namespace of its own', () => {
    const launch = planInit(initSpec({ holderPid: 99 }));
    expect(launch.args).toEqual(expect.arrayContaining(['--user=/proc/99/ns/user', '--net=/proc/99/ns/net']));
    const options = handedOptions(launch, FIRST.init);
    expect(options).not.toContain('--unshare-net');
    expect(options).not.toContain('--unshare-all');
  });

  it('names every handed-over descriptor once', () => {
    const launch = planInit(initSpec());
    expect(namedDescriptors(launch, FIRST.init)).toEqual(launch.data.map((_, at) => FIRST.init + at));
  });

  it('reaps what is orphaned, says when it is there, and lives as long as its input', () => {
    const program = planInit(initSpec()).args.at(-1) ?? '';
    const said = execFileSync('sh', ['-c', `exec 4<&0; ${program}`], {
      input: '',
      stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
    });
    expect(said.toString()).toBe('');
    expect(program).toContain('--ignore-signal=CHLD');
  });
});

describe('a command', () => {
  it('is planned without a terminal', () => {
    expectGolden('command.txt', formatLaunch(planCommand(commandSpec()), FIRST.command));
  });

  it('is planned on a terminal', () => {
    const launch = planCommand(commandSpec({ terminal: true }));
    expectGolden('command-terminal.txt', formatLaunch(launch, FIRST.command));
  });

  it('keeps job control on a terminal, and takes the session away without one', () => {
    expect(commandOptions()).toContain('--new-session');
    expect(commandOptions(true)).not.toContain('--new-session');
  });

  it.each([
    ['--unshare-user'],
    ['--disable-userns'],
    ['--die-with-parent'],
    ['--clearenv'],
    ['--seccomp'],
    ['--cap-drop'],
  ])('always says %s', (option) => {
    fc.assert(
      fc.property(fc.boolean(), (terminal) => {
        expect(commandOptions(terminal)).toContain(option);
      }),
    );
  });

  it('joins the guest from the link\u2019s user namespace, and makes none of the guest\u2019s own anew', () => {
    const launch = planCommand(commandSpec({ holderPid: 99, initPid: 77 }));
    const args = launch.args.join(' ');
    expect(args).toContain(
      'nsenter --user=/proc/99/ns/user --preserve-credentials -- nsenter --net=/proc/99/ns/net',
    );
    for (const kind of ['mnt', 'pid', 'ipc', 'uts']) expect(args).toContain(`=/proc/77/ns/${kind}`);
    const options = handedOptions(launch, FIRST.command);
    for (const option of ['--unshare-pid', '--unshare-ipc', '--unshare-net', '--unshare-all', '--tmpfs'])
      expect(options).not.toContain(option);
  });

  it('ties a command to sand’s end from its first moment on', () => {
    const { file, args } = planCommand(commandSpec());
    expect([file, ...args.slice(0, 3)]).toEqual(['setpriv', '--pdeathsig', 'KILL', '--']);
  });

  const word = fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0'));
  const name = fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,8}$/);

  it('hands the command over as it is, whatever its words are', () => {
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), fc.boolean(), (command, terminal) => {
        const { args } = planCommand(commandSpec({ command, terminal }));
        expect(args.slice(-command.length)).toEqual(command);
        expect(args.at(-command.length - 1)).toBe('sand');
      }),
    );
  });

  it('shows no variable on a command line that every user of the host can read', () => {
    fc.assert(
      fc.property(fc.dictionary(name, word), (named) => {
        const environment = { ...named, SECRET: 'sesame-of-the-test' };
        const launch = planCommand(commandSpec({ environment }));
        expect(launch.args.join('\0')).not.toContain('sesame-of-the-test');
        const handed = handedOptions(launch, FIRST.command);
        for (const [key, value] of Object.entries(environment)) {
          const at = handed.findIndex((option, i) => option === '--setenv' && handed[i + 1] === key);
          expect(handed[at + 2]).toBe(value);
        }
      }),
    );
  });

  it('names every handed-over descriptor once', () => {
    const launch = planCommand(commandSpec());
    expect(namedDescriptors(launch, FIRST.command)).toEqual(launch.data.map((_, at) => FIRST.command + at));
  });

  it.each([false, true])('has a prelude that sh can read (terminal: %s)', (terminal) => {
    const { args } = planCommand(commandSpec({ terminal }));
    const prelude = args[args.lastIndexOf('-c') + 1] ?? '';
    expect(() => execFileSync('sh', ['-n', '-c', prelude])).not.toThrow();
    expect(prelude).toContain('exec "$@"');
  });
});

function namedDescriptors(launch: Launch, first: number): readonly number[] {
  const options = handedOptions(launch, first);
  const named = ['--seccomp', '--ro-bind-data', '--file'].flatMap((option) =>
    options.flatMap((word, at) => (word === option ? [Number(options[at + 1])] : [])),
  );
  return [...named, Number(launch.args[launch.args.indexOf('--args') + 1])].sort((a, b) => a - b);
}
