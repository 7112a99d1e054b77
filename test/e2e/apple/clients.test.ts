/** Real clients in a guest of the apple-container backend, under an authority that only `--trust-ca` names: curl, git, Python, Node, npm. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ALLOWED, createOrigins, DENIED, type Origins } from '../origins.ts';
import { APPLE_MS, type AppleWorld, CAN_EMULATE, createAppleWorld, SYSTEM_PATH } from './apple-world.ts';

const WITHOUT =
  'unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NODE_USE_ENV_PROXY YARN_HTTPS_PROXY npm_config_proxy npm_config_https_proxy;';

function hasProgram(name: string): boolean {
  return SYSTEM_PATH.split(':').some((folder) => existsSync(join(folder, name)));
}

describe.skipIf(!CAN_EMULATE)(
  'clients in a guest of the apple-container backend',
  { timeout: APPLE_MS },
  () => {
    let world: AppleWorld;
    let origins: Origins;
    let server: Server;
    let place: string;
    const served: string[] = [];

    beforeAll(async () => {
      origins = await createOrigins();
      world = createAppleWorld();
      const files = join(world.root, 'served');
      makeRepository(files);
      const tarball = makePackage(files);
      const folder = dirname(origins.authority);
      const [key, cert] = ['origin.key', 'origin.pem'].map((name) => readFileSync(join(folder, name)));
      server = createServer({ key, cert }, (request, response) => {
        const path = (request.url ?? '/').split('?', 1).join('');
        served.push(path);
        if (path === '/tiny') response.end(JSON.stringify(packument(`https://${place}`, tarball)));
        else if (isFile(join(files, path))) response.end(readFileSync(join(files, path)));
        else response.writeHead(404).end('no such file\n');
      });
      server.listen({ port: 0, host: '127.0.0.1' });
      await once(server, 'listening');
      const { port } = Object(server.address());
      place = `${ALLOWED}:${port}`;
      writeFileSync(
        join(world.root, 'p.yaml'),
        `version: 1\nname: clients\nrules:\n  - allow: ${ALLOWED}\n    https: [${port}]\n    addresses: [127.0.0.0/8]\n  - deny: ${DENIED}\n    because: the tests say so\n`,
      );
      await begin('one');
    }, APPLE_MS);
    afterAll(async () => {
      await world.end();
      server.close();
      await origins.close();
    }, APPLE_MS);

    const begin = (name: string) =>
      world.detach(
        name,
        [],
        [
          ...['--policy', '../p.yaml', '--dns-upstream', `127.0.0.1:${origins.dnsPort}`],
          ...['--trust-ca', origins.authority, '--cache'],
        ],
      );

    const clients = [
      { client: 'curl', script: (url: string) => `curl -sS -m 20 ${url}/word` },
      {
        client: 'python3',
        script: (url: string) =>
          `python3 -c 'import urllib.request as r; print(r.urlopen("${url}/word", timeout=20).read().decode(), end="")'`,
      },
      {
        client: 'node',
        script: (url: string) =>
          `node -e 'fetch("${url}/word").then((r) => r.text()).then((t) => process.stdout.write(t))'`,
      },
      {
        client: 'git',
        script: (url: string) =>
          `rm -rf /tmp/cloned; git clone -q ${url}/repository.git /tmp/cloned && cat /tmp/cloned/word`,
      },
    ];
    for (const { client, script } of clients) {
      it.skipIf(!hasProgram(client))(
        `${client} gets there by the proxy and without, and not where it may not`,
        async () => {
          const { stdout, stderr } = await world.exec(
            'one',
            `{ ${script(`https://${place}`)}; }; ( ${WITHOUT} ${script(`https://${place}`)} )`,
          );
          expect([stdout, stderr.replace(/.*ExperimentalWarning.*\n.*\n/g, '')]).toEqual([
            'the word\nthe word\n',
            '',
          ]);
          const denied = await world.exec(
            'one',
            `{ ${script(`https://${place.replace(ALLOWED, DENIED)}`)}; } && echo got-there`,
          );
          expect(denied.stdout).not.toMatch(/the word|got-there/);
        },
      );
    }

    it.skipIf(!hasProgram('npm'))(
      'npm installs from a registry, and a second guest from the cache of the first',
      async () => {
        const install = (flags: string) =>
          `rm -rf /tmp/project; mkdir /tmp/project; cd /tmp/project; echo '{}' > package.json; npm install --no-audit --no-fund --no-progress --silent --registry https://${place} ${flags} tiny 2>&1; cat node_modules/tiny/index.js`;
        const first = await world.exec('one', install(''));
        expect(first.stdout).toBe('module.exports = 42;\n');
        await world.sand(['stop', 'one']);
        await begin('two');
        const before = served.length;
        const second = await world.exec('two', install('--offline'));
        expect(second.stdout).toBe('module.exports = 42;\n');
        expect(served.length).toBe(before);
      },
    );
  },
);

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function makeRepository(files: string): void {
  const work = join(files, 'work');
  mkdirSync(work, { recursive: true });
  writeFileSync(join(files, 'word'), 'the word\n');
  writeFileSync(join(work, 'word'), 'the word\n');
  const git = (...args: readonly string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@origin.test', ...args], {
      cwd: work,
      stdio: 'pipe',
    });
  git('init', '-q');
  git('add', '.');
  git('commit', '-qm', 'word');
  git('clone', '-q', '--bare', '.', '../repository.git');
  execFileSync('git', ['update-server-info'], { cwd: join(files, 'repository.git') });
}

function makePackage(files: string): Buffer {
  const folder = join(files, 'npm/package');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'tiny', version: '1.0.0' }));
  writeFileSync(join(folder, 'index.js'), 'module.exports = 42;\n');
  execFileSync('tar', ['-czf', '../tiny-1.0.0.tgz', 'package'], { cwd: dirname(folder) });
  return readFileSync(join(files, 'tiny-1.0.0.tgz'));
}

function packument(url: string, tarball: Buffer): object {
  const integrity = `sha512-${createHash('sha512').update(tarball).digest('base64')}`;
  const dist = { tarball: `${url}/tiny-1.0.0.tgz`, integrity };
  return {
    name: 'tiny',
    'dist-tags': { latest: '1.0.0' },
    versions: { '1.0.0': { name: 'tiny', version: '1.0.0', dist } },
  };
}
