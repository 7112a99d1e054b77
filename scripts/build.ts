/**
 * Builds the package into dist/ (or the folder that is named): the command and the library bundled with what they import (so that a start
 * reads few files), the planter, prober and dialer apart (they are programs), declarations, policy data, schemas, the
 * script and style of pages, the guest's relay, the script of sand verify, and the licences of what was bundled.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { bundleScript, bundleStyle, PAGE_ENTRIES, PAGE_SHEETS } from '../audit/page/bundle.ts';
import { auditLineSchema } from '../audit/schema.ts';
import { baselineJsonSchema } from '../controller/ci/baseline-schema.ts';
import { projectJsonSchema } from '../controller/project-file/schema.ts';
import { policyJsonSchema } from '../policies/schema.ts';

const ROOT = new URL('..', import.meta.url).pathname;
/** The first argument, else dist/ of this folder. */
const DIST = resolve(process.argv[2] ?? join(ROOT, 'dist'));

/** CommonJS packages inside the bundle ask for Node's modules by `require`. */
const REQUIRE =
  "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);";

/**
 * Sources load some libraries only when they are needed, by a `load` of their own making. In the package such a
 * library is a file of its own, so that a start which does not need it does not even read it.
 */
const lazy = new Set<string>();
const lazyLoads: Plugin = {
  name: 'lazy-loads',
  setup(plan) {
    plan.onLoad({ filter: /\/policies\/[\w-]+\.ts$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8');
      const contents = source.replace(/\bload\('([\w-]+)'\)/g, (_, name: string) => {
        lazy.add(name);
        return `load('./${name}.cjs')`;
      });
      return { loader: 'ts', contents };
    });
  },
};

/** Of dns2 only the codec and the UDP server: its clients and its DoH server would load HTTP/2 at every start. */
const partOfDns2: Plugin = {
  name: 'part-of-dns2',
  setup(plan) {
    plan.onResolve({ filter: /^dns2$/ }, () => ({ path: 'dns2', namespace: 'part' }));
    plan.onLoad({ filter: /^dns2$/, namespace: 'part' }, () => ({
      resolveDir: join(ROOT, 'node_modules/dns2'),
      contents: "exports.Packet = require('./packet.js'); exports.UDPServer = require('./server/udp.js');",
    }));
  },
};

/** pino's transports run in worker threads; the audit log writes by itself, so their loader is left out. */
const withoutTransports: Plugin = {
  name: 'without-transports',
  setup(plan) {
    plan.onLoad({ filter: /\/node_modules\/thread-stream\/index\.js$/ }, () => ({
      contents: 'module.exports = class ThreadStream {};',
    }));
  },
};

rmSync(DIST, { recursive: true, force: true });
const common = {
  absWorkingDir: ROOT,
  bundle: true,
  platform: 'node',
  target: 'node24',
  minifySyntax: true,
  minifyWhitespace: true,
  keepNames: true,
  legalComments: 'none',
  metafile: true,
  logLevel: 'warning',
} as const;
const programs = await build({
  ...common,
  entryPoints: {
    sand: 'controller/cli/main.ts',
    index: 'index.ts',
    planter: 'controller/links/namespace/planter.ts',
    prober: 'controller/links/namespace/prober.ts',
    dialer: 'controller/links/namespace/dialer.ts',
    softnet: 'controller/links/ethernet/softnet/softnet.ts',
  },
  outdir: DIST,
  splitting: true,
  format: 'esm',
  banner: { js: REQUIRE },
  // A clone bundles its pages with it; the package has them ready.
  external: ['esbuild'],
  plugins: [lazyLoads, partOfDns2, withoutTransports],
});
const libraries = await build({
  ...common,
  entryPoints: Object.fromEntries([...lazy].map((name) => [name, name])),
  outdir: DIST,
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
});

execFileSync('tsc', ['--project', 'tsconfig.build.json', '--outDir', DIST], { cwd: ROOT, stdio: 'inherit' });
cpSync(join(ROOT, 'policies/presets'), join(DIST, 'presets'), {
  recursive: true,
  filter: (path) => !path.endsWith('.ts'),
});
mkdirSync(join(DIST, 'page'));
for (const entry of PAGE_ENTRIES) writeFileSync(join(DIST, 'page', `${entry}.js`), await bundleScript(entry));
for (const sheet of PAGE_SHEETS) writeFileSync(join(DIST, 'page', `${sheet}.css`), await bundleStyle(sheet));
mkdirSync(join(DIST, 'schemas'));
writeSchema('policy', policyJsonSchema());
writeSchema('audit', auditLineSchema());
writeSchema('sand', projectJsonSchema());
writeSchema('baseline', baselineJsonSchema());
packRelay();
mkdirSync(join(DIST, 'verify'));
cpSync(join(ROOT, 'controller/verify/guest/probe.pl'), join(DIST, 'verify/probe.pl'));
writeFileSync(
  join(DIST, 'THIRD-PARTY-LICENSES.txt'),
  licences([programs, libraries].flatMap(({ metafile }) => Object.keys(metafile.inputs))) + relayLicence(),
);

function writeSchema(name: string, schema: unknown): void {
  writeFileSync(join(DIST, 'schemas', `${name}.schema.json`), `${JSON.stringify(schema, null, 2)}\n`);
}

/** Of the C library that the guest's relay is linked with. */
function relayLicence(): string {
  const file = join(ROOT, 'controller/links/relay/guest/build/MUSL-COPYRIGHT');
  return existsSync(file) ? `\nmusl (in relay/)\n${'-'.repeat(40)}\n${readFileSync(file, 'utf8')}` : '';
}

/** The guest's relay, where `npm run build:relay` has built it; a package to publish always has it. */
function packRelay(): void {
  const built = join(ROOT, 'controller/links/relay/guest/build');
  if (!existsSync(join(built, 'digests.json'))) {
    console.log('without the guest relay: npm run build:relay builds it');
    return;
  }
  for (const name of ['digests.json', 'x64', 'arm64']) {
    cpSync(join(built, name), join(DIST, 'relay', name), { recursive: true });
  }
}

/** The licence text of each package that a bundled file belongs to. */
function licences(inputs: readonly string[]): string {
  const packages = new Set(
    inputs.flatMap((input) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1] ?? []),
  );
  return [...packages].sort().map(licence).join('\n');
}

function licence(name: string): string {
  const folder = join(ROOT, 'node_modules', name);
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
    readonly version: string;
    readonly license?: unknown;
  };
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text =
    file === undefined || !existsSync(join(folder, file))
      ? `Licence: ${JSON.stringify(manifest.license)}\n`
      : readFileSync(join(folder, file), 'utf8');
  return `${name} ${manifest.version}\n${'-'.repeat(40)}\n${text}`;
}
