import { chownSync, mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { isApproved, rememberApproval } from '../../../controller/run/approval.ts';
import {
  choosePolicy,
  configFolder,
  mayExist,
  type PolicyChoiceRequest,
} from '../../../controller/run/policy-choice.ts';

const WIDE = 'version: 1\nrules:\n  - allow: wide.example.com\n';
const NARROW = 'version: 1\nrules:\n  - allow: "*.npmjs.org"\nrequires: {confinement: enforced}\n';

let root: string;
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'choice-')));
  mkdirSync(join(root, 'repo/.git'), { recursive: true });
  mkdirSync(join(root, 'repo/deep/er'), { recursive: true });
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

function choose(changes: Partial<PolicyChoiceRequest> = {}) {
  return choosePolicy({
    policies: [],
    allows: [],
    cwd: join(root, 'repo/deep/er'),
    home: join(root, 'home'),
    environ: {},
    told: () => {},
    ...changes,
  });
}

describe('choosePolicy', () => {
  it('takes strict where nothing is named or found', async () => {
    expect((await choose()).inForce.policy.name).toBe('strict');
  });

  it('takes what is named, and looks for nothing then', async () => {
    writeFileSync(join(root, 'repo/sand.policy.yaml'), 'not even a policy');
    const { layers, inForce } = await choose({ policies: ['offline'], allows: ['a.example.com'] });
    expect(layers).toEqual(['offline', '--allow a.example.com']);
    expect(inForce.policy.rules.length).toBe(1);
  });

  it('takes a part of a group for no file, slash and all', async () => {
    const { layers, file } = await choose({ policies: ['group:npm/all', 'group:macos-guest/quiet'] });
    expect([layers, file]).toEqual([['group:npm/all', 'group:macos-guest/quiet'], null]);
  });

  it('finds a policy upward to the repository\u2019s root, and not above it', async () => {
    writeFileSync(join(root, 'sand.policy.yaml'), 'above the repository');
    expect((await choose()).layers).toEqual(['strict']);
    writeFileSync(join(root, 'repo/sand.policy.yaml'), NARROW);
    expect((await choose()).layers).toEqual([join(root, 'repo/sand.policy.yaml')]);
  });

  it('refuses a found policy that is wider than strict, until that very content is approved', async () => {
    const path = join(root, 'repo/sand.policy.yaml');
    writeFileSync(path, WIDE);
    const environ = { XDG_CONFIG_HOME: join(root, 'config') };
    const refused = await choose({ environ }).catch((error: unknown) => error);
    expect(refused).toMatchObject({
      code: 'policy-unapproved',
      hint: expect.stringContaining(`--policy ${path}`),
    });
    const { digest } = Reflect.get(Object(refused), 'details') as { digest: string };
    rememberApproval(configFolder(environ, ''), path, digest);
    expect((await choose({ environ })).inForce.policy.digest).toBe(digest);
    writeFileSync(path, `${WIDE}  - allow: wider.example.com\n`);
    await expect(choose({ environ })).rejects.toMatchObject({ code: 'policy-unapproved' });
  });

  it.skipIf(process.getuid?.() !== 0)('refuses a found policy of another user, however narrow', async () => {
    const path = join(root, 'repo/sand.policy.yaml');
    writeFileSync(path, NARROW);
    chownSync(path, 54_321, 54_321);
    await expect(choose()).rejects.toMatchObject({ code: 'policy-unapproved' });
  });

  it('holds a found policy to a ceiling that lies outside the repository', async () => {
    writeFileSync(join(root, 'repo/sand.policy.yaml'), NARROW);
    writeFileSync(join(root, 'ceiling.yaml'), 'version: 1\nrules:\n  - allow: "**.example.com"\n');
    const { inForce } = await choose({ environ: { SAND_CEILING: join(root, 'ceiling.yaml') } });
    expect(inForce.ceilings.map(({ name }) => name)).toEqual(['ceiling']);
  });

  it('adds the ceiling that SAND_CEILING names', async () => {
    writeFileSync(join(root, 'ceiling.yaml'), 'version: 1\nrules:\n  - allow: "**.example.com"\n');
    const { inForce } = await choose({ environ: { SAND_CEILING: join(root, 'ceiling.yaml') } });
    expect(inForce.ceilings.length).toBeGreaterThan(0);
  });

  it('runs nothing under a ceiling that is named and not there, or does not parse', async () => {
    await expect(choose({ environ: { SAND_CEILING: join(root, 'none.yaml') } })).rejects.toMatchObject({
      code: 'policy-missing',
    });
    writeFileSync(join(root, 'ceiling.yaml'), 'rules: 7\n');
    await expect(choose({ environ: { SAND_CEILING: join(root, 'ceiling.yaml') } })).rejects.toMatchObject({
      code: 'policy-invalid',
    });
  });

  it.each([
    ['a preset that does not exist', { policies: ['stirct'] }],
    ['a file that does not exist', { policies: ['./none.yaml'] }],
    ['a host that is none', { allows: ['not a host'] }],
  ])('refuses %s with what to write', async (_, changes) => {
    await expect(choose(changes)).rejects.toMatchObject({
      code: expect.stringMatching(/^policy-/),
      hint: expect.stringMatching(/\S/),
    });
  });
});

describe('phases', () => {
  it('of a policy are all there, for the run to go through', async () => {
    const path = join(root, 'phases.yaml');
    writeFileSync(path, 'version: 1\nphases: {setup: {rules: [allow: a.example]}, run: {}}\n');
    const { inForce } = await choose({ policies: [path] });
    expect(inForce.policy.phases?.map(({ name }) => name)).toEqual(['setup', 'run']);
    expect(inForce.policy.rules).toEqual([]);
  });
});

describe('a ceiling', () => {
  it('counts as there where it cannot be looked at', () => {
    writeFileSync(join(root, 'file'), '');
    expect(mayExist(join(root, 'none'))).toBe(false);
    expect(mayExist(join(root, 'file'))).toBe(true);
    expect(mayExist(`${'long'.repeat(2_000)}`)).toBe(true);
  });
});

describe('approvals', () => {
  it('are by content, the newest once, and readable by nobody else', () => {
    const folder = join(root, 'config');
    expect(isApproved(folder, 'sha256:a')).toBe(false);
    rememberApproval(folder, '/a', 'sha256:a');
    rememberApproval(folder, '/b', 'sha256:b');
    rememberApproval(folder, '/c', 'sha256:a');
    expect(['sha256:a', 'sha256:b', 'sha256:c'].map((digest) => isApproved(folder, digest))).toEqual([
      true,
      true,
      false,
    ]);
  });

  it('that are no JSON are an error, and of another shape are none', () => {
    const folder = join(root, 'config');
    mkdirSync(folder);
    writeFileSync(join(folder, 'approved.json'), '{');
    expect(() => isApproved(folder, 'x')).toThrow(expect.objectContaining({ code: 'file-invalid' }));
    writeFileSync(join(folder, 'approved.json'), '{"approvals": [7, null, {"digest": 3}]}');
    expect(isApproved(folder, 'x')).toBe(false);
  });
});
