/** What the action does to a runner that cannot run guests: with sudo, without, and what it takes back. No guest is started here. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Runner } from '../../action/runner/runner.ts';
import { IN_GUEST, planJobs, SAND, USES } from './jobs.ts';

const jobs = planJobs();

const finding = (check: string, remedy: string) => ({
  check,
  state: 'failed',
  message: 'is missing',
  remedy,
});
const DOCTOR = {
  fine: JSON.stringify({ backend: 'linux', ok: true, findings: [] }),
  bare: JSON.stringify({
    ok: false,
    findings: [finding('bubblewrap', 'x'), finding('nftables', 'apt-get install nftables')],
  }),
  restricted: JSON.stringify({ ok: false, findings: [finding('user namespaces', 'see the setting')] }),
};

/** A sand whose doctor is content once `cure` has been recorded, and sudo that records what it is asked. */
function start(
  before: string,
  cure: string,
  hasSudo = true,
): { readonly runner: Runner; readonly did: () => readonly string[] } {
  const sudo = hasSudo
    ? 'shift; case "$1" in true) ;; *) echo "$*" >> "$HOME/did"; case "$1" in apparmor_parser) cat >> "$HOME/profile" ;; esac ;; esac'
    : 'echo "sudo: a password is required" >&2; exit 1';
  const runner = jobs.start({
    fakes: {
      sudo: `#!/bin/sh\n${sudo}\n`,
      sysctl: '#!/bin/sh\necho 1\n',
      'apt-get': '#!/bin/sh\necho apt 2\n',
      sand: `#!/bin/sh\nif grep -q -e '${cure}' "$HOME/did" 2>/dev/null; then echo '${DOCTOR.fine}'; else echo '${before}'; fi\n`,
    },
  });
  const file = join(runner.root, 'home/did');
  return {
    runner,
    did: () => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []),
  };
}

function use(runner: Runner, setup: 'true' | 'false') {
  const sand = join(runner.root, 'bin/sand');
  return runner.step({ uses: USES, with: { mode: 'shell', sand, setup, comment: 'false' } });
}

describe('a runner that lacks something', () => {
  // Root needs no sudo, and a test of it would change the machine: the runner is an ordinary user.
  it('gets the packages by sudo where it may', async () => {
    const { runner, did } = start(DOCTOR.bare, 'apt-get install.*nftables');
    const used = await use(runner, 'true');
    expect(used.code).toBe(0);
    expect(did()).toEqual([
      'apt-get update -qq',
      'env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends bubblewrap nftables',
    ]);
    expect(used.log).toContain('setup: installs bubblewrap, nftables with apt-get');
    expect((await runner.end()).map(({ code }) => code)).toEqual([0]);
    expect(did()).toHaveLength(2);
  });

  it('gets a profile for two programs rather than the setting off, and loses it when the job ends', async () => {
    const { runner, did } = start(DOCTOR.restricted, 'apparmor_parser --replace');
    const used = await use(runner, 'true');
    expect([used.code, used.outputs.get('shell')]).toEqual([0, IN_GUEST]);
    expect(did()).toEqual(['apparmor_parser --replace']);
    expect(readFileSync(join(runner.root, 'home/profile'), 'utf8')).toContain(
      '/usr/bin/bwrap flags=(unconfined)',
    );
    expect(used.log).toContain('loaded an AppArmor profile');
    const [post] = await runner.end();
    expect(did().at(-1)).toBe('apparmor_parser --remove');
    expect(post?.log).toContain('the AppArmor profile was removed');
  });

  it('gets the setting off where the profile does not suffice, and on again when the job ends', async () => {
    const { runner, did } = start(
      DOCTOR.restricted,
      'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
    );
    const used = await use(runner, 'true');
    expect(used.code).toBe(0);
    expect(used.log).toMatch(
      /set kernel\.apparmor_restrict_unprivileged_userns from 1 to 0, for all programs/,
    );
    await runner.end();
    expect(did()).toEqual([
      'apparmor_parser --replace',
      'apparmor_parser --remove',
      'sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
      'sysctl -w kernel.apparmor_restrict_unprivileged_userns=1',
    ]);
  });

  it.each([
    ['asks for a password', 'true', false],
    ['is not to be used', 'false', true],
  ] as const)(
    'fails closed where sudo %s, and says what an administrator has to do',
    async (_, setup, hasSudo) => {
      const { runner, did } = start(DOCTOR.bare, 'never', hasSudo);
      const used = await use(runner, setup);
      expect(used.code).toBe(125);
      const [error] = used.commands.filter(({ name }) => name === 'error');
      expect(error?.properties.title).toBe('sand (backend-unavailable)');
      expect(error?.data).toContain('sudo apt-get install bubblewrap nftables');
      expect(did()).toEqual([]);
      await expect(runner.step({ shell: IN_GUEST, run: 'echo ran' })).rejects.toThrow(
        'Unable to locate executable file',
      );
    },
  );

  it('whose setting cannot be changed is told the command', async () => {
    const { runner } = start(DOCTOR.restricted, 'never', false);
    const used = await use(runner, 'true');
    expect(used.commands.find(({ name }) => name === 'error')?.data).toContain(
      'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
    );
  });
});

describe('sand', () => {
  it('is installed by npm, without asking anybody where the package is here', async () => {
    const runner = jobs.start();
    runner.file('.npmrc', 'registry=http://127.0.0.1:9/\nignore-scripts=false\n');
    const folder = dirname(dirname(dirname(SAND)));
    execFileSync('npm', ['pack', '--ignore-scripts', '--pack-destination', runner.root, folder], {
      stdio: 'ignore',
    });
    const [name = ''] = readdirSync(runner.root).filter((file) => file.endsWith('.tgz'));
    const sand = join(runner.root, name);
    const used = await runner.step({ uses: USES, with: { mode: 'shell', sand } });
    expect(used.raw).toContain('sand doctor: this runner can run guests');
    expect(used.code).toBe(0);
  });

  it('is not taken from the workspace, which a guest could write', async () => {
    const runner = jobs.start();
    runner.file('sand', '#!/bin/sh\necho evil\n');
    const used = await runner.step({ uses: USES, with: { run: 'true', sand: './sand' } });
    expect([used.code, used.commands[0]?.properties.title]).toEqual([2, 'sand (usage)']);
  });

  it.each(['--registry=http://127.0.0.1/ sand', 'sand; touch evil', './not-there'])(
    'is no package: %s',
    async (sand) => {
      const used = await jobs.start().step({ uses: USES, with: { run: 'true', sand } });
      expect(used.code).not.toBe(0);
      expect(used.commands[0]?.properties.title).toMatch(/^sand \((usage|tool-missing)\)$/);
    },
  );
});
