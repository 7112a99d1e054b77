import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { checkLinux, type LinuxHost, systemHost } from '../../../../controller/backends/linux/checks.ts';
import type { Attempt } from '../../../../controller/doctor/attempt.ts';
import { toolPath } from '../../../../controller/process/tool-path.ts';
import type { CgroupFacts } from '../../../../controller/resources/plan.ts';

const ran = (stdout: string, exitCode = 0, stderr = ''): Attempt => ({
  kind: 'ran',
  exitCode,
  stdout,
  stderr,
});

const FILES: Readonly<Record<string, string>> = {
  '/etc/os-release': 'ID=ubuntu\nID_LIKE=debian\n',
  '/proc/self/status': 'CapEff:\t0000000000000000\nSeccomp:\t0\n',
  '/proc/self/ns/user': '',
  '/proc/self/ns/net': '',
};

const VERSIONS: Readonly<Record<string, string>> = {
  bwrap: 'bubblewrap 0.9.0\n',
  unshare: 'unshare from util-linux 2.39.3\n',
  nsenter: 'nsenter from util-linux 2.39.3\n',
  setpriv: 'setpriv from util-linux 2.39.3\n',
  ip: 'ip utility, iproute2-6.1.0, libbpf 1.3.0\n',
  nft: 'nftables v1.0.9 (Old Doc Yak #3)\n',
  runsc: 'runsc version release-20260101.0\nspec: 1.1.0\n',
};

const CGROUPS: CgroupFacts = {
  root: false,
  places: [
    {
      version: 2,
      directory: '/sys/fs/cgroup/user.slice/sand.scope',
      inLeaf: false,
      controllers: ['cpu', 'memory', 'pids'],
      enabled: [],
      top: false,
      processes: [7],
      writable: true,
      readOnly: false,
    },
  ],
  lineage: [7],
  userManager: true,
  systemManager: true,
  swap: false,
};

interface StubOptions {
  readonly files?: Readonly<Record<string, string>>;
  /** Asked first, with the whole command; undefined for "fine". */
  readonly answer?: (command: string) => Attempt | undefined;
}

function stubHost({
  files = {},
  answer = () => undefined,
}: StubOptions = {}): LinuxHost & { readonly commands: string[] } {
  const all = { ...FILES, ...files };
  const commands: string[] = [];
  return {
    commands,
    platform: 'linux',
    architecture: 'x64',
    root: false,
    readText: (path) => all[path] ?? null,
    exists: (path) => path in all,
    cgroups: () => CGROUPS,
    async attempt(file, args) {
      const command = [file, ...args].join(' ');
      commands.push(command);
      const asksVersion = args[0] === '--version' || args[0] === '-V';
      return answer(command) ?? ran(asksVersion ? (VERSIONS[file] ?? '') : '');
    },
  };
}

describe('the checks of the linux backend', () => {
  it('tell a fine machine in their order', async () => {
    const findings = await checkLinux(stubHost());
    expect(findings.map(({ check }) => check)).toEqual([
      'platform',
      'user namespaces',
      'bubblewrap',
      'bubblewrap start',
      'util-linux',
      'util-linux options',
      'iproute2',
      'nftables',
      'nftables ruleset',
      'veth',
      'IPv6 in the namespace',
      'resources',
      'gvisor',
    ]);
    expect(findings.every(({ state, remedy }) => state === 'ok' && remedy === null)).toBe(true);
  });

  it('try the very command that the documentation names', async () => {
    const host = stubHost();
    await checkLinux(host);
    expect(host.commands).toContain('unshare --user --map-root-user --net -- ip link set lo up');
  });

  it('start bubblewrap without further user namespaces and without capabilities, in the link’s namespace', async () => {
    const host = stubHost();
    await checkLinux(host);
    const start = host.commands.find((command) => command.includes('bwrap --unshare-user')) ?? '';
    expect(start).toMatch(/^unshare --user --map-root-user --net -- bwrap /);
    expect(start).toContain('--disable-userns --cap-drop ALL');
  });

  it('on another platform say so, and run nothing', async () => {
    const host = { ...stubHost(), platform: 'darwin' };
    expect(await checkLinux(host)).toMatchObject([{ check: 'platform', state: 'failed' }]);
    expect(host.commands).toEqual([]);
  });

  it('refuse a processor that has no system call filter', async () => {
    const findings = await checkLinux({ ...stubHost(), architecture: 'riscv64' });
    expect(findings[0]).toMatchObject({ check: 'platform', state: 'failed' });
  });

  it('refuse a kernel without system call filters', async () => {
    const findings = await checkLinux(
      stubHost({ files: { '/proc/self/status': 'CapEff:\t0000000000000000\n' } }),
    );
    expect(findings[0]).toMatchObject({ check: 'platform', state: 'failed' });
  });

  it('with namespaces blocked name the cause once, and try nothing that needs them', async () => {
    const host = stubHost({
      files: { '/proc/sys/kernel/apparmor_restrict_unprivileged_userns': '1\n' },
      answer: (command) =>
        command.startsWith('unshare --user')
          ? ran('', 1, 'RTNETLINK answers: Operation not permitted\n')
          : undefined,
    });
    const findings = await checkLinux(host);
    expect(findings.filter(({ state }) => state === 'failed')).toMatchObject([
      { check: 'user namespaces', remedy: 'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0' },
    ]);
    expect(findings.filter(({ state }) => state === 'warning').map(({ check }) => check)).toEqual([
      'bubblewrap start',
      'util-linux options',
      'nftables ruleset',
      'veth',
      'IPv6 in the namespace',
      'gvisor',
    ]);
    expect(host.commands.filter((command) => command.startsWith('unshare --user'))).toHaveLength(1);
  });

  it('in a container with a seccomp profile name the option of docker run', async () => {
    const findings = await checkLinux(
      stubHost({
        files: { '/.dockerenv': '', '/proc/self/status': 'CapEff:\t00000000a80425fb\nSeccomp:\t2\n' },
        answer: (command) =>
          command.startsWith('unshare --user')
            ? ran('', 1, 'unshare: unshare failed: Operation not permitted\n')
            : undefined,
      }),
    );
    const failed = findings.filter(({ state }) => state === 'failed');
    expect(failed).toHaveLength(1);
    expect(failed[0]?.remedy).toContain('docker run --security-opt seccomp=unconfined');
  });
});

describe('bad tools', () => {
  const path = toolPath({});
  let folder = '';

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sand-doctor-'));
    process.env.SAND_TOOL_PATH = `${folder}:${path}`;
  });
  afterEach(() => {
    delete process.env.SAND_TOOL_PATH;
    rmSync(folder, { recursive: true });
  });

  const fake = (name: string, script: string) => {
    writeFileSync(join(folder, name), script);
    chmodSync(join(folder, name), 0o755);
  };
  const findingsOf = async (check: string, timeoutMs?: number) =>
    (await checkLinux(systemHost(timeoutMs))).filter((finding) => finding.check === check);

  it('a missing tool is a finding', async () => {
    for (const name of ['sh', 'true', 'unshare', 'nsenter', 'setpriv', 'ip', 'nft']) {
      const found = spawnSync('sh', ['-c', `command -v ${name}`], { env: { PATH: path } });
      const real = found.stdout.toString().trim();
      if (real.startsWith('/')) symlinkSync(real, join(folder, name));
    }
    process.env.SAND_TOOL_PATH = folder;
    const host = { ...systemHost(), exists: (path: string) => existsSync(path) && !path.endsWith('/bwrap') };
    const bubblewrap = (await checkLinux(host)).find(({ check }) => check === 'bubblewrap');
    expect(bubblewrap).toMatchObject({ state: 'failed', message: 'bwrap is not installed' });
    expect(bubblewrap?.remedy).toContain('bubblewrap');
  });

  it('a path without any tool is findings only', async () => {
    process.env.SAND_TOOL_PATH = folder;
    const findings = await checkLinux(systemHost());
    expect(findings.filter(({ state }) => state === 'failed').map(({ check }) => check)).toEqual([
      'user namespaces',
      'bubblewrap',
      'util-linux',
      'util-linux',
      'util-linux',
      'iproute2',
      'nftables',
    ]);
  });

  it('an old tool is a finding with its version', async () => {
    fake('bwrap', '#!/bin/sh\necho bubblewrap 0.4.1\n');
    expect(await findingsOf('bubblewrap')).toMatchObject([
      { state: 'failed', message: 'bwrap 0.4.1 is older than 0.8.0, which brought --disable-userns' },
    ]);
    expect(await findingsOf('bubblewrap start')).toMatchObject([{ state: 'warning' }]);
  });

  it.each([
    ['text', 'printf "all is \\033[31mwell\\nreally"'],
    ['nothing', 'exit 0'],
    ['bytes that are no text', "printf '\\377\\376\\000\\001'"],
    ['the version of another tool', 'echo nftables v9.9.9'],
    ['its version and more', 'echo bubblewrap 9.9.9 or so'],
  ])('a lying tool that prints %s is a finding', async (_, script) => {
    fake('bwrap', `#!/bin/sh\n${script}\n`);
    const [finding] = await findingsOf('bubblewrap');
    expect(finding?.state).toBe('failed');
    expect(finding?.message).toMatch(/^bwrap is not the one of bubblewrap/);
  });

  it('a hanging tool is a finding, and so is one whose child hangs', async () => {
    fake('nft', '#!/bin/sh\nexec sleep 60\n');
    const pidFile = join(folder, 'pid');
    fake('ip', `#!/bin/sh\nsleep 60 &\necho $! >> ${pidFile}\nwait\n`);
    const findings = await checkLinux(systemHost(700));
    for (const check of ['nftables', 'iproute2']) {
      const finding = findings.find((one) => one.check === check);
      expect(finding?.state).toBe('failed');
      expect(finding?.message).toContain('did not end within 700 ms');
    }
    const pids = readFileSync(pidFile, 'utf8').trim().split('\n');
    expect(pids.length).toBeGreaterThan(0);
    await vi.waitFor(() => expect(pids.filter(isRunning)).toEqual([]));
  });

  it('a tool whose descendant leaves its group and keeps the output open does not hang the doctor', async () => {
    const pidFile = join(folder, 'pid');
    fake('nft', `#!/bin/sh\nsetsid sh -c 'echo $$ > ${pidFile}; exec sleep 60' &\nwait\n`);
    try {
      expect(await findingsOf('nftables', 700)).toMatchObject([{ state: 'failed' }]);
    } finally {
      spawnSync('sh', ['-c', `kill "$(cat ${pidFile})"`]);
    }
  });

  it('a flooding tool is a finding', async () => {
    fake('nft', '#!/bin/sh\nexec yes\n');
    expect(await findingsOf('nftables')).toMatchObject([{ state: 'failed' }]);
  });

  it.each([
    ['is no program', () => fake('nft', 'neither a script nor a binary \u0000\u0001')],
    ['names an interpreter that is not there', () => fake('nft', '#!/nonexistent/interpreter\n')],
    ['kills itself', () => fake('nft', '#!/bin/sh\nkill -SEGV $$\n')],
    ['is a folder', () => mkdirSync(join(folder, 'nft'))],
  ])('a tool that %s is a finding or passed over, never a crash', async (_, make) => {
    make();
    expect(await findingsOf('nftables')).toHaveLength(1);
  });
});

/** A process that has ended but was not waited for is a Z in the third field of its stat (proc(5)). */
function isRunning(pid: string): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

const tried = spawnSync('unshare', ['--user', '--map-root-user', '--net', '--', 'true']);

describe.skipIf(tried.status !== 0)('this machine (needs user namespaces)', () => {
  it('passes its own trials, or says what to do', async () => {
    for (const { state, remedy } of await checkLinux()) {
      if (state === 'failed') expect(remedy).not.toBeNull();
    }
  });

  it('is left as it was: no interface, no ruleset, no process', async () => {
    const look = () =>
      spawnSync('sh', ['-c', 'ip -o link; nft list ruleset 2>/dev/null | wc -l']).stdout.toString();
    const before = look();
    await checkLinux();
    expect(look()).toBe(before);
  });
});
