/**
 * Every tool sees the proxy, and an authority that `--trust-ca` names: one run a tool against an HTTPS origin
 * whose certificate nobody but that authority signed.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LINK } from '../../controller/links/namespace/topology.ts';
import { ALLOWED, createOrigins, type Origins } from './origins.ts';
import { createWorld, type World } from './sand.ts';

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
const run = (script: string) =>
  world.sand([
    'run',
    '--policy',
    './p.yaml',
    '--dns-upstream',
    `127.0.0.1:${origins.dnsPort}`,
    '--trust-ca',
    origins.authority,
    '--',
    'sh',
    '-c',
    script,
  ]);

/** What each tool is asked, and what shows that it got the answer. `URL` is the origin's page. */
const TOOLS: readonly (readonly [tool: string, script: string, shows: string])[] = [
  ['curl', 'curl -sS URL', 'secret hello'],
  ['wget', 'wget -qO- URL', 'secret hello'],
  ['node', `node -e 'fetch("URL").then(r=>r.text()).then(t=>process.stdout.write(t))'`, 'secret hello'],
  ['npm', 'npm view --registry URL thing 2>&1; true', 'request to the origin'],
  ['git', 'git ls-remote URL 2>&1; true', 'request to the origin'],
  [
    'python3',
    `python3 -c 'import urllib.request as u; print(u.urlopen("URL").read().decode())'`,
    'secret hello',
  ],
  ['pip', 'pip download --no-deps --retries 0 --index-url URL thing 2>&1; true', 'request to the origin'],
  [
    'cargo',
    `mkdir -p c/src && cd c && touch src/lib.rs && printf '[package]\\nname="c"\\nversion="0.1.0"\\n[dependencies]\\nthing={version="1",registry="o"}\\n[workspace]\\n' >Cargo.toml && mkdir -p .cargo && printf '[registries.o]\\nindex="sparse+URL/"\\n' >.cargo/config.toml && timeout 30 cargo fetch 2>&1; true`,
    'request to the origin',
  ],
  [
    'go',
    'GOFLAGS=-mod=mod GONOSUMDB=* GOPROXY=URL timeout 30 go mod download thing.example/x@v1.0.0 2>&1; true',
    'request to the origin',
  ],
  ['gem', 'timeout 30 gem fetch thing --clear-sources --source URL/ 2>&1; true', 'request to the origin'],
];

/** Of the system, as the guest's own PATH is. */
const GUEST_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const isInstalled = (tool: string): boolean => {
  try {
    execFileSync('sh', ['-c', `command -v ${tool}`], { stdio: 'ignore', env: { PATH: GUEST_PATH } });
    return true;
  } catch {
    return false;
  }
};

describe('a tool in a guest, through the proxy and under a further authority', () => {
  for (const [tool, script, shows] of TOOLS) {
    it.skipIf(!isInstalled(tool))(`${tool} reaches an allowed origin`, async () => {
      const before = origins.requests.length;
      const page = `https://${ALLOWED}:${origins.httpsPort}/${tool}`;
      const result = await run(script.replaceAll('URL', page));
      const reached = origins.requests.slice(before).filter((request) => request.includes(`/${tool}`));
      expect([tool, result.stdout, reached]).not.toEqual([tool, result.stdout, []]);
      if (shows !== 'request to the origin') expect(result.stdout).toContain(shows);
    });
  }

  it('has the proxy in every variable that tools read', async () => {
    const { stdout } = await run('env');
    const proxy = `http://${LINK.gateway4}:${LINK.proxyPort}`;
    for (const name of ['http_proxy', 'https_proxy', 'all_proxy']) {
      expect(stdout).toContain(`${name}=${proxy}\n`);
      expect(stdout).toContain(`${name.toUpperCase()}=${proxy}\n`);
    }
    expect(stdout).toContain('no_proxy=localhost,127.0.0.1,::1\n');
    expect(stdout).toContain('NODE_USE_ENV_PROXY=1\n');
  });

  it('keeps the system’s authorities beside the further one', async () => {
    const { stdout } = await run(
      'grep -c "BEGIN CERTIFICATE" $SSL_CERT_FILE; grep -c "BEGIN CERTIFICATE" $NODE_EXTRA_CA_CERTS',
    );
    const [all, added] = stdout.trim().split('\n').map(Number);
    expect(added).toBe(1);
    expect(all).toBeGreaterThan(50);
  });
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
