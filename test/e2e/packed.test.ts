/** The packed package, installed elsewhere: one package, no native binary but the guest's relay, and it runs. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';

const NPM_TIMEOUT_MS = 60_000;

let folder: string;
let installed: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sand-packed-'));
  const npm = (args: readonly string[], cwd: string) =>
    execFileSync('npm', [...args, '--offline', '--no-audit', '--no-fund', '--loglevel=error'], {
      cwd,
      encoding: 'utf8',
      timeout: NPM_TIMEOUT_MS,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
  const packed = npm(
    ['pack', '--ignore-scripts', '--pack-destination', folder],
    inject('sandPackage'),
  ).trim();
  const project = join(folder, 'project');
  mkdirSync(project);
  writeFileSync(join(project, 'package.json'), '{"name": "somewhere-else", "version": "1.0.0"}\n');
  npm(['install', join(folder, packed)], project);
  installed = join(project, 'node_modules', 'sand-egress');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function filesBelow(path: string): readonly string[] {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

it('installs nothing but itself', () => {
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
    readonly dependencies?: object;
  };
  expect(Object.keys(manifest.dependencies ?? {})).toEqual([]);
  expect(readdirSync(join(installed, '..')).filter((name) => !name.startsWith('.'))).toEqual(['sand-egress']);
});

/** Of Mach-O for one architecture in either order of bytes, and for several: a Mac runs those alone. */
const MACH_O: readonly string[] = ['feedface', 'feedfacf', 'cefaedfe', 'cffaedfe', 'cafebabe', 'cafebabf'];

it('holds no native binary but the relay of guests, no source map and no path of the machine that built it', () => {
  const files = filesBelow(installed);
  expect(files.length).toBeGreaterThan(20);
  for (const file of files) {
    const bytes = readFileSync(file);
    const isRelay = /\/dist\/relay\/(x64|arm64)\/sand-relay$/.test(file);
    expect([file, bytes.subarray(0, 4).toString('latin1') === '\x7fELF']).toEqual([file, isRelay]);
    // Nothing of it needs to be signed, or an entitlement.
    expect([file, MACH_O.includes(bytes.subarray(0, 4).toString('hex'))]).toEqual([file, false]);
    expect(file).not.toMatch(/\.(node|so|dylib|map)$/);
    expect(bytes.includes(join(import.meta.dirname, '..', '..'))).toBe(false);
  }
});

it('brings the relay of guests with its digests, and each under 100 KB', (context) => {
  const relay = join(installed, 'dist/relay');
  if (!existsSync(relay)) context.skip('the guest relay is not built: npm run build:relay');
  const digests = JSON.parse(readFileSync(join(relay, 'digests.json'), 'utf8')) as Record<
    string,
    { readonly sha256: string; readonly size: number }
  >;
  expect(Object.keys(digests).sort()).toEqual(['arm64', 'x64']);
  for (const [architecture, { sha256, size }] of Object.entries(digests)) {
    const bytes = readFileSync(join(relay, architecture, 'sand-relay'));
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
    expect([bytes.length, size < 100_000]).toEqual([size, true]);
  }
  expect(readFileSync(join(installed, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8')).toContain('musl');
});

it('brings the schemas, the policy data, the declarations and the licences', () => {
  for (const name of [
    'schemas/policy.schema.json',
    'schemas/audit.schema.json',
    'schemas/sand.schema.json',
    'schemas/baseline.schema.json',
    'presets/strict.yaml',
    'index.d.ts',
    'THIRD-PARTY-LICENSES.txt',
  ]) {
    expect(statSync(join(installed, 'dist', name)).size).toBeGreaterThan(100);
  }
});

it('runs a command under the strict policy by its bin', () => {
  const workspace = join(folder, 'workspace');
  mkdirSync(workspace);
  const output = execFileSync(
    inject('sandNode'),
    [join(installed, 'controller/bin/sand.js'), 'run', '--policy', 'strict', '--', 'echo', 'from the guest'],
    {
      cwd: workspace,
      encoding: 'utf8',
      env: { ...process.env, XDG_STATE_HOME: join(folder, 'state'), XDG_CONFIG_HOME: join(folder, 'config') },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  expect(output).toBe('from the guest\n');
});

it('gives a program the policy engine and a run', () => {
  const program = `
    import { compilePolicy, createPolicyReader, evaluate, parseAuthority, run } from 'sand-egress';
    const compiled = compilePolicy([{ kind: 'named', name: 'strict' }], createPolicyReader(process.cwd()));
    const authority = parseAuthority('denied.example:443', null);
    const verdict = evaluate({ policy: compiled.value, ceilings: [] }, { authority: authority.value, protocol: null });
    const { exitCode } = await run({ command: ['sh', '-c', 'exit 7'], policies: ['offline'], cwd: process.argv[2] });
    console.log(verdict.decision, verdict.reason, exitCode);
  `;
  const workspace = join(folder, 'program-workspace');
  mkdirSync(workspace);
  const file = join(folder, 'project', 'program.mjs');
  writeFileSync(file, program);
  const output = execFileSync(inject('sandNode'), [file, workspace], {
    encoding: 'utf8',
    env: { ...process.env, XDG_STATE_HOME: join(folder, 'state'), XDG_CONFIG_HOME: join(folder, 'config') },
  });
  expect(output).toBe('deny no-rule 7\n');
});
