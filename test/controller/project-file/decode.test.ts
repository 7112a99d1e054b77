import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeProjectFile } from '../../../controller/project-file/decode.ts';
import { decode, EVERYTHING, issuesOf } from './samples.ts';

describe('decodeProjectFile', () => {
  it('reads every key, with its place', () => {
    const file = decode(EVERYTHING);
    const values = (list: readonly { readonly value: unknown }[]) => list.map(({ value }) => value);
    expect(file.name).toEqual({ value: 'web', at: { file: 'sand.yaml', line: 2, column: 7 } });
    expect(file.image?.value).toBe('./images/node.tar');
    expect(file.isolation?.value).toBe('gvisor');
    expect(file.user?.value).toBe('1000:1000');
    expect(file.readOnly?.value).toBe(true);
    expect(values(file.policy)).toEqual(['strict', 'group:github-core', './company.yaml']);
    expect(values(file.mounts)).toEqual([
      { source: '.', target: null, writable: true },
      { source: '../data', target: '/data', writable: false },
      { source: './assets', target: '/assets', writable: false },
    ]);
    expect(values(file.environment)).toEqual([
      { name: 'MODE', value: 'test' },
      { name: 'PORT', value: '3000' },
      { name: 'DEBUG', value: 'true' },
    ]);
    expect(values(file.shares)).toEqual(['gitconfig']);
    expect(values(file.ports)).toEqual(['8080:3000']);
    expect(values(file.trustCa)).toEqual(['./ca.pem']);
    expect(file.resources.cpus?.value).toBe('1.50');
    expect(file.resources.pids?.value).toBe('256');
    expect(file.timeoutMs?.value).toBe(600_000);
    expect(values(file.phaseAfter)).toEqual(['npm ci']);
    expect(file.command?.value).toEqual(['npm', 'test', '1', 'true']);
  });

  it('reads nothing from the shortest file', () => {
    const file = decode('version: 1\n');
    expect(file.policy).toEqual([]);
    expect(file.command).toBeNull();
  });

  it('passes the caller’s own variables in a list, beside such with a value', () => {
    const { environment } = decode('version: 1\nenvironment: [TOKEN, "A=b=c", EMPTY=]\n');
    expect(environment.map(({ value }) => value)).toEqual([
      { name: 'TOKEN', value: null },
      { name: 'A', value: 'b=c' },
      { name: 'EMPTY', value: '' },
    ]);
  });

  it.each([
    ['', '1:1: error: the file is empty'],
    ['[]', '1:1: error: sand.yaml is a map of keys'],
    ['policy: strict\n', '1:1: error: the file names no version'],
    ['version: 2\n', '1:10: error: this version of sand reads version 1, not the number 2'],
    ['version: "1"\n', '1:10: error: this version of sand reads version 1'],
    ['version: 1\nmount: .\n', '2:1: error: sand.yaml has no key "mount". Did you mean "mounts"?'],
    ['version: 1\nprivileged: true\n', '2:1: error: sand.yaml has no key "privileged"'],
    [
      'version: 1\nimage: ./root\nbuild: ./Dockerfile\n',
      '3:1: error: "image" and "build" both say what the root is',
    ],
    ['version: 1\nbuild: {context: .}\n', '2:8: error: a build names no Dockerfile'],
    [
      'version: 1\nbuild: {file: ~/Dockerfile}\n',
      '2:15: error: "~/Dockerfile" is not expanded, as a shell would',
    ],
    [
      'version: 1\nplatform: windows/amd64\n',
      '2:11: error: platform: windows/amd64: there is no such platform here',
    ],
    ['version: 1\nvolumes: ./node_modules\n', '2:10: error: ./node_modules does not read as NAME:PATH'],
    ['version: 1\nvolumes: [a:/x:ro]\n', '2:11: error: a:/x:ro: "/x:ro" is no place in the guest'],
    ['version: 1\nname: -rf\n', '2:7: error: "-rf" cannot be the name of a guest'],
    ['version: 1\nname: 7\n', '2:7: error: "name" is text, and here stands the number 7'],
    ['version: 1\nisolation: none\n', '2:12: error: "isolation" cannot be none'],
    ['version: 1\npolicy: []\n', '2:9: error: "policy" is an empty list'],
    ['version: 1\npolicy:\n', '2:8: error: "policy" is text, and here stands nothing'],
    ['version: 1\npolicy: ~/p.yaml\n', '2:9: error: "~/p.yaml" is not expanded'],
    ['version: 1\nmounts: [$HOME/x]\n', '2:10: error: "$HOME/x" is not expanded'],
    ['version: 1\nmounts: ["a:b:c:d"]\n', '2:10: error: a:b:c:d does not read as SRC[:DST][:ro]'],
    ['version: 1\nmounts: ["./a:b"]\n', '2:10: error: ./a:b: the place in the guest must be an absolute'],
    ['version: 1\nmounts: [{target: /a}]\n', '2:10: error: a mount names no source'],
    ['version: 1\nmounts: [{source: a, ro: true}]\n', '2:22: error: a mount has no key "ro"'],
    ['version: 1\nmounts: [{source: "a:/b"}]\n', '2:10: error: a colon cannot be part of the path'],
    ['version: 1\nmounts: [{source: a, readOnly: yes}]\n', '2:32: error: "readOnly" is true or false'],
    ['version: 1\nworkdir: web\n', '2:10: error: "workdir" is a path as the guest sees it'],
    ['version: 1\nenvironment: {A: }\n', '2:18: error: "A" is text, and here stands nothing'],
    ['version: 1\nenvironment: {A-B: 1}\n', '2:15: error: "A-B" is not the name of a variable'],
    ['version: 1\nenvironment: [A, A=1]\n', '2:18: error: "A" stands here a second time'],
    ['version: 1\nenvironment: {A: "x\\0y"}\n', '2:18: error: "A" holds a NUL'],
    ['version: 1\nshares: [docker-socket]\n', '2:10: error: "shares" cannot be docker-socket'],
    ['version: 1\nports: [[1]]\n', '2:9: error: "ports" is text, and here stands a list'],
    ['version: 1\nsecrets: "a\\nb"\n', '2:10: error: "secrets" is empty, or holds what no line does'],
    [
      'version: 1\nsecrets: hunter2\n',
      '2:10: error: a secret is named, and read from a file or a variable. Write',
    ],
    ['version: 1\nsecrets: a=~/x\n', '2:10: error: a secret is named'],
    ['version: 1\nimage: $X\n', '2:8: error: "$X" is not expanded'],
    ['version: 1\ncache: sometimes\n', '2:8: error: "cache" is true or false'],
    ['version: 1\nresources: {cpu: 1}\n', '2:13: error: "resources" has no key "cpu". Did you mean "cpus"?'],
    ['version: 1\ntimeout: soon\n', '2:10: error: timeout: soon: not a time'],
    ['version: 1\nphaseAfter: " "\n', '2:13: error: "phaseAfter" is empty'],
    ['version: 1\ncommand: npm test\n', '2:10: error: "command" is a list of words'],
    ['version: 1\ncommand: []\n', '2:10: error: "command" is a list of words'],
    ['version: 1\ncommand: [""]\n', '2:10: error: "command" names no program'],
  ])('refuses %j', (text, issue) => {
    expect(issuesOf(text)[0]).toContain(`sand.yaml:${issue}`);
  });

  it('tells every mistake, each with what to write', () => {
    const issues = issuesOf('version: 1\ncach: true\nworkdir: web\n');
    expect(issues).toEqual([
      'sand.yaml:2:1: error: sand.yaml has no key "cach". Did you mean "cache"?',
      'sand.yaml:3:10: error: "workdir" is a path as the guest sees it. Write an absolute path, for example /project.',
    ]);
  });

  it('bounds what a person would have to read', () => {
    const list = (count: number, item: string) => `[${Array.from({ length: count }, () => item).join(', ')}]`;
    expect(issuesOf(`version: 1\nmounts: ${list(65, '.')}\n`)[0]).toContain('more than 64 entries');
    expect(issuesOf(`version: 1\ncommand: ${list(257, 'a')}\n`)[0]).toContain('more than 256 words');
    const names = Array.from({ length: 300 }, (_, at) => `A${at}: b`).join(', ');
    expect(issuesOf(`version: 1\nenvironment: {${names}}\n`)[0]).toContain('more than 256 variables');
    expect(issuesOf(`version: 1\nuser: ${'x'.repeat(5000)}\n`)[0]).toContain('longer than 4096 characters');
  });
});

const LAUGHS = `a: &a [x, x]\n${Array.from({ length: 9 }, (_, at) => `b${at}: &b${at} [*a, *a, *a]\n`).join('')}`;
const HOSTILE: readonly (readonly [string, string | Uint8Array, number])[] = [
  ['a billion laughs', `version: 1\n${LAUGHS}`, 2],
  ['deep brackets', `version: 1\nmounts: ${'['.repeat(100_000)}`, 2],
  ['deep braces', `version: 1\nenvironment: ${'{a: '.repeat(100_000)}`, 2],
  ['deep dashes', `version: 1\nmounts:\n  ${'- '.repeat(100_000)}x\n`, 3],
  ['a key twice', 'version: 1\nmounts: .\nmounts: /\n', 3],
  ['a variable twice', 'version: 1\nenvironment: {A: 1, A: 2}\n', 2],
  ['a merge key', 'version: 1\nenvironment:\n  <<: {A: 1}\n', 3],
  ['a tag', 'version: 1\nname: !!binary aGk=\n', 2],
  ['a tag for a function', 'version: 1\ncommand: !!js/function "x"\n', 2],
  ['an anchor and its alias', 'version: 1\nmounts: &m [.]\nports: *m\n', 2],
  ['an alias that leads to itself', 'version: 1\nmounts: &m [*m]\n', 2],
  ['a directive', '%YAML 1.1\n---\nversion: 1\n', 1],
  ['two documents', 'version: 1\n---\nversion: 1\nmounts: [/]\n', 2],
  ['a NUL', 'version: 1\nname: "a\0b"\n', 2],
  ['an escape sequence', 'version: 1\nname: "\u001b[2J"\n', 2],
  ['text that runs backwards', 'version: 1\nname: "\u202egnp"\n', 2],
  ['bytes that are not UTF-8', Buffer.from([0x76, 0x3a, 0x20, 0xff, 0xfe, 0x0a]), 1],
  ['UTF-16', Buffer.from('\ufeffversion: 1\n', 'utf16le'), 1],
  ['one very long value', `version: 1\nname: "${'a'.repeat(1_000_000)}"\n`, 2],
  ['many keys', `version: 1\n${Array.from({ length: 50_000 }, (_, at) => `k${at}: 1\n`).join('')}`, 2],
  ['a prototype', 'version: 1\n__proto__: {mounts: [/]}\nconstructor: 1\n', 2],
  ['a key that is a list', 'version: 1\n? [mounts]\n: [/]\n', 2],
  ['5 MB', `version: 1\n#${'x\n#'.repeat(2_500_000)}`, 1],
];

describe('a hostile sand.yaml', () => {
  it.each(HOSTILE)('that is %s is an error with its line', (_, content, line) => {
    const decoded = decodeProjectFile(content, 'sand.yaml');
    expect(decoded.ok).toBe(false);
    if (decoded.ok) return;
    expect(decoded.issues[0]?.at).toMatchObject({ file: 'sand.yaml', line });
    expect(decoded.issues.length).toBeLessThanOrEqual(51);
    expect(JSON.stringify(decoded.issues)).not.toMatch(/\\u0000|\\u001b|\u202e/);
  });

  it('of any bytes is survived', () => {
    const near = fc.string({ unit: fc.constantFrom(...'{}[]:-,"\'*&!|>#~ \n\t01aA=.$/'.split('')) });
    const key = fc.constantFrom('mounts', 'environment', 'policy', 'command', 'resources', 'timeout', 'x');
    const text = fc.tuple(key, near).map(([name, value]) => `version: 1\n${name}: ${value}\n`);
    fc.assert(
      fc.property(fc.oneof(text, fc.uint8Array({ maxLength: 200 })), (content) => {
        const decoded = decodeProjectFile(content, 'sand.yaml');
        if (!decoded.ok) expect(decoded.issues.length).toBeGreaterThan(0);
      }),
      { numRuns: 500 },
    );
  });
});
