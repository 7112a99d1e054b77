import { describe, expect, it } from 'vitest';
import { PROTECTED_NAMES } from '../../../controller/guest/protected-names.ts';
import { type ProjectFacts, wideningOf } from '../../../controller/project-file/widening.ts';
import { decode } from './samples.ts';

const PLAIN = { isolation: 'namespaces', confinement: 'enforced' } as const;
const FACTS: ProjectFacts = {
  workingFolder: '/repo/web',
  repository: '/repo',
  sources: [],
  authorities: [],
  secrets: [],
  image: null,
  build: null,
  policy: null,
  plain: PLAIN,
  asked: PLAIN,
  isRoot: false,
  shadowed: null,
};

function widening(text: string, facts: Partial<ProjectFacts> = {}): readonly string[] {
  return wideningOf(decode(`version: 1\n${text}`), { ...FACTS, ...facts });
}

const mount = (source: string, isReadOnly = false) =>
  widening(`mounts: "./x${isReadOnly ? ':ro' : ''}"\n`, { sources: [source] });

describe('wideningOf', () => {
  it('asks nobody about what takes away, or changes nothing outside the guest', () => {
    const text = `name: web
isolation: vm
readOnly: true
mounts: .
workdir: /project
environment: {MODE: test, PATH: /usr/bin, http_proxy: "http://a.example"}
cache: true
resources: {memory: 1GiB}
timeout: 1m
user: 1000:1000
phaseAfter: npm ci
command: [npm, test]
`;
    expect(widening(text, { sources: ['/repo/web'], asked: { ...PLAIN, isolation: 'vm' } })).toEqual([]);
    expect(widening('policy: offline\n', { policy: { digest: 'x', because: [] } })).toEqual([]);
  });

  it.each([
    ['shares: ssh-agent', 'shares your ssh-agent with the guest'],
    ['environment: [AWS_SECRET]', 'passes your own AWS_SECRET to the guest'],
    ['environment: {LD_PRELOAD: ./x.so}', 'sets LD_PRELOAD, by which programs load code'],
    ['environment: {BASH_ENV: ./x}', 'sets BASH_ENV, by which programs load code'],
    ['secrets: t=env:TOKEN', 'gives the guest the secret t, from env:TOKEN'],
    ['ports: 8080:3000', 'publishes 8080:3000 on this host’s loopback, a way into the guest'],
    ['ports: 3000', 'publishes 3000 on this host’s loopback, a way into the guest'],
    [
      'ports: 0.0.0.0:8080:3000',
      'publishes 0.0.0.0:8080:3000, a way into the guest, perhaps from other machines',
    ],
    ['ports: "*:1:2"', 'publishes *:1:2, a way into the guest, perhaps from other machines'],
    [
      'ports: 127.0.0.1.evil:1:2',
      'publishes 127.0.0.1.evil:1:2, a way into the guest, perhaps from other machines',
    ],
    ['image: docker.io/library/node', 'uses the image docker.io/library/node, from outside the repository'],
    ['user: 0', 'runs the command as the user 0'],
    ['user: 1000:0', 'runs the command as the user 1000:0'],
    ['user: root', 'runs the command as the user root'],
  ])('tells of %s', (text, sentence) => {
    expect(widening(`${text}\n`)).toEqual([sentence]);
  });

  it('tells of mounts that a plain run would not have', () => {
    expect(mount('/repo/web')).toEqual([]);
    expect(mount('/repo/web/src')).toEqual([]);
    expect(mount('/repo')).toEqual(['mounts /repo, outside the working directory, writable']);
    expect(mount('/repo/website', true)).toEqual([
      'mounts /repo/website, outside the working directory, to be read',
    ]);
    expect(mount('/repository')).toEqual(['mounts /repository, outside the repository, writable']);
    expect(widening('mounts: .\n', { sources: [] })).toEqual(['mounts a folder that is not known, writable']);
  });

  it('tells of a writable mount of what is read-only in a plain run, and below it', () => {
    for (const name of PROTECTED_NAMES) {
      for (const path of [name, `${name}/deeper`, `sub/${name}`, name.split('/')[0] ?? '']) {
        expect([path, mount(`/repo/web/${path}`)]).toEqual([
          path,
          [`mounts /repo/web/${path} writable, where the host may run or trust what a guest writes`],
        ]);
      }
      expect(mount(`/repo/web/${name}`, true)).toEqual([]);
    }
  });

  it('tells of a secret by where its path leads', () => {
    expect(widening('secrets: t=./token\n', { secrets: ['/home/a/.ssh/id_ed25519'] })).toEqual([
      'gives the guest the secret t, from /home/a/.ssh/id_ed25519',
    ]);
  });

  it('tells of an image by where its path leads', () => {
    expect(widening('image: ./root\n', { image: '/repo/root' })).toEqual([]);
    expect(widening('image: ./root\n', { image: '/' })).toEqual([
      'uses the image /, from outside the repository',
    ]);
    expect(widening('image: ./root\n')).toEqual(['uses the image ./root, from outside the repository']);
  });

  it('tells of any user where the caller is root', () => {
    expect(widening('user: 33\n', { isRoot: true })).toEqual(['runs the command as the user 33']);
  });

  it('tells of less isolation and of mere cooperation', () => {
    const plain = { isolation: 'vm', confinement: 'enforced' } as const;
    expect(widening('', { plain, asked: { isolation: 'gvisor', confinement: 'enforced' } })).toEqual([
      'isolates the guest by gvisor only, and not by vm',
    ]);
    expect(widening('', { asked: { ...PLAIN, confinement: 'cooperative' } })).toEqual([
      'leaves it to the guest to use its gateway',
    ]);
  });

  it('tells of authorities, of a file that it stands before, and of a wider policy, in bounded words', () => {
    const because = Array.from({ length: 25 }, (_, at) => `it allows ${at}.example`);
    const sentences = widening('policy: ./p.yaml\n', {
      authorities: [{ path: '/repo/ca.pem', digest: 'x' }],
      shadowed: '/repo/sand.yaml',
      policy: { digest: 'x', because },
    });
    expect(sentences.slice(0, 3)).toEqual([
      'stands in place of /repo/sand.yaml',
      'has the guest trust the certificate authority in /repo/ca.pem',
      'has a policy that is wider than strict: it allows 0.example',
    ]);
    expect(sentences.at(-1)).toBe('has a policy that is wider than strict in 5 more ways');
    expect(sentences.length).toBe(23);
  });
});

describe('wideningOf a build', () => {
  const build = { path: '/repo/web/Dockerfile', digest: 'x', context: '/repo/web' };
  const sentence =
    'builds an image from /repo/web/Dockerfile, outside the policy, with a network of the builder’s own';

  it('tells of it, and of a context outside the repository', () => {
    expect(widening('build: ./Dockerfile\n', { build })).toEqual([sentence]);
    expect(widening('build: ./Dockerfile\n', { build: { ...build, context: '/home/a' } })).toEqual([
      sentence,
      'has the builder read /home/a, outside the repository',
    ]);
  });

  it('asks nobody about a platform or a volume, which give the guest nothing of the host', () => {
    expect(widening('platform: linux/amd64\nvolumes: [a:./a]\n')).toEqual([]);
  });
});
