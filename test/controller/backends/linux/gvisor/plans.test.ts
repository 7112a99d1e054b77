import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { INIT_DATA_DESCRIPTOR, type Launch } from '../../../../../controller/backends/linux/argv.ts';
import {
  type CommandSpec,
  END_SESSION,
  planCommandProcess,
  planConfig,
  planReportProcess,
} from '../../../../../controller/backends/linux/gvisor/bundle.ts';
import { planExec, planHolder } from '../../../../../controller/backends/linux/gvisor/launch.ts';
import {
  GUEST_ROOT,
  planBundleMounts,
  planOuterMounts,
} from '../../../../../controller/backends/linux/gvisor/view.ts';
import type { Mount } from '../../../../../controller/backends/linux/mounts.ts';

const MOUNTS: readonly Mount[] = [
  { kind: 'bind', source: '/usr', target: '/usr', writable: false },
  { kind: 'symlink', value: 'usr/bin', target: '/bin' },
  { kind: 'bind', source: '/etc', target: '/etc', writable: false },
  { kind: 'bind', source: '/dev/null', target: '/etc/shadow', writable: false },
  { kind: 'bind', source: '/sys/devices/system/cpu', target: '/sys/devices/system/cpu', writable: false },
  { kind: 'proc' },
  { kind: 'bind', source: '/proc/sys', target: '/proc/sys', writable: false },
  { kind: 'dev' },
  { kind: 'tmpfs', target: '/tmp', mode: '1777' },
  { kind: 'tmpfs', target: '/dev/shm', mode: '1777' },
  { kind: 'bind', source: '/home/me/work', target: '/home/me/work', writable: true },
  { kind: 'bind', source: '/home/me/work/.git', target: '/home/me/work/.git', writable: true },
  { kind: 'bind', source: '/home/me/work/.git/hooks', target: '/home/me/work/.git/hooks', writable: false },
  { kind: 'data', target: '/etc/resolv.conf', content: 'nameserver 198.18.0.1\n' },
];

function outer(mounts: readonly Mount[] = MOUNTS): readonly Mount[] {
  return planOuterMounts({
    mounts,
    system: [
      { path: '/usr', link: null },
      { path: '/bin', link: 'usr/bin' },
      { path: '/etc', link: null },
    ],
    runsc: '/usr/bin/runsc',
    config: '{}',
  });
}

const COMMAND: CommandSpec = {
  identity: { uid: 1000, gid: 1000 },
  environment: { PATH: '/usr/bin', TOKEN: 'sesame-of-the-test' },
  workdir: '/home/me/work',
  command: ['npm', 'test'],
};

function formatLaunch(launch: Launch): string {
  const data = launch.data.map((bytes, at) => `# data ${at}\n${bytes.toString().replaceAll('\0', '\n')}`);
  return `${[launch.file, ...launch.args].join('\n')}\n\n${data.join('\n')}\n`;
}

function expectGolden(name: string, actual: string): void {
  const file = new URL(`golden/${name}`, import.meta.url);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, actual);
  expect(actual).toBe(readFileSync(file, 'utf8'));
}

describe('the view of a gVisor guest', () => {
  it('is planned', () => {
    const lines = [...outer(), ...planBundleMounts(MOUNTS)].map((mount) => JSON.stringify(mount));
    expectGolden('view.txt', `${lines.join('\n')}\n`);
  });

  it('shows nothing of what runsc needs below the guest\u2019s root', () => {
    const guest = outer().filter((mount) => 'target' in mount && mount.target.startsWith(GUEST_ROOT));
    expect(JSON.stringify(guest)).not.toContain('/sand');
  });

  it('leaves out what guards the host\u2019s own /proc, /sys and /dev, which no gVisor guest sees', () => {
    const targets = outer().flatMap((mount) => ('target' in mount ? [mount.target] : []));
    for (const path of ['/proc/sys', '/sys/devices/system/cpu', '/dev/shm'])
      expect(targets).not.toContain(GUEST_ROOT + path);
  });

  it('keeps the order of the plan, so that a mask covers what it masks', () => {
    const targets = outer().flatMap((mount) => ('target' in mount ? [mount.target] : []));
    expect(targets.indexOf(`${GUEST_ROOT}/etc/shadow`)).toBeGreaterThan(targets.indexOf(`${GUEST_ROOT}/etc`));
  });

  it('asks the host anew for what both can write, by its outermost folder', () => {
    const shared = planBundleMounts(MOUNTS).filter(({ type }) => type === 'bind');
    expect(shared.map(({ destination }) => destination)).toEqual(['/home/me/work']);
  });
});

describe('a gVisor guest\u2019s documents', () => {
  it('are planned', () => {
    const documents = [
      planConfig(planBundleMounts(MOUNTS)),
      planCommandProcess(COMMAND, false),
      planCommandProcess(COMMAND, true),
      planReportProcess(COMMAND, 'n0nce.probe.sand'),
    ];
    const shown = documents.map((text) => JSON.stringify(JSON.parse(text), null, 2));
    expectGolden('documents.txt', `${shown.join('\n')}\n`);
  });

  const word = fc.string({ unit: 'binary' });
  it('hand the command over as it is, with no capability and no new privileges', () => {
    fc.assert(
      fc.property(fc.array(word, { minLength: 1 }), fc.boolean(), (command, terminal) => {
        const process = JSON.parse(planCommandProcess({ ...COMMAND, command }, terminal));
        expect(process.args.slice(-command.length)).toEqual(command);
        expect(Object.values(process.capabilities).flat()).toEqual([]);
        expect(process.noNewPrivileges).toBe(true);
        expect(process.terminal).toBe(terminal);
      }),
    );
  });

  it.each([
    ['a command', planCommandProcess(COMMAND, false)],
    ['a command on a terminal', planCommandProcess(COMMAND, true)],
    ['a look', planReportProcess(COMMAND, 'n0nce.probe.sand')],
    ['the holder', JSON.stringify(JSON.parse(planConfig([])).process)],
  ])('have a script that sh can read: %s', (_, text) => {
    const { args } = JSON.parse(text);
    expect(() => execFileSync('sh', ['-n', '-c', args[args.indexOf('-c') + 1]])).not.toThrow();
  });

  it('leave the user alone where it is root', () => {
    const { args } = JSON.parse(planCommandProcess({ ...COMMAND, identity: { uid: 0, gid: 0 } }, false));
    expect(args[0]).toBe('/bin/sh');
  });
});

describe('launches of gVisor', () => {
  const EXEC = {
    holderPid: 10,
    initPid: 20,
    joining: [],
    id: 'abc',
    process: planCommandProcess(COMMAND, false),
  };

  it('are planned', () => {
    expectGolden('holder.txt', formatLaunch(planHolder({ linkPid: 10, joining: [], mounts: outer() })));
    expectGolden('exec.txt', formatLaunch(planExec({ ...EXEC, terminal: false })));
    expectGolden('exec-terminal.txt', formatLaunch(planExec({ ...EXEC, terminal: true })));
  });

  it('end with sand from their first moment on', () => {
    for (const { args } of [
      planHolder({ linkPid: 1, joining: [], mounts: [] }),
      planExec({ ...EXEC, terminal: true }),
    ])
      expect(args.slice(0, 3)).toEqual(['--pdeathsig', 'KILL', '--']);
  });

  it('start gVisor in the link\u2019s namespaces, and in a PID namespace that ends with bubblewrap', () => {
    const launch = planHolder({ linkPid: 99, joining: [], mounts: outer() });
    expect(launch.args).toEqual(expect.arrayContaining(['--user=/proc/99/ns/user', '--net=/proc/99/ns/net']));
    const at = Number(launch.args[launch.args.indexOf('--args') + 1]) - INIT_DATA_DESCRIPTOR;
    const options = launch.data[at]?.toString().split('\0') ?? [];
    expect(options).toEqual(expect.arrayContaining(['--unshare-pid', '--die-with-parent']));
    expect(options).not.toContain('--unshare-net');
  });

  it('open no socket of the host, and write to no overlay', () => {
    const { args } = planHolder({ linkPid: 1, joining: [], mounts: [] });
    expect(args).toEqual(expect.arrayContaining(['--host-uds=none', '--overlay2=none', '--network=host']));
  });

  it('show no variable on a command line that every user of the host can read', () => {
    expect(planExec({ ...EXEC, terminal: false }).args.join('\0')).not.toContain('sesame-of-the-test');
  });

  it('have scripts that sh can read', () => {
    for (const { args } of [
      planHolder({ linkPid: 1, joining: [], mounts: [] }),
      planExec({ ...EXEC, terminal: true }),
    ]) {
      const script = args[args.lastIndexOf('-c') + 1] ?? '';
      expect(() => execFileSync('sh', ['-n', '-c', script])).not.toThrow();
    }
    expect(() => execFileSync('sh', ['-n', '-c', END_SESSION])).not.toThrow();
    // It stands between single quotes.
    expect(END_SESSION).not.toContain("'");
  });
});
