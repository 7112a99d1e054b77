/**
 * Every tool of the table in `controller/guest/tools.ts`, as far as it is installed, in a guest: it reaches an
 * allowed HTTPS origin whose certificate nobody but the authority of `--trust-ca` signed, it is told of a denied
 * one, and without its proxy settings it gets there no more.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TOOLS } from '../../controller/guest/tools.ts';
import { LINK } from '../../controller/links/namespace/topology.ts';
import { ALLOWED, createOrigins, DENIED, type Origins } from './origins.ts';
import { createWorld, NODE, type World } from './sand.ts';
import { MANAGERS_FOLDER, NODE_FOLDER, TOOL_SCRIPTS } from './tool-scripts.ts';

const MANAGERS = new URL('package-managers/node_modules', import.meta.url).pathname;
/** JVMs and their build tools start several programs, one after the other. */
const TOOL_DEADLINE_MS = 150_000;

let origins: Origins;
let world: World;

beforeAll(async () => {
  origins = await createOrigins();
  world = createWorld();
  world.file(
    'p.yaml',
    `version: 1
name: tools
rules:
  - allow: ${ALLOWED}
    https: [${origins.httpsPort}]
    addresses: [127.0.0.0/8]
`,
  );
});
afterAll(async () => {
  world.remove();
  await origins.close();
});

/** The environment's own certificate variables are left out: only `--trust-ca` may make these work. */
const run = (script: string, environment: Readonly<Record<string, string>> = {}) =>
  world.sand([
    'run',
    ...['--policy', './p.yaml', '--dns-upstream', `127.0.0.1:${origins.dnsPort}`],
    ...['--trust-ca', origins.authority, '--mount', '.', '--mount', `${dirname(NODE)}:${NODE_FOLDER}:ro`],
    ...(existsSync(MANAGERS) ? ['--mount', `${MANAGERS}:${MANAGERS_FOLDER}:ro`] : []),
    ...Object.entries(environment).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
    ...['--', 'sh', '-c', script],
  ]);

/** Of the system, as the guest's own PATH is. */
const GUEST_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

function isInstalled(needs: string): boolean {
  if (needs.endsWith('js')) return existsSync(join(MANAGERS, needs));
  const [program = '', ...rest] = needs.split(' ');
  const probe = rest.length > 0 ? needs : `command -v ${program}`;
  try {
    execFileSync('sh', ['-c', probe], { stdio: 'ignore', env: { PATH: GUEST_PATH } });
    return true;
  } catch {
    return false;
  }
}

/** Each attempt in a folder of its own, and not for ever: a tool that retries is cut short. */
const ATTEMPT = '( cd "$(mktemp -d)" && timeout 25 sh -c "$FETCH" ) 2>&1;';
const PROXY_VARIABLES = ['http_proxy', 'https_proxy', 'all_proxy'];
const WITHOUT_PROXY = `unset ${PROXY_VARIABLES.join(' ')} ${PROXY_VARIABLES.join(' ').toUpperCase()} YARN_HTTPS_PROXY;`;

function attempt(script: string, host: string, then = '') {
  const place = `${host}:${origins.httpsPort}`;
  return run(`${ATTEMPT} ${then}`, { FETCH: script, PLACE: place, URL: `https://${place}/page` });
}

describe('in a guest, under a further authority,', () => {
  for (const tool of TOOLS.filter((row) => row.tried)) {
    const { needs, script, refusal } = TOOL_SCRIPTS[tool.name];
    const installed = isInstalled(needs);
    const usesProxy = tool.proxy.length > 0;
    const name = `${tool.name} reaches an allowed origin, is told of a denied one, and finds no way around`;

    it.skipIf(!installed)(
      installed ? name : `${name} (skipped: ${needs} is not installed)`,
      async () => {
        const before = origins.requests.length;
        const [allowed, denied] = await Promise.all([
          attempt(script, ALLOWED),
          attempt(script, DENIED, usesProxy ? `${WITHOUT_PROXY} ${ATTEMPT}` : ''),
        ]);
        const reached = origins.requests.slice(before);
        expect([allowed.stdout, reached.some((request) => request.includes(ALLOWED))]).toContain(true);
        expect(reached.filter((request) => request.includes(DENIED))).toEqual([]);
        expect(denied.stdout).toMatch(refusal);
        // By the proxy a connection to a port was refused; without, a name that got no address.
        const refused = usesProxy ? `${DENIED}:${origins.httpsPort}` : DENIED;
        expect(denied.stderr).toContain(`  ${refused}: no rule allows this host`);
      },
      TOOL_DEADLINE_MS,
    );
  }
});

describe('the variables of the table', () => {
  it('name the proxy for what reads variables, and leave the options of JVMs and apt to the caller', async () => {
    const { stdout } = await run('env');
    const proxy = `http://${LINK.gateway4}:${LINK.proxyPort}`;
    for (const name of ['http_proxy', 'https_proxy', 'all_proxy']) {
      expect(stdout).toContain(`${name}=${proxy}\n`);
      expect(stdout).toContain(`${name.toUpperCase()}=${proxy}\n`);
    }
    expect(stdout).toContain('no_proxy=localhost,127.0.0.1,::1\n');
    expect(stdout).toContain('NODE_USE_ENV_PROXY=1\n');
    expect(stdout).not.toMatch(/^(JAVA_TOOL_OPTIONS|JDK_JAVA_OPTIONS|MAVEN_OPTS|GRADLE_OPTS|APT_CONFIG)=/m);
  });

  it('yield to --env', async () => {
    const script = 'echo "$https_proxy $CURL_CA_BUNDLE $SSL_CERT_FILE"';
    const { stdout } = await run(script, { https_proxy: 'http://mine.example', CURL_CA_BUNDLE: '/mine' });
    expect(stdout).toBe('http://mine.example /mine /run/sand/authorities.pem\n');
  });

  it('keep the system\u2019s authorities beside the further one', async () => {
    const { stdout } = await run(
      'grep -c "BEGIN CERTIFICATE" $SSL_CERT_FILE; grep -c "BEGIN CERTIFICATE" $NODE_EXTRA_CA_CERTS',
    );
    const [all, added] = stdout.trim().split('\n').map(Number);
    expect(added).toBe(1);
    expect(all).toBeGreaterThan(50);
  });

  it.skipIf(!isInstalled('@yarnpkg/cli-dist/bin/yarn.js'))(
    'leave a registry on the guest\u2019s own loopback to yarn 4',
    async () => {
      const server =
        'require("node:http").createServer((_, answer) => { console.log("asked"); answer.end("{}"); }).listen(8873, "localhost", () => console.log("up"))';
      const { stdout } = await run(
        `cd /tmp; ${NODE_FOLDER}/node -e '${server}' >log & server=$!
        cd /tmp; timeout 30 sh -c 'until grep -q up log; do sleep 0.1; done'
        ${TOOL_SCRIPTS['yarn 4'].script}; cat log; kill $server`,
        { URL: 'http://localhost:8873' },
      );
      expect(stdout).toContain('up\nasked\n');
    },
    TOOL_DEADLINE_MS,
  );

  it.skipIf(!isInstalled('keytool'))(
    'give a JVM the system\u2019s authorities and the further one',
    async () => {
      const { stdout, stderr } = await run(
        `grep -c "BEGIN CERTIFICATE" $SSL_CERT_FILE
      for store in -cacerts '-keystore /run/sand/authorities.jks'; do keytool -list -storepass changeit $store | grep -c trustedCertEntry; done`,
      );
      const [bundle, ...stores] = stdout.trim().split('\n');
      expect(stores).toEqual([bundle, bundle]);
      expect(stderr).toBe('');
    },
  );
});

describe('--trust-ca', () => {
  it('refuses what is no authority, and never shows a guest a key', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sand-trust-'));
    const file = join(folder, 'key.pem');
    writeFileSync(file, '-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n');
    for (const path of [file, join(folder, 'missing.pem')]) {
      const refused = await world.sand(['run', '--policy', 'offline', '--trust-ca', path, '--', 'true']);
      expect(refused.code).toBe(2);
      expect(refused.stderr).toContain('file-invalid');
    }
    rmSync(folder, { recursive: true });
  });
});
