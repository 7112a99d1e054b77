import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { auditRoot, runPlace } from '../../../audit/runs.ts';
import { type ChangeRequest, changePolicy } from '../../../controller/cli/policy/change.ts';
import type { GuestName } from '../../../controller/guests/name.ts';
import { registerGuest } from '../../../controller/guests/registry.ts';
import { openPolicyFile, writePolicyFile } from '../../../controller/policy-file/policy-file.ts';

import { writeRunState } from '../../../controller/run/run-state.ts';

const NOW = Date.parse('2026-11-21T20:15:00.500Z');
const TEXT = 'version: 1\nrules:\n  # ours\n  - allow: a.example\n';

let folder: string;
let file: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'change-')));
  file = join(folder, 'sand.policy.yaml');
  writeFileSync(file, TEXT);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function change(
  hosts: readonly string[],
  flags: Partial<ChangeRequest['flags']> = {},
  verb: ChangeRequest['verb'] = 'allow',
  ask: ((question: string) => Promise<boolean>) | null = null,
  environ: Readonly<Record<string, string>> = { XDG_STATE_HOME: join(folder, 'state') },
) {
  let out = '';
  let told = '';
  const code = await changePolicy(
    { verb, hosts, flags: { remove: false, yes: false, json: false, ...flags } },
    { ask },
    {
      cwd: folder,
      home: folder,
      environ,
      nowMs: NOW,
      write: (text) => {
        out += text;
      },
      tell: (text) => {
        told += text;
      },
    },
  );
  return { code, out, told, text: existsSync(file) ? readFileSync(file, 'utf8') : null };
}

describe('sand policy allow', () => {
  it('prints the difference and the patch, writes nothing and exits with 1 where nobody can be asked', async () => {
    const { code, out, told, text } = await change(['b.example']);
    expect(code).toBe(1);
    expect(text).toBe(TEXT);
    expect(out).toBe(
      [
        'widens   allows b.example (http 80, https 443)',
        '         now allowed: https to b.example:443 at 192.0.2.1',
        '         after:  sand.policy.yaml:5 (sand.policy/allow:b.example)',
        '',
        '1 widening, 0 narrowing, 0 neutral',
        '',
        '--- a/sand.policy.yaml',
        '+++ b/sand.policy.yaml',
        '@@ -2,3 +2,4 @@',
        ' rules:',
        '   # ours',
        '   - allow: a.example',
        '+  - allow: b.example',
        '',
      ].join('\n'),
    );
    expect(told).toContain('--yes');
  });

  it('writes what a person says yes to, and nothing else', async () => {
    const asked: string[] = [];
    const answer = (yes: boolean) => async (question: string) => {
      asked.push(question);
      return yes;
    };
    expect(await change(['b.example'], {}, 'allow', answer(false))).toMatchObject({ code: 1, text: TEXT });
    const { code, text } = await change(['b.example'], {}, 'allow', answer(true));
    expect([code, text]).toEqual([0, `${TEXT}  - allow: b.example\n`]);
    expect(asked).toEqual(['Write sand.policy.yaml? [y/N] ', 'Write sand.policy.yaml? [y/N] ']);
  });

  it('writes with --yes: hosts on the same ports in one rule, with an end and a reason', async () => {
    const { code, text } = await change(['b.example', '*.c.example', 'd.example:5432', '198.51.100.7'], {
      yes: true,
      for: '30m',
      because: 'release',
    });
    expect(code).toBe(0);
    expect(text).toBe(
      [
        'version: 1',
        'rules:',
        '  # ours',
        '  - allow: a.example',
        '  - allow: [b.example, "*.c.example"]',
        '    until: 2026-11-21T20:45:00Z',
        '    because: release',
        '  - allow: d.example',
        '    tcp: [5432]',
        '    until: 2026-11-21T20:45:00Z',
        '    because: release',
        '  - allow: 198.51.100.7',
        '    until: 2026-11-21T20:45:00Z',
        '    because: release',
        '',
      ].join('\n'),
    );
  });

  it('takes ports, methods, paths and addresses', async () => {
    await change(['b.example'], { yes: true, tcp: ['22', '6000-6010,6011'], https: ['8443'] });
    await change(['c.example'], { yes: true, method: ['GET'], path: ['/v1/**'] });
    await change(['d.example'], { yes: true, address: ['10.0.0.0/8'] });
    const { text } = await change(['host.sand:5432'], { yes: true });
    expect(text?.slice(TEXT.length)).toBe(
      [
        '  - allow: b.example',
        '    https: [8443]',
        '    tcp: [22, "6000-6011"]',
        '  - allow: c.example',
        '    http: [80]',
        '    methods: [GET]',
        '    paths: ["/v1/**"]',
        '  - allow: d.example',
        '    addresses: [10.0.0.0/8]',
        '  - allow: host.sand',
        '    tcp: [5432]',
        '',
      ].join('\n'),
    );
  });

  it('says so where the file says it already', async () => {
    expect(await change(['a.example'])).toMatchObject({
      code: 0,
      out: 'sand.policy.yaml says so already.\n',
    });
  });

  it('tells that a deny rule beats what is written', async () => {
    writeFileSync(file, 'version: 1\nrules:\n  - deny: "*.b.example"\n');
    const { out } = await change(['x.b.example']);
    expect(out).toContain('x.b.example stays denied by sand.policy.yaml:3');
  });

  it.each([
    [['https://b.example/'], {}, 'URL'],
    [['!b.example'], {}, 'negation'],
    [['**.com'], {}, 'covers names of every owner'],
    [['b.example'], { for: '30' }, '--for 30'],
    [['b.example'], { until: '2020-01-01T00:00:00Z' }, 'has passed'],
    [['b.example'], { until: 'tomorrow' }, 'no point in time'],
    [['b.example'], { for: '1h', until: '2030-01-01T00:00:00Z' }, 'both'],
    [['b.example'], { because: 'two\nlines' }, 'one line'],
    [['b.example:80'], { tcp: ['22'] }, 'flags name others'],
    [['b.example'], { tcp: ['0'] }, 'no port'],
    [['host.sand'], {}, 'port by port'],
    [['169.254.169.254'], {}, 'metadata'],
    [['b.example'], { path: ['v1'] }, 'no path'],
    [['b.example'], { method: ['get'] }, 'capitals'],
  ] as const)('refuses %j %j with what to write', async (hosts, flags, part) => {
    const error = await change(hosts, { yes: true, ...flags }).catch((raised: unknown) => raised);
    expect(error).toMatchObject({ code: 'usage' });
    const { message, hint } = error as { message: string; hint: string };
    expect(`${message} ${hint}`).toContain(part);
    expect(readFileSync(file, 'utf8')).toBe(TEXT);
  });

  it('refuses a file that is wrong, with what was to be written', async () => {
    writeFileSync(file, 'version: 1\nrules:\n  - allow: *a\n');
    await expect(change(['b.example'], { yes: true })).rejects.toMatchObject({
      code: 'policy-invalid',
      message: expect.stringMatching(/sand\.policy\.yaml:3:12: [\s\S]*- allow: b\.example/),
    });
  });

  it('begins a file that is named, and no other', async () => {
    const { code, out } = await change(['b.example'], { file: 'new.yaml', yes: true });
    expect(code).toBe(0);
    expect(out).toContain('written: new.yaml');
    expect(readFileSync(join(folder, 'new.yaml'), 'utf8')).toBe('version: 1\nrules:\n  - allow: b.example\n');
    rmSync(file);
    await expect(change(['b.example'], { yes: true })).rejects.toMatchObject({ code: 'usage' });
    expect(existsSync(file)).toBe(false);
  });

  it('says it in JSON, and asks nobody', async () => {
    const ask = async () => {
      throw new Error('asked');
    };
    const { code, out } = await change(['b.example'], { json: true }, 'allow', ask);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({
      file: 'sand.policy.yaml',
      changed: true,
      written: false,
      changes: [{ direction: 'widens', aspect: 'name' }],
    });
  });
});

describe('sand policy deny and mute', () => {
  it('write their rules, and take them out again', async () => {
    expect((await change(['b.example'], { yes: true, because: 'user content' }, 'deny')).text).toBe(
      `${TEXT}  - deny: b.example\n    because: user content\n`,
    );
    expect((await change(['**.t.example'], { yes: true }, 'mute')).text).toContain(
      '  - mute: "**.t.example"\n',
    );
    await change(['b.example'], { yes: true, remove: true }, 'deny');
    expect((await change(['**.t.example'], { yes: true, remove: true }, 'mute')).text).toBe(TEXT);
  });

  it('take no ports and no terms', async () => {
    await expect(change(['b.example:22'], {}, 'deny')).rejects.toThrow('every port');
    await expect(change(['b.example'], { for: '1h' }, 'mute')).rejects.toThrow('--for');
  });
});

describe('a policy file that is written', () => {
  it('keeps its mode, and leaves nothing beside it', async () => {
    chmodSync(file, 0o640);
    await change(['b.example'], { yes: true });
    expect(statSync(file).mode & 0o7777).toBe(0o640);
    expect(readdirSync(folder)).toEqual(['sand.policy.yaml']);
  });

  it('is no symbolic link', async () => {
    symlinkSync(file, join(folder, 'link.yaml'));
    await expect(change(['b.example'], { yes: true, file: 'link.yaml' })).rejects.toMatchObject({
      code: 'policy-unwritable',
      message: expect.stringContaining('symbolic link'),
    });
    symlinkSync(join(folder, 'nowhere'), join(folder, 'dangling.yaml'));
    await expect(change(['b.example'], { yes: true, file: 'dangling.yaml' })).rejects.toMatchObject({
      code: 'policy-unwritable',
    });
    expect(readFileSync(file, 'utf8')).toBe(TEXT);
  });

  it.runIf(process.getuid?.() === 0)('belongs to the caller', async () => {
    chownSync(file, 4321, 4321);
    await expect(change(['b.example'], { yes: true, file: 'sand.policy.yaml' })).rejects.toMatchObject({
      code: 'policy-unwritable',
      message: expect.stringContaining('another user'),
    });
    expect(statSync(file).uid).toBe(4321);
  });

  it('is as it was read, else nothing is written', () => {
    const before = openPolicyFile(file);
    writeFileSync(file, `${TEXT}# changed\n`);
    expect(() => writePolicyFile(file, before, 'version: 1\n', { held: false })).toThrow('changed since');
    expect(() => writePolicyFile(file, null, 'version: 1\n', { held: false })).toThrow('changed since');
    expect(readFileSync(file, 'utf8')).toBe(`${TEXT}# changed\n`);
  });
});

describe('a policy file that a living guest holds', () => {
  const inode = () => statSync(file).ino;
  /** A guest that runs in this very process, with these mounts. */
  function guestWith(mounts: readonly string[]) {
    const runs = auditRoot({ XDG_STATE_HOME: folder });
    const run = runPlace(runs, '20261121-201500-k3f9');
    mkdirSync(run.directory, { recursive: true });
    registerGuest(runs, 'held' as GuestName, run);
    writeRunState(run, {
      name: 'held',
      status: 'running',
      startedAt: '2026-11-21T20:15:00.000Z',
      command: ['true'],
      detached: false,
      backend: 'fake',
      isolation: 'namespaces',
      confinement: 'enforced',
      dnsPort: 1,
      policy: 'sha256:0',
      mounts: mounts.map((source) => ({ source, target: source, writable: true })),
      workdir: folder,
      guest: {},
    });
  }

  it('keeps its place on the disk, so that the guest does not shed the mount over it', async () => {
    guestWith([folder]);
    const before = inode();
    expect((await change(['b.example'], { yes: true }, 'allow', null, { XDG_STATE_HOME: folder })).code).toBe(
      0,
    );
    expect(readFileSync(file, 'utf8')).toBe(`${TEXT}  - allow: b.example\n`);
    expect(inode()).toBe(before);
    const shorter = { yes: true, remove: true };
    await change(['b.example'], shorter, 'allow', null, { XDG_STATE_HOME: folder });
    expect(readFileSync(file, 'utf8')).toBe(TEXT);
    expect(inode()).toBe(before);
  });

  it('is replaced as a whole where no guest has it', async () => {
    guestWith([join(folder, 'elsewhere')]);
    const before = inode();
    await change(['b.example'], { yes: true }, 'allow', null, { XDG_STATE_HOME: folder });
    expect(inode()).not.toBe(before);
  });
});
