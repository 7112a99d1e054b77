/**
 * Which policy is in force for a run, and whose word counts: what the user names is consent; what is merely
 * found applies when it is no wider than `strict` or was approved by its content; the owner's ceiling holds
 * for everybody. Every layer is read once, here.
 */
import { existsSync, realpathSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  type CompileOptions,
  compilePolicy,
  type PolicyReader,
  type PolicyRequest,
} from '../../policies/compile.ts';
import { isFileName } from '../../policies/layer.ts';
import type { CompiledPolicy, PolicyInForce, PolicyIssue } from '../../policies/model.ts';
import { SandError } from '../errors.ts';
import { askOnTerminal, isApproved, rememberApproval } from './approval.ts';
import { CEILING_PATH, requireKept } from './ceiling-file.ts';
import { findUpward } from './found-file.ts';
import { createKeptReader, type KeptReader } from './kept-reader.ts';
import { createPolicyReader } from './policy-reader.ts';

export const FOUND_NAME = 'sand.policy.yaml';

export interface PolicyChoiceRequest {
  readonly policies: readonly string[];
  readonly allows: readonly string[];
  readonly cwd: string;
  readonly home: string;
  readonly environ: Readonly<Record<string, string | undefined>>;
  readonly told: (message: string) => void;
  /**
   * Reads `policies` where a project file that was merely found names them: what was consented to is the content that
   * it gives, so this holds for the whole run.
   */
  readonly consented?: PolicyReader;
  /** Real paths of the folders that the guest can write; absent: none, or there is no guest. */
  readonly writable?: readonly string[];
  /** Given by what starts no guest: told instead of raised, and nobody is asked. */
  readonly unapproved?: (refusal: SandError) => void;
}

export interface PolicyChoice {
  /** With all its phases: which of them holds is `policy-course.ts`'s. */
  readonly inForce: PolicyInForce;
  /** For the log's header: what a person would recognise. */
  readonly layers: readonly string[];
  /** The first policy file of the user's own, where a line can be written; null where only presets and flags speak. */
  readonly file: string | null;
  /**
   * Reads the same layers again; files that the guest has a say in keep the content that they had. Null where the policy was merely found: what was consented to is its content,
   * so it stays as it is for the whole run.
   */
  readonly reread: (() => PolicyReread) | null;
  /** For the log and for the person: that a lock is stale. */
  readonly notices: readonly PolicyNotice[];
}

export interface PolicyNotice {
  readonly code: string;
  readonly detail: string;
}

export type PolicyReread =
  | { readonly ok: true; readonly inForce: PolicyInForce }
  /** One line for a person, with file, line and what to write. */
  | { readonly ok: false; readonly problem: string };

export function configFolder(environ: Readonly<Record<string, string | undefined>>, home: string): string {
  const base = environ.XDG_CONFIG_HOME ?? '';
  return join(base.startsWith('/') ? base : join(home, '.config'), 'sand');
}

/** Raises `policy-invalid`, `policy-missing`, `policy-unapproved`. */
export async function choosePolicy(request: PolicyChoiceRequest): Promise<PolicyChoice> {
  const allows = request.allows.map((host) => ({ kind: 'allow', host }) as const);
  const named = request.policies.map((name) => ({ kind: 'named', name }) as const);
  const found = named.length > 0 ? null : findPolicy(request);
  const reader = request.consented ?? createPolicyReader(request.cwd, found?.repository ?? null);
  // A ceiling is the owner's word, and lies where no repository does.
  const ownersReader = createPolicyReader(request.cwd);
  if (found !== null) await requireConsent(found.path, reader, request);
  const base = named.length > 0 ? named : [{ kind: 'named', name: found?.path ?? 'strict' } as const];
  const notices: PolicyNotice[] = [];
  const heed = (warnings: readonly PolicyIssue[]) => notices.push(...staleLocks(warnings));
  const writable = request.writable ?? [];
  const own = createKeptReader(reader, writable);
  const owners = createKeptReader(ownersReader, writable);
  const compileAll = (which: keyof KeptReader): PolicyInForce => ({
    policy: compileOrRefuse([...base, ...allows], own[which], 'policy', heed),
    ceilings: ceilingPaths(request.environ).map((path) =>
      compileOrRefuse([{ kind: 'named', name: path }], owners[which], 'ceiling', heed),
    ),
  });
  const inForce = compileAll('first');
  const layers = [...base, ...allows].map((layer) =>
    layer.kind === 'named' ? layer.name : `--allow ${layer.host}`,
  );
  request.told(`policy: ${layers.join(' + ')} (${inForce.policy.digest})`);
  const ownPath = found?.path ?? request.policies.find(isFileName) ?? null;
  const file = ownPath === null ? null : realpathSync.native(resolve(request.cwd, ownPath));
  return {
    inForce,
    layers,
    file,
    reread:
      found === null && request.consented === undefined ? () => rereadOf(() => compileAll('again')) : null,
    notices: [...notices],
  };
}

function rereadOf(compileAll: () => PolicyInForce): PolicyReread {
  try {
    return { ok: true, inForce: compileAll() };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { ok: false, problem: message.replaceAll(/\n\s*/g, ' ') };
  }
}

/** Of a policy's warnings the one that a run tells: that what holds is not what is written. */
function staleLocks(warnings: readonly PolicyIssue[]): readonly PolicyNotice[] {
  return warnings
    .filter(({ code }) => code === 'stale-lock')
    .map(({ message, hint, at }) => ({
      code: 'policy-lock-stale',
      detail: `${at.file}: ${message}. ${hint}`,
    }));
}

/** Upward from the working directory to the repository's root, of the caller's own; null where none is. */
export function findPolicy(
  request: Pick<PolicyChoiceRequest, 'cwd'>,
): { readonly path: string; readonly repository: string } | null {
  const found = findUpward(request.cwd, FOUND_NAME);
  if (found === null || found.isOwn) return found;
  throw new SandError(
    'policy-unapproved',
    `${found.path} belongs to another user, so it is not used unasked`,
    `name it with --policy ${found.path}, or name another policy`,
  );
}

/** A found policy is a stranger's word until it asks for no more than `strict`, or the user has said yes. */
async function requireConsent(
  path: string,
  reader: PolicyReader,
  request: PolicyChoiceRequest,
): Promise<void> {
  const found = compileOrRefuse([{ kind: 'named', name: path }], reader);
  const strict = compileOrRefuse([{ kind: 'named', name: 'strict' }], reader);
  // Only a found policy is compared, so that other runs do not wait for what compares.
  const { widerThanStrict } = await import('../../policies/widening.ts');
  const widening = widerThanStrict(found, strict);
  if (!widening.wider) return;
  const folder = configFolder(request.environ, request.home);
  if (isApproved(folder, found.digest)) return;
  const because = widening.because.slice(0, 10);
  const refusal = new SandError(
    'policy-unapproved',
    `${path} was found, not named, and is wider than strict: ${because.join('; ')}`,
    `read it, then name it with --policy ${path} (or run once on a terminal and say yes)`,
    { details: { path, digest: found.digest, because: widening.because } },
  );
  if (request.unapproved !== undefined) return request.unapproved(refusal);
  if (!(await askOnTerminal(path, because, request.environ))) throw refusal;
  rememberApproval(folder, path, found.digest);
}

/** Raises `policy-missing`, `policy-invalid`. */
export function ceilingPaths(environ: Readonly<Record<string, string | undefined>>): readonly string[] {
  const added = environ.SAND_CEILING ?? '';
  if (added !== '' && !existsSync(added)) {
    // Fail closed: a ceiling that was asked for and is not there does not mean "no ceiling".
    throw new SandError(
      'policy-missing',
      `SAND_CEILING names ${added}, which does not exist`,
      'mend or unset SAND_CEILING',
    );
  }
  const paths = [
    ...(mayExist(CEILING_PATH) ? [CEILING_PATH] : []),
    ...(added === '' ? [] : [resolve(added)]),
  ];
  for (const path of paths) requireKept(path);
  return paths;
}

/** Fail closed: what cannot be looked at counts as there, and then fails to be read. */
export function mayExist(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

export function compileOrRefuse(
  requests: readonly PolicyRequest[],
  reader: PolicyReader,
  role: 'policy' | 'ceiling' = 'policy',
  heed: (warnings: readonly PolicyIssue[]) => void = () => {},
  options: Omit<CompileOptions, 'role'> = {},
): CompiledPolicy {
  const compiled = compilePolicy(requests, reader, { role, ...options });
  if (compiled.ok) {
    heed(compiled.warnings ?? []);
    return compiled.value;
  }
  const errors = compiled.issues.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  throw new SandError(
    'policy-invalid',
    errors.slice(0, 20).map(formatIssue).join('\n'),
    first === undefined ? 'mend the policy' : first.hint,
    { details: { issues: errors } },
  );
}

/** `file:line:column: what is wrong` and, on a line of its own, what to write instead. */
export function formatIssue(issue: PolicyIssue): string {
  const { file, line, column } = issue.at;
  const place = line === 0 ? file : `${file}:${line}:${column}`;
  return `${place}: ${issue.message}\n    ${issue.hint}`;
}
