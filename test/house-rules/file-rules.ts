/** The rules on names and texts of files, each a checker of one file: path and text in, findings out. */
import { isProgram, isSource, isTest, type SourceFile } from './tree.ts';

const EMPTY_WORDS = [
  'util',
  'utils',
  'helper',
  'helpers',
  'common',
  'misc',
  'manager',
  'service',
  'services',
];
const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*(\.(test|config))?\.(ts|js|mjs)$/;

/** Kebab-case nouns, and none that says nothing. */
export function checkName({ path }: SourceFile): readonly string[] {
  if (!isProgram(path) && !isTest(path)) return [];
  const segments = path.split('/');
  const name = segments.pop() ?? '';
  const words = [...segments, name.replace(/\..*$/, '')].flatMap((segment) => segment.split('-'));
  return [
    ...(KEBAB.test(name) ? [] : [`${path} is not kebab-case`]),
    ...words
      .filter((word) => EMPTY_WORDS.includes(word))
      .map((word) => `${path} says nothing with "${word}"`),
  ];
}

/** One to three sentences at the top say what a file decides, and what it leaves to others. */
export function checkOpening({ path, text }: SourceFile): readonly string[] {
  if (!isProgram(path)) return [];
  const body = text.replace(/^#!.*\n/, '');
  return /^\/\*\*\s+(\* )?[^\s*/]/.test(body) ? [] : [`${path} does not open with a comment`];
}

/** The entry of the command, and the programs that run in the guest's namespaces. */
const MAY_EXIT: readonly string[] = [
  'controller/cli/main.ts',
  'controller/links/namespace/dialer.ts',
  'controller/links/namespace/planter.ts',
  'controller/links/namespace/prober.ts',
];

/** An exit elsewhere would skip the teardown. */
export function checkExit({ path, text }: SourceFile): readonly string[] {
  if (!isSource(path) || MAY_EXIT.includes(path)) return [];
  return /\bprocess\s*\??\.\s*(exit|abort|reallyExit)\s*\(/.test(text) ? [`${path} ends the process`] : [];
}

export function checkModuleState({ path, text }: SourceFile): readonly string[] {
  if (!isSource(path)) return [];
  return [...text.matchAll(/^(?:export )?(?:let|var) (\w+)/gm)].map(
    ([, name]) => `${path} keeps ${name} in the module`,
  );
}

export function checkBarrel({ path, text }: SourceFile): readonly string[] {
  if (!isSource(path)) return [];
  const isIndex = path !== 'index.ts' && /(^|\/)index\.(ts|js)$/.test(path);
  return isIndex || /^export \* from/m.test(text) ? [`${path} is a barrel`] : [];
}

const PROMISES = new RegExp(`\\b(${['TO', 'FIX'].map((half, at) => half + ['DO', 'ME'][at]).join('|')})\\b`);

/** What is left to do is not in the code. */
export function checkPromises({ path, text }: SourceFile): readonly string[] {
  if (!isProgram(path) && !isTest(path)) return [];
  return text
    .split('\n')
    .flatMap((line, at) => (PROMISES.test(line) ? [`${path}:${at + 1} promises: ${line.trim()}`] : []));
}

/** Put together here, so that this file does not hold what it forbids. */
const REGISTRY_HOST = /[a-z0-9-]\.(?:npmjs\.(?:org|com)|debian\.org)\b/i;
const MACHINE_PATHS: readonly string[] = [
  ['', 'work', 'main'],
  ['', 'work', 'shared'],
  ['..', 'shared', ''],
  ['', 'tmp', 'sand', ''],
  ['', 'tmp', 'bash'],
].map((segments) => segments.join('/'));

/** Registries are named by pattern, and no path of somebody's machine is in the repository. */
export function checkPlaces({ path, text }: SourceFile): readonly string[] {
  return text.split('\n').flatMap((line, at) => {
    const host = REGISTRY_HOST.exec(line)?.[0];
    const place = MACHINE_PATHS.find((machine) => line.includes(machine));
    return [
      ...(host === undefined ? [] : [`${path}:${at + 1} names a registry's host`]),
      ...(place === undefined ? [] : [`${path}:${at + 1} holds a path of one machine`]),
    ];
  });
}

const STILLED =
  /\b(?:it|test|describe|suite|bench)(?:\.\w+)*\.(?:skip|only|todo|fails)\b(?=\s*[.(`])|\bx(?:it|describe)\(/;

/** A test runs, or says by `skipIf` what the machine lacks. */
export function checkStilled({ path, text }: SourceFile): readonly string[] {
  if (!isTest(path)) return [];
  return text
    .split('\n')
    .flatMap((line, at) => (STILLED.test(line) ? [`${path}:${at + 1} stills a test: ${line.trim()}`] : []));
}
