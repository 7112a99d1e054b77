/** A repository brings a policy of its own, found and not named: whatever it says, nothing runs unasked under it. */
import { execFileSync } from 'node:child_process';
import { existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CALLERS, createWorld, type World } from '../sand.ts';

const head = 'version: 1\nname: hostile\n';
/** What it says → the code that refuses it. */
const HOSTILE: Readonly<Record<string, readonly [string, string]>> = {
  'a host that strict does not list': [`${head}rules:\n  - allow: "*.evil.example"\n`, 'policy-unapproved'],
  'report mode': [`${head}mode: report\nrules: []\n`, 'policy-unapproved'],
  'a wider preset': [`${head}extends: [balanced]\n`, 'policy-unapproved'],
  'a group of forges': [`${head}extends: ["group:github-core"]\n`, 'policy-unapproved'],
  'the host’s loopback': [`${head}rules:\n  - allow: host.sand\n    tcp: [5432]\n`, 'policy-unapproved'],
  'an address': [`${head}rules:\n  - allow: 0.0.0.0/0\n    tcp: [22]\n`, 'policy-unapproved'],
  'private addresses for an allowed name': [
    `${head}rules:\n  - allow: pypi.org\n    addresses: [10.0.0.0/8]\n`,
    'policy-unapproved',
  ],
  'another port of an allowed name': [
    `${head}rules:\n  - allow: pypi.org\n    tcp: [22]\n`,
    'policy-unapproved',
  ],
  'mere cooperation': [`${head}extends: [strict]\nrequires: {confinement: cooperative}\n`, 'policy-'],
  'a file outside the repository': [`${head}extends: [../outside.yaml]\n`, 'policy-'],
  'a file of the system': [`${head}extends: [/etc/passwd]\n`, 'policy-'],
  'a misspelt key': [`${head}rulez: []\n`, 'policy-invalid'],
  'a second meaning of a key': [`${head}rules: []\nrules:\n  - allow: "*.evil.example"\n`, 'policy-invalid'],
  'another document after the first': [`${head}rules: []\n---\n${head}mode: report\n`, 'policy-invalid'],
  'an alias bomb': [`a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n${head}rules: *c\n`, 'policy-invalid'],
  'nothing that is YAML': ['\u0000\u0001{{{', 'policy-invalid'],
};

describe.each(CALLERS)('a hostile sand.policy.yaml that a guest of the %s would run under', (who) => {
  let world: World;

  beforeEach(() => {
    world = createWorld(who);
    world.file('.git/HEAD', 'ref: refs/heads/main\n');
    writeFileSync(join(world.root, 'outside.yaml'), `${head}rules:\n  - allow: "*.evil.example"\n`);
  });
  afterEach(() => world.remove());

  /** It is refused, and nothing ran: with a word of CI and without. */
  async function expectRefused(code: string, cwd = world.workspace): Promise<void> {
    for (const environment of [{}, { CI: '1' }] as const) {
      const output = await world.sand(['run', '--', 'touch', 'ran'], { cwd, environment, input: 'y\nyes\n' });
      expect(output).toMatchObject({ code: 2, stdout: '' });
      expect(output.stderr).toContain(`(${code}`);
      expect(output.durationMs).toBeLessThan(20_000);
    }
    expect(existsSync(join(cwd, 'ran'))).toBe(false);
  }

  it.each(Object.entries(HOSTILE))('is not used: %s', async (_, [text, code]) => {
    world.file('sand.policy.yaml', text);
    await expectRefused(code);
  });

  it('is found from a folder below, up to the repository’s root', async () => {
    world.file('sand.policy.yaml', `${head}mode: report\n`);
    world.file('deep/er/file', '');
    await expectRefused('policy-unapproved', join(world.workspace, 'deep/er'));
  });

  it('is not waited for: a FIFO', async () => {
    execFileSync('mkfifo', [join(world.workspace, 'sand.policy.yaml')]);
    if (who === 'ordinary user') execFileSync('chown', ['54321', join(world.workspace, 'sand.policy.yaml')]);
    await expectRefused('policy-');
  });

  it('is not read to its end: a huge file', async () => {
    world.file('sand.policy.yaml', `${head}# ${'x'.repeat(8 * 1024 * 1024)}\n`);
    await expectRefused('policy-invalid');
  });

  it('is refused where it is a link to a file of the system', async () => {
    symlinkSync('/etc/passwd', join(world.workspace, 'sand.policy.yaml'));
    await expectRefused('policy-');
  });

  it('is refused where it is a folder, a device or a link to nowhere', async () => {
    execFileSync('mkdir', [join(world.workspace, 'sand.policy.yaml')]);
    if (who === 'ordinary user') execFileSync('chown', ['54321', join(world.workspace, 'sand.policy.yaml')]);
    await expectRefused('policy-');
  });

  it.runIf(process.getuid?.() === 0)('is refused where another user owns it', async () => {
    const path = world.file('sand.policy.yaml', `${head}extends: [strict]\n`);
    execFileSync('chown', ['12345', path]);
    await expectRefused('policy-unapproved');
  });

  it('is not quoted where it is a link to the caller’s own file outside the repository', async () => {
    world.file('../own.txt', 'a-secret-of-the-caller\n');
    symlinkSync('../own.txt', join(world.workspace, 'sand.policy.yaml'));
    const output = await world.sand(['run', '--', 'touch', 'ran']);
    expect(output.stderr).not.toContain('a-secret-of-the-caller');
  });
});
