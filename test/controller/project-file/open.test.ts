import { execFileSync } from 'node:child_process';
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { locateProject } from '../../../controller/project-file/locate.ts';
import type { AskedSettings } from '../../../controller/project-file/merge.ts';
import { openProject } from '../../../controller/project-file/open.ts';
import { rememberApproval } from '../../../controller/run/approval.ts';
import { choosePolicy, configFolder } from '../../../controller/run/policy-choice.ts';
import { NO_FLAGS } from './samples.ts';

const WIDE = 'version: 1\nextends: [strict]\nrules:\n  - allow: wide.example.com\n';
const NARROW = 'version: 1\nrules:\n  - allow: "*.npmjs.org"\nrequires: {confinement: enforced}\n';

let root: string;
let repo: string;
let environ: Readonly<Record<string, string>>;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'project-')));
  repo = join(root, 'repo');
  mkdirSync(join(repo, '.git'), { recursive: true });
  mkdirSync(join(repo, 'deep/er'), { recursive: true });
  environ = { XDG_CONFIG_HOME: join(root, 'config'), TOKEN: 'own' };
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

interface Asking {
  readonly named?: string | false;
  readonly flags?: Partial<AskedSettings>;
  readonly cwd?: string;
}

async function open({ named, flags = {}, cwd = repo }: Asking = {}) {
  const located = locateProject(named, cwd);
  if (located === null) return null;
  return openProject(located, { ...NO_FLAGS, ...flags }, { cwd, home: join(root, 'home'), environ });
}

function write(text: string, path = 'sand.yaml'): string {
  writeFileSync(join(repo, path), text);
  return join(repo, path);
}

const refusal = (asking: Asking = {}) =>
  open(asking).then(
    () => {
      throw new Error('it was opened');
    },
    (error: { readonly code: string; readonly message: string; readonly details: { digest: string } }) =>
      error,
  );

/** As a person who said yes to it on a terminal. */
async function approve(asking: Asking = {}): Promise<void> {
  const { details } = await refusal(asking);
  rememberApproval(configFolder(environ, ''), 'sand.yaml', details.digest);
}

describe('a project file', () => {
  it('is looked for upward to the repository’s root, and not above it', async () => {
    writeFileSync(join(root, 'sand.yaml'), 'above the repository');
    expect(await open()).toBeNull();
    const path = write('version: 1\npolicy: ./p.yaml\n');
    write(NARROW, 'p.yaml');
    const opened = await open({ cwd: join(repo, 'deep/er') });
    expect(opened).toMatchObject({
      inForce: { path },
      asked: { policies: [join(repo, 'p.yaml')], mounts: [] },
      origins: [{ setting: 'policy', from: `${path}:2:9` }],
    });
  });

  it('is not looked for where the person says so', async () => {
    write('nothing that is read');
    expect(await open({ named: false })).toBeNull();
  });

  it('that asks for more than a plain run is refused until that very content is approved', async () => {
    write('version: 1\nshares: gitconfig\n');
    expect(await refusal()).toMatchObject({
      code: 'project-unapproved',
      message: expect.stringContaining('it shares your gitconfig with the guest'),
      hint: expect.stringContaining(`--project-file ${repo}/sand.yaml`),
    });
    await approve();
    expect((await open())?.asked.shares).toEqual(['gitconfig']);
    write('version: 1\nshares: gitconfig\ntimeout: 5m\n');
    expect((await refusal()).code).toBe('project-unapproved');
  });

  it('that is named is consented to', async () => {
    write('version: 1\nshares: gitconfig\nenvironment: [TOKEN]\n');
    const opened = await open({ named: './sand.yaml' });
    expect(opened?.asked).toMatchObject({ shares: ['gitconfig'], environment: { TOKEN: 'own' } });
    expect(opened?.inForce.policies).toBeNull();
    expect((await refusal({ named: 'missing.yaml' })).code).toBe('file-invalid');
  });

  it('is judged by what flags leave of it', async () => {
    write('version: 1\nenvironment: [TOKEN]\npolicy: ./p.yaml\n');
    write(WIDE, 'p.yaml');
    const flags = { environment: { TOKEN: 'other' }, policies: ['offline'] };
    expect((await open({ flags }))?.asked).toMatchObject({
      environment: { TOKEN: 'other' },
      policies: ['offline'],
    });
    expect((await refusal()).message).toContain('wide.example.com');
  });

  it('is asked about anew when a policy that it names changes', async () => {
    write('version: 1\npolicy: ./p.yaml\n');
    write(WIDE, 'p.yaml');
    await approve();
    expect((await open())?.asked.policies).toEqual([join(repo, 'p.yaml')]);
    write(`${WIDE}  - allow: wider.example.com\n`, 'p.yaml');
    expect((await refusal()).message).toContain('wider.example.com');
  });

  it('tells what is wrong with its place', async () => {
    write('version: 1\nmounts: ./missing\n');
    expect(await refusal()).toMatchObject({
      code: 'workspace-refused',
      message: expect.stringMatching(/^sand\.yaml:2:9: .*missing does not exist$/),
    });
    write('version: 1\nbackend: unheard\n');
    expect((await refusal()).message).toBe('sand.yaml:2:10: there is no backend unheard');
    write('version: 1\npolicy: nosuch\n');
    expect((await refusal()).code).toBe('policy-invalid');
  });
});

describe('a guest that has written to the workspace', () => {
  it('cannot put a file of its own before the one that was reviewed', async () => {
    write('version: 1\npolicy: offline\n');
    write('version: 1\n', 'deep/sand.yaml');
    expect((await refusal({ cwd: join(repo, 'deep') })).message).toContain(
      `it stands in place of ${repo}/sand.yaml`,
    );
  });

  it('cannot have an approved mount lead elsewhere', async () => {
    mkdirSync(join(root, 'other'));
    mkdirSync(join(repo, 'data'));
    write('version: 1\nmounts: [./data, ./deep]\n');
    const cwd = join(repo, 'deep');
    await approve({ cwd });
    expect(await open({ cwd })).not.toBeNull();
    renameSync(join(repo, 'data'), join(repo, 'moved'));
    symlinkSync('moved', join(repo, 'data'));
    expect((await refusal({ cwd })).code).toBe('project-unapproved');
    rmSync(join(repo, 'data'));
    symlinkSync(join(root, 'other'), join(repo, 'data'));
    for (const asking of [{ cwd }, { cwd, named: join(repo, 'sand.yaml') }]) {
      expect(await refusal(asking)).toMatchObject({
        code: 'workspace-refused',
        message: expect.stringContaining('is a link that leads out of'),
      });
    }
  });

  it('cannot have an approved mount inside the working directory lead elsewhere in it', async () => {
    write('version: 1\nmounts: ./data\nshares: gitconfig\n');
    symlinkSync('deep', join(repo, 'data'));
    await approve();
    expect(await open()).not.toBeNull();
    rmSync(join(repo, 'data'));
    symlinkSync('deep/er', join(repo, 'data'));
    expect((await refusal()).code).toBe('project-unapproved');
  });

  it('cannot change what was too long to be shown of an approved policy', async () => {
    const rules = (last: string) =>
      [...Array.from({ length: 40 }, (_, at) => `h${at}.example.com`), last]
        .map((host) => `  - allow: ${host}\n`)
        .join('');
    write('version: 1\npolicy: ./p.yaml\n');
    write(`version: 1\nextends: [strict]\nrules:\n${rules('z-one.example.com')}`, 'p.yaml');
    expect((await refusal()).message).toContain('more ways');
    await approve();
    expect(await open()).not.toBeNull();
    write(`version: 1\nextends: [strict]\nrules:\n${rules('z-two.example.com')}`, 'p.yaml');
    expect((await refusal()).code).toBe('project-unapproved');
  });

  it('cannot have an approved secret or image be another file', async () => {
    write('version: 1\nsecrets: t=./token\nimage: ./root\n');
    write('token', 'token');
    mkdirSync(join(repo, 'root'));
    await approve();
    expect((await open())?.asked.secrets).toEqual([`t=${repo}/token`]);
    for (const name of ['token', 'root']) {
      renameSync(join(repo, name), join(repo, `${name}.was`));
      symlinkSync('/etc', join(repo, name));
      expect((await refusal({ named: 'sand.yaml' })).message).toContain('is a link that leads out of');
      rmSync(join(repo, name));
      symlinkSync(`${name}.was`, join(repo, name));
      expect((await refusal()).code).toBe('project-unapproved');
      rmSync(join(repo, name));
      renameSync(join(repo, `${name}.was`), join(repo, name));
    }
    expect(await open()).not.toBeNull();
  });

  it('cannot have an approved authority say something else', async () => {
    write('version: 1\ntrustCa: ./ca.pem\n');
    write('one', 'ca.pem');
    await approve();
    expect(await open()).not.toBeNull();
    write('another', 'ca.pem');
    expect((await refusal()).code).toBe('project-unapproved');
  });

  it('cannot change a policy between its consent and its use, nor while it is in force', async () => {
    write('version: 1\npolicy: ./p.yaml\n');
    write(NARROW, 'p.yaml');
    const opened = await open();
    write(WIDE, 'p.yaml');
    const chosen = await choosePolicy({
      policies: opened?.asked.policies ?? [],
      allows: [],
      cwd: repo,
      home: join(root, 'home'),
      environ,
      told: () => {},
      ...(opened?.inForce.policies ? { consented: opened.inForce.policies } : {}),
    });
    expect(chosen.inForce.policy.rules.length).toBe(1);
    expect(chosen.reread).toBeNull();
  });

  it('cannot have files outside the repository quoted', async () => {
    writeFileSync(join(root, 'secret.yaml'), 'password: hunter2\n');
    symlinkSync('../secret.yaml', join(repo, 'sand.yaml'));
    const quoted = await refusal();
    expect(quoted.code).toBe('file-invalid');
    expect(quoted.message).toContain('it lies outside the repository');
    expect(JSON.stringify(quoted)).not.toContain('password');
    rmSync(join(repo, 'sand.yaml'));
    write('version: 1\npolicy: ../secret.yaml\n');
    expect((await refusal()).message).toContain('it lies outside the repository');
  });
});

describe('a hostile place', () => {
  it('blocks nothing: a pipe, a folder, a device', async () => {
    execFileSync('mkfifo', [join(repo, 'sand.yaml'), join(repo, 'pipe')]);
    expect((await refusal()).message).toContain('it is not a file');
    rmSync(join(repo, 'sand.yaml'));
    mkdirSync(join(repo, 'sand.yaml'));
    expect((await refusal()).message).toContain('it is not a file');
    rmSync(join(repo, 'sand.yaml'), { recursive: true });
    write('version: 1\ntrustCa: ./pipe\n');
    expect((await refusal()).message).toContain('it is not a file');
    write('version: 1\npolicy: ./pipe\n');
    expect((await refusal()).message).toContain('it is not a file');
  });

  it('is told by a loop of links', async () => {
    symlinkSync('loop', join(repo, 'loop'));
    write('version: 1\nmounts: ./loop\n');
    expect((await refusal()).code).toBe('workspace-refused');
  });

  it.skipIf(process.getuid?.() !== 0)('is one of another user, however little it asks for', async () => {
    const path = write('version: 1\n');
    chownSync(path, 54_321, 54_321);
    expect(() => locateProject(undefined, repo)).toThrow('belongs to another user');
    expect(readFileSync(path, 'utf8')).toBe('version: 1\n');
    expect((await open({ named: 'sand.yaml' }))?.asked.policies).toEqual([]);
  });
});
