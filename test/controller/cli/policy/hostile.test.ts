import { closeSync, ftruncateSync, mkdirSync, openSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { checkPolicies } from '../../../../controller/cli/policy/check.ts';
import { formatPolicies } from '../../../../controller/cli/policy/fmt.ts';
import { lockPolicy } from '../../../../controller/cli/policy/lock.ts';
import { showPolicy } from '../../../../controller/cli/policy/show.ts';
import { testPolicies } from '../../../../controller/cli/policy/test.ts';
import { createProject, type Project } from './project.ts';

const RIGHT = 'version: 1\nrules:\n  - allow: a.example.com\n';
const LAUGHS = `a: &a [x, x]\n${Array.from({ length: 9 }, (_, at) => `b${at}: &b${at} [*a, *a, *a]\n`).join('')}`;

const HOSTILE: readonly (readonly [string, string | Uint8Array, number])[] = [
  ['a billion laughs', `version: 1\n${LAUGHS}`, 2],
  ['deep brackets', `version: 1\nrules: ${'['.repeat(100_000)}`, 2],
  ['deep braces', `version: 1\nrules: ${'{a: '.repeat(100_000)}`, 2],
  ['deep dashes', `version: 1\nrules:\n  ${'- '.repeat(100_000)}x\n`, 3],
  ['an unquoted star', 'version: 1\nrules:\n  - allow: *.example.com\n', 3],
  ['a key twice', 'version: 1\nrules: []\nversion: 1\n', 3],
  ['a merge key', 'version: 1\nrules:\n  - <<: {allow: a.example.com}\n', 3],
  ['a tag', 'version: 1\nrules:\n  - allow: !!binary aGk=\n', 3],
  ['a tag for a function', 'version: 1\nname: !!js/function "x"\n', 2],
  ['an anchor', 'version: &v 1\n', 1],
  ['a directive', '%YAML 1.1\n---\nversion: 1\n', 1],
  ['two documents', 'version: 1\n---\nversion: 1\n', 2],
  ['a NUL', 'version: 1\nname: "a\0b"\n', 2],
  ['an escape sequence', 'version: 1\nname: "\u001b[2J"\n', 2],
  ['text that runs backwards', 'version: 1\nname: "\u202egnp"\n', 2],
  ['bytes that are not UTF-8', Buffer.from([0x76, 0x3a, 0x20, 0xff, 0xfe, 0x0a]), 1],
  ['UTF-16', Buffer.from('\ufeffversion: 1\n', 'utf16le'), 1],
  ['one very long value', `version: 1\nname: "${'a'.repeat(1_000_000)}"\n`, 2],
  ['a very long line of nothing', `version: 1\n${'\t'.repeat(100_000)}x: 1\n`, 2],
  ['many keys', `version: 1\n${Array.from({ length: 50_000 }, (_, at) => `k${at}: 1\n`).join('')}`, 2],
  ['a prototype', 'version: 1\n__proto__: {rules: []}\nconstructor: 1\n', 2],
];

let project: Project;
afterEach(() => project.remove());

function check(...files: string[]) {
  const code = checkPolicies({ files, strict: false, format: 'text' }, project.surroundings);
  return { code, text: project.output() };
}

describe('a hostile file', () => {
  it.each(HOSTILE)('that is %s is an error with its line for every command', (_, content, line) => {
    project = createProject({ 'right.yaml': RIGHT });
    project.write('x.yaml', content);
    const place = new RegExp(`^x\\.yaml:${line}:\\d+: error: `, 'm');
    expect(check('x.yaml')).toEqual({ code: 1, text: expect.stringMatching(place) });
    expect(formatPolicies({ files: ['x.yaml'], check: false }, project.surroundings)).toBe(2);
    expect(project.output()).toMatch(place);
    expect(testPolicies({ files: ['x.yaml'], format: 'text' }, project.surroundings)).toBe(2);
    expect(project.output()).toMatch(place);
    const thrown = new RegExp(`^x\\.yaml:${line}:`, 'm');
    expect(() => lockPolicy({ file: 'x.yaml', check: false }, project.surroundings)).toThrow(thrown);
    const flags = { policies: ['x.yaml'], allow: [], resolved: false, json: false };
    expect(() => showPolicy(flags, project.surroundings)).toThrow(thrown);
    project.write('right.lock', content);
    expect(check('right.yaml')).toEqual({
      code: 1,
      text: expect.stringMatching(/^right\.lock:\d+:\d+: error: /),
    });
    expect(project.output()).not.toMatch(/[\0\u001b\u202e]/);
  });

  it('of 100 MB is refused by its size, and not read', () => {
    project = createProject({ 'right.yaml': RIGHT });
    for (const name of ['x.yaml', 'right.lock']) {
      const descriptor = openSync(join(project.folder, name), 'w');
      ftruncateSync(descriptor, 100 * 1024 * 1024);
      closeSync(descriptor);
    }
    expect(check('x.yaml').text).toMatch(/^x\.yaml:1:1: error: the file is larger than \d+ bytes/);
    expect(check('right.yaml').text).toMatch(/^right\.lock:1:1: error: the file is larger than/);
    expect(formatPolicies({ files: ['x.yaml'], check: false }, project.surroundings)).toBe(2);
    expect(testPolicies({ files: ['x.yaml'], format: 'text' }, project.surroundings)).toBe(2);
  });

  it('that extends in a circle, also through links, is an error with its line', () => {
    project = createProject({
      'a.yaml': 'version: 1\nextends: [./b.yaml]\n',
      'b.yaml': 'version: 1\nextends: ./link.yaml\n',
      'self.yaml': 'version: 1\nextends:\n  - ./self.yaml\n',
    });
    symlinkSync('a.yaml', join(project.folder, 'link.yaml'));
    symlinkSync('loop.yaml', join(project.folder, 'loop.yaml'));
    project.write('c.yaml', 'version: 1\nextends: ./loop.yaml\n');
    expect(check('a.yaml').text).toMatch(/^b\.yaml:2:10: error: extends leads back/);
    expect(check('self.yaml').text).toMatch(/^self\.yaml:3:5: error: extends leads back/);
    expect(check('c.yaml').text).toMatch(/^c\.yaml:2:10: error: .*its symbolic links lead in a circle/);
  });

  it('that is found reads nothing outside the repository, also through links', () => {
    project = createProject({ 'secret.yaml': 'password: hunter2\n', 'repo/sand.policy.yaml': RIGHT });
    mkdirSync(join(project.folder, 'repo/.git'));
    symlinkSync('../secret.yaml', join(project.folder, 'repo/link.yaml'));
    const inside = { ...project.surroundings, cwd: join(project.folder, 'repo') };
    const flags = { policies: [], allow: [], resolved: false, json: false };
    for (const base of ['../secret.yaml', './link.yaml', '/etc/passwd']) {
      project.write('repo/sand.policy.yaml', `version: 1\nextends: ${base}\n`);
      expect(() => showPolicy(flags, inside)).toThrow('sand.policy.yaml:2:10: ');
      expect(() => showPolicy(flags, inside)).toThrow('it lies outside the repository');
      expect(checkPolicies({ files: [], strict: false, format: 'text' }, inside)).toBe(1);
      expect(project.output()).toContain('it lies outside the repository');
      expect(() => lockPolicy({ file: undefined, check: false }, inside)).toThrow(
        'it lies outside the repository',
      );
    }
    project.write('repo/sand.policy.yaml', RIGHT);
    symlinkSync('../secret.yaml', join(project.folder, 'repo/sand.policy.lock'));
    expect(() => showPolicy(flags, inside)).toThrow(
      'the lock cannot be read: it lies outside the repository',
    );
  });

  it('that is a device, a pipe or a folder blocks nothing', () => {
    project = createProject({ 'a.yaml': 'version: 1\nextends: [/dev/zero, /dev/tty, ./folder.d]\n' });
    mkdirSync(join(project.folder, 'folder.d'));
    const { code, text } = check('a.yaml');
    expect(code).toBe(1);
    expect(text.match(/^a\.yaml:2:\d+: error: .* cannot be read/gm)).toHaveLength(3);
  });
});
