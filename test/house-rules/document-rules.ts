/**
 * What holds a Markdown file to the tree: its relative links and their anchors, and the `sand` command lines in
 * its code, which must be ones that the command tree knows.
 */
import { posix } from 'node:path';
import type { SourceFile } from './tree.ts';

const FENCE = /^ {0,3}(```|~~~).*?^ {0,3}\1[ \t]*$/gms;
const CODE = /`([^`\n]+)`/g;
const LINK = /\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g;

/** `exists` knows files and folders by their path in the repository; `read` gives a Markdown file's text. */
export function checkLinks(
  { path, text }: SourceFile,
  exists: (path: string) => boolean,
  read: (path: string) => string | null,
): readonly string[] {
  if (!path.endsWith('.md')) return [];
  const prose = text.replace(FENCE, '').replace(CODE, '');
  return [...prose.matchAll(LINK)].flatMap(([, link = '']) => {
    if (/^[a-z][a-z0-9+.-]*:/i.test(link)) return [];
    const [place = '', anchor] = link.split('#', 2);
    const target = place === '' ? path : posix.join(posix.dirname(path), place);
    if (target.startsWith('..') || !exists(target.replace(/\/$/, '')))
      return [`${path} links to ${link}, which is not there`];
    if (anchor === undefined || !target.endsWith('.md')) return [];
    return anchorsOf(read(target) ?? '').includes(anchor)
      ? []
      : [`${path} links to ${link}: no such heading`];
  });
}

/** As GitHub makes them of headings; of equal ones the second ends in -1. */
export function anchorsOf(text: string): readonly string[] {
  const seen = new Map<string, number>();
  return [...text.replace(FENCE, '').matchAll(/^#{1,6}\s+(.*?)\s*$/gm)].map(([, heading = '']) => {
    const slug = heading
      .toLowerCase()
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  });
}

/** One command of the tree, as far as a document can be wrong about it. */
export interface CommandShape {
  readonly name: string;
  readonly flags: readonly FlagShape[];
  /** How many arguments it takes besides what stands behind `--`. */
  readonly arguments: number;
  readonly commands: readonly CommandShape[];
}

export interface FlagShape {
  /** As help shows it: `--policy <P>`. */
  readonly text: string;
  /** `--policy`, `-p`. */
  readonly names: readonly string[];
  readonly takesValue: boolean;
}

/** Every `sand …` in code, fenced or not, without a prompt or `npx`. */
export function commandLinesOf(text: string): readonly string[] {
  const fenced = [...text.matchAll(FENCE)].flatMap(([block]) =>
    block
      .split('\n')
      .slice(1, -1)
      .map((line) => line.trim()),
  );
  const inline = [...text.replace(FENCE, '').matchAll(CODE)].map(([, code = '']) => code);
  return (
    [...fenced, ...inline]
      .map((line) => line.replace(/^\$ /, '').replace(/^npx /, ''))
      // What a refusal says begins with the last of these.
      .filter((line) => /^sand(?! refused)( |$)/.test(line))
  );
}

/** Names the first word of a command line that the tree does not know; null where all is well. */
export function checkCommandLine(line: string, root: CommandShape): string | null {
  const [own = ''] = line.split(/(?: {2,}|\s[#|>;&]|\s--(?:\s|$))/, 1);
  // A quoted argument is one word.
  const words = own
    .replace(/'[^']*'/g, 'QUOTED')
    .split(/\s+/)
    .slice(1);
  let command = root;
  let given = 0;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const bare = word.replace(/^\[|[\].…,]*$/g, '');
    if (bare.startsWith('-')) {
      const [name = ''] = bare.split('=', 1);
      const flag = command.flags.find(({ names }) => names.includes(name));
      if (flag === undefined && name !== '--help' && name !== '-h') return `${command.name} has no ${name}`;
      if (flag?.takesValue === true && !bare.includes('=')) words.shift();
      continue;
    }
    const inner = command.commands.find(({ name }) => name === bare && given === 0);
    if (inner !== undefined) command = inner;
    else if (bare === 'FLAGS' || bare === '') continue;
    // A word that stands for any command.
    else if (command === root && /^[A-Z]+$/.test(bare)) return null;
    else if (++given > command.arguments) return `${command.name} takes no ${bare}`;
  }
  return null;
}

export interface DocumentedFlag {
  readonly command: string;
  readonly flag: string;
  readonly example: string;
}

/** Of docs/cli.md: a heading names a command, and a table row below it a flag, what it does, and an example. */
export function documentedFlags(text: string): readonly DocumentedFlag[] {
  const rows: DocumentedFlag[] = [];
  let command = '';
  for (const line of text.split('\n')) {
    const heading = /^#+ `(sand[^`]*)`/.exec(line)?.[1];
    if (heading !== undefined) command = heading.split(/ (?=[^a-z])/, 1).join('');
    const [, flag, , example] = /^\| `(-[^`]+)` \|(.*)\| `([^`]+)` \|$/.exec(line) ?? [];
    if (flag !== undefined && example !== undefined) rows.push({ command, flag, example });
  }
  return rows;
}

/** Both ways: a flag without a row, a row without a flag, and a row whose example does not show it. */
export function checkFlags(root: CommandShape, rows: readonly DocumentedFlag[]): readonly string[] {
  const flags = flatten(root).flatMap(([command, shape]) => shape.flags.map((flag) => ({ command, flag })));
  const missing = flags
    .filter(({ command, flag }) => !rows.some((row) => row.command === command && row.flag === flag.text))
    .map(({ command, flag }) => `${command} ${flag.text} is not documented`);
  const wrong = rows.flatMap(({ command, flag, example }) => {
    const known = flags.find((one) => one.command === command && one.flag.text === flag);
    if (known === undefined) return [`${command} ${flag} is documented and does not exist`];
    const isShown = known.flag.names.some((name) => example.split(/[\s=]/).includes(name));
    return isShown && example.startsWith(command)
      ? []
      : [`the example of ${command} ${flag} does not show it`];
  });
  return [...missing, ...wrong];
}

/** Every command with its full name. */
export function flatten(command: CommandShape, above = ''): readonly (readonly [string, CommandShape])[] {
  const name = `${above}${command.name}`;
  return [[name, command], ...command.commands.flatMap((inner) => flatten(inner, `${name} `))];
}
