/** `sand policy init`: a first policy, from flags or from the answers to a few questions. Never overwrites a file. */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { escapeTerminal } from '../../../audit/escape.ts';
import { parseAllowFlag } from '../../../policies/allow-flag.ts';
import { formatDocument } from '../../../policies/canonical.ts';
import { checkPolicy } from '../../../policies/check/check.ts';
import { formatRule, quote } from '../../../policies/format.ts';
import { quietNames, splitGroupName } from '../../../policies/group-name.ts';
import { IssueList } from '../../../policies/issue.ts';
import { type DomainGroup, PRESET_NAMES, readGroups } from '../../../policies/presets.ts';
import { closestWord } from '../../../policies/spelling.ts';
import { parseSubject } from '../../../policies/subject.ts';
import { SandError } from '../../errors.ts';
import { usage } from '../../run/options.ts';
import { FOUND_NAME } from '../../run/policy-choice.ts';
import { createPolicyReader } from '../../run/policy-reader.ts';
import { formatFinding } from './check.ts';
import { readCeilings, type Surroundings } from './surroundings.ts';

export interface InitFlags {
  readonly preset: string | undefined;
  readonly group: readonly string[];
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  readonly name: string | undefined;
  readonly output: string | undefined;
  /** Asks a person; null where there is none, or where flags say it all. */
  readonly ask: ((question: string) => Promise<string>) | null;
}

/** What the policy is to say, each part as it stands in the file. */
interface Draft {
  readonly preset: string;
  readonly groups: readonly string[];
  readonly rules: readonly string[];
}

/** A person who errs more often than this is better served by the manual. */
const ATTEMPTS = 3;

/** 0; raises `usage` for what cannot stand in a policy, `file-invalid` where the file is there already. */
export async function initPolicy(flags: InitFlags, surroundings: Surroundings): Promise<number> {
  const { cwd, write, nowMs } = surroundings;
  const output = resolve(cwd, flags.output ?? FOUND_NAME);
  const groups = readGroups(createPolicyReader(cwd).readData) ?? new Map<string, DomainGroup>();
  const known = [...groups.keys(), ...quietNames(groups)];
  const draft = flags.ask === null ? fromFlags(flags, known) : await fromAnswers(flags.ask, known);
  const text = policyText(draft, flags.name);
  createFile(output, text);
  const name = relative(cwd, output).includes('/') ? relative(cwd, output) : `./${relative(cwd, output)}`;
  write(`${escapeTerminal(`${name}: written`)}\n${text}`);
  const reader = createPolicyReader(cwd);
  const { findings } = checkPolicy({ name, reader, nowMs, ceilings: readCeilings(surroundings) });
  for (const line of findings.flatMap(formatFinding)) write(`${escapeTerminal(line)}\n`);
  return 0;
}

function fromFlags({ preset, group, allow, deny }: InitFlags, known: readonly string[]): Draft {
  return {
    preset: readPreset(preset ?? 'strict'),
    groups: group.map((name) => readGroup(name, known)),
    rules: [...allow.map(allowRule), ...deny.map(denyRule)],
  };
}

async function fromAnswers(ask: NonNullable<InitFlags['ask']>, known: readonly string[]): Promise<Draft> {
  return {
    preset: await askFor(ask, `Begin with ${PRESET_NAMES.join(', ')} [strict]: `, (answer) =>
      readPreset(answer === '' ? 'strict' : answer),
    ),
    groups: await askFor(
      ask,
      'Groups besides, as npm or github-core/all; sand policy groups lists them []: ',
      (answer) => wordsOf(answer).map((name) => readGroup(name, known)),
    ),
    rules: await askFor(ask, 'Hosts besides, as HOST or HOST:PORT []: ', (answer) =>
      wordsOf(answer).map(allowRule),
    ),
  };
}

async function askFor<T>(
  ask: NonNullable<InitFlags['ask']>,
  question: string,
  read: (answer: string) => T,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const answer = await ask(question);
    try {
      return read(answer.trim());
    } catch (error) {
      if (attempt === ATTEMPTS || !(error instanceof SandError)) throw error;
      question = `${error.message}; ${error.hint}: `;
    }
  }
}

function wordsOf(answer: string): readonly string[] {
  return answer.split(/[\s,]+/).filter((word) => word !== '');
}

function readPreset(name: string): string {
  if (PRESET_NAMES.includes(name)) return name;
  throw usage(`there is no preset ${name}`, `write one of: ${PRESET_NAMES.join(', ')}`);
}

function readGroup(text: string, known: readonly string[]): string {
  const name = text.replace(/^group:/, '');
  const { name: bare, part } = splitGroupName(name);
  if (known.includes(part === 'quiet' ? name : bare)) return `group:${name}`;
  const close = closestWord(bare, known);
  const hint = close === null ? 'list them with `sand policy groups`' : `write ${close}`;
  throw usage(`there is no group ${bare}`, hint);
}

function allowRule(host: string): string {
  const issues = new IssueList('--allow');
  const rule = parseAllowFlag(host, issues);
  if (rule !== null) return formatRule(rule);
  const error = issues.issues.find(({ severity }) => severity === 'error');
  throw usage(error?.message ?? `${host} cannot be allowed`, error?.hint ?? 'write HOST or HOST:PORT');
}

function denyRule(host: string): string {
  const subject = parseSubject(host);
  if (subject.ok) return `  - deny: ${quote(host)}`;
  throw usage(subject.message, subject.hint);
}

function policyText({ preset, groups, rules }: Draft, name: string | undefined): string {
  const lines = [
    '# What a guest of sand may reach. `sand policy check` tells what is wrong or unwise in it.',
    '',
    'version: 1',
    ...(name === undefined ? [] : [`name: ${quote(name)}`]),
    `extends: [${[preset, ...new Set(groups)].join(', ')}]`,
    ...(rules.length === 0 ? [] : ['rules:', ...new Set(rules)]),
  ];
  const formatted = formatDocument(`${lines.join('\n')}\n`, 'the policy');
  if (formatted.ok) return formatted.value;
  const [issue] = formatted.issues;
  throw usage(issue?.message ?? 'this makes no policy', issue?.hint ?? 'see docs/policy.md');
}

function createFile(path: string, text: string): void {
  try {
    const descriptor = openSync(path, 'wx', 0o644);
    try {
      writeFileSync(descriptor, text);
    } finally {
      closeSync(descriptor);
    }
  } catch (error) {
    const code = error instanceof Error ? String(Reflect.get(error, 'code')) : '';
    const what = code === 'EEXIST' ? 'is there already, and is left as it is' : `cannot be written: ${code}`;
    throw new SandError('file-invalid', `${path} ${what}`, 'name another file with --output', {
      cause: error,
    });
  }
}

/** A person at both ends of a terminal, who is asked; null without one. */
export function terminalQuestions(): InitFlags['ask'] {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return null;
  return async (question) => {
    const { createInterface } = await import('node:readline/promises');
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    try {
      return await terminal.question(escapeTerminal(question));
    } finally {
      terminal.close();
    }
  };
}
