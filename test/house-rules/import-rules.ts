/**
 * The import rules as data, and the checkers that hold a file to them: nothing points up, proxy and dns never
 * know each other, one importer for each wrapped library, one place that names concrete backends.
 */
import { posix } from 'node:path';
import { areaOf, isSource, isTest, type SourceArea, type SourceFile } from './tree.ts';

export interface Import {
  readonly specifier: string;
  /** Gone at run time. */
  readonly typeOnly: boolean;
}

const STATEMENT = /^[ \t]*(import|export)\s+(type\s+)?([\w$*{][^;'"]*?)\bfrom\s+['"]([^'"]+)['"]/gm;
const BARE = /^[ \t]*import\s+['"]([^'"]+)['"]/gm;
/** `load` is what a lazily required library is loaded with. */
const DYNAMIC = /\b(?:import|require|load)\(\s*['"]([^'"]+)['"]/g;

export function importsOf(text: string): readonly Import[] {
  const statements = [...text.matchAll(STATEMENT)].map(([, , type, names, specifier]) => ({
    specifier: specifier ?? '',
    typeOnly: type !== undefined || /^\{(\s*type\s[^,}]*,?)+\s*\}\s*$/.test(names ?? ''),
  }));
  const others = [...text.matchAll(BARE), ...text.matchAll(DYNAMIC)].map(([, specifier]) => ({
    specifier: specifier ?? '',
    typeOnly: false,
  }));
  return [...statements, ...others];
}

/** What each part may import; `types` only where nothing of it is there at run time. */
const MAY_IMPORT: Readonly<
  Record<SourceArea, { readonly all: readonly SourceArea[]; readonly types: readonly SourceArea[] }>
> = {
  policies: { all: ['policies'], types: [] },
  audit: { all: ['audit', 'policies'], types: [] },
  dns: { all: ['dns', 'policies'], types: ['audit'] },
  proxy: { all: ['proxy', 'policies'], types: ['audit'] },
  controller: { all: ['controller', 'proxy', 'dns', 'audit', 'policies'], types: [] },
};

export function checkDirection(file: SourceFile): readonly string[] {
  const area = areaOf(file.path);
  return importsOf(file.text).flatMap(({ specifier, typeOnly }) => {
    if (!specifier.startsWith('.')) return [];
    const target = posix.join(posix.dirname(file.path), specifier);
    const imported = areaOf(target);
    if (isSource(file.path) && imported === null && !isManifestOrEntry(target)) {
      return [`${file.path} imports ${target}, which is no part of the program`];
    }
    if (area === null || imported === null) return [];
    const { all, types } = MAY_IMPORT[area];
    if (all.includes(imported) || (typeOnly && types.includes(imported))) return [];
    const what = types.includes(imported) ? `more than types of ${imported}` : imported;
    return [`${file.path} imports ${what} (${target})`];
  });
}

function isManifestOrEntry(target: string): boolean {
  return target === 'package.json' || target === 'index.ts';
}

/** Outside tests and their configuration nothing imports a test, but a benchmark what emulates a tool; benchmarks may be imported by tests alone. */
export function checkTestImports(file: SourceFile): readonly string[] {
  if (isTest(file.path) || file.path === 'vitest.config.ts') return [];
  return importsOf(file.text).flatMap(({ specifier }) => {
    if (!specifier.startsWith('.')) return [];
    const target = posix.join(posix.dirname(file.path), specifier);
    const isEmulator = file.path.startsWith('bench/') && target.startsWith('test/emulators/');
    const isForbidden =
      (target.startsWith('test/') && !isEmulator) ||
      (target.startsWith('bench/') && !file.path.startsWith('bench/'));
    return isForbidden ? [`${file.path} imports ${target}`] : [];
  });
}

/** Every dependency of the package has exactly one importer, and nothing else is imported. */
export function checkLibraries(
  files: readonly SourceFile[],
  dependencies: readonly string[],
): readonly string[] {
  const importers = new Map<string, Set<string>>(dependencies.map((name) => [name, new Set()]));
  const strangers: string[] = [];
  for (const file of files.filter(({ path }) => isSource(path))) {
    for (const { specifier } of importsOf(file.text)) {
      if (specifier.startsWith('.') || specifier.startsWith('node:')) continue;
      const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
      const known = importers.get(name);
      if (known === undefined) strangers.push(`${file.path} imports ${name}, which is no dependency`);
      else known.add(file.path);
    }
  }
  const counted = [...importers].flatMap(([name, paths]) =>
    paths.size === 1
      ? []
      : [`${name} has ${paths.size} importers: ${[...paths].sort().join(', ') || 'none'}`],
  );
  return [...strangers, ...counted];
}

const NETWORK = [
  'net',
  'dgram',
  'dns',
  'dns/promises',
  'http',
  'https',
  'http2',
  'tls',
  'cluster',
  'inspector',
];
const PROCESS = ['child_process', 'worker_threads'];
const FILES = ['fs', 'fs/promises'];

/** Node's own modules that a part has no business with. Processes are the controller's alone. */
const NODE_FORBIDDEN: Readonly<Record<SourceArea, readonly string[]>> = {
  policies: [...NETWORK, ...PROCESS, ...FILES],
  audit: [...NETWORK, ...PROCESS],
  dns: PROCESS,
  proxy: [...PROCESS, ...FILES, 'dns', 'dns/promises'],
  controller: [],
};

/**
 * Hands over handles, or is the program that does: execa can do neither. A supervisor is left to itself, which needs no more, softnet
 * blocks in a thread, and a brief tool is waited for on the spot.
 */
const SPAWNERS: readonly string[] = [
  'controller/links/ethernet/softnet/softnet.ts',
  'controller/links/namespace/dialling.ts',
  'controller/links/namespace/link.ts',
  'controller/links/namespace/planter.ts',
  'controller/process/brief-tool.ts',
  'controller/process/supervisor-process.ts',
];

export function checkNodeModules(file: SourceFile): readonly string[] {
  const area = areaOf(file.path);
  if (area === null) return [];
  return importsOf(file.text).flatMap(({ specifier, typeOnly }) => {
    if (!specifier.startsWith('node:') || typeOnly) return [];
    const name = specifier.slice('node:'.length);
    const isStraySpawner = PROCESS.includes(name) && !SPAWNERS.includes(file.path);
    return NODE_FORBIDDEN[area].includes(name) || isStraySpawner ? [`${file.path} imports ${specifier}`] : [];
  });
}

const REGISTRY = 'controller/backends/registry.ts';

/** Only the registry imports a concrete backend's folder; the folder's own files import each other. */
export function checkBackendImports(file: SourceFile): readonly string[] {
  if (!isSource(file.path) || file.path === REGISTRY) return [];
  const own = backendFolder(file.path);
  return importsOf(file.text).flatMap(({ specifier }) => {
    if (!specifier.startsWith('.')) return [];
    const target = posix.join(posix.dirname(file.path), specifier);
    const folder = backendFolder(target);
    return folder === null || folder === own ? [] : [`${file.path} imports ${target}`];
  });
}

function backendFolder(path: string): string | null {
  return /^controller\/backends\/([^/]+)\//.exec(path)?.[1] ?? null;
}

const BACKEND_NAME = /['"`](linux|apple-container|tart)['"`]/g;
/** The command tree names the default where help shows it. */
const NAMES_A_DEFAULT = 'controller/cli/program.ts';

export function checkBackendNames(file: SourceFile): readonly string[] {
  if (!isSource(file.path) || file.path.startsWith('controller/backends/') || file.path === NAMES_A_DEFAULT)
    return [];
  return [...file.text.matchAll(BACKEND_NAME)].map(([name]) => `${file.path} names the backend ${name}`);
}
