/** `sand policy lock`: freezes what a policy's presets and groups say and what its files are, beside the policy. */
import path from 'node:path';
import { escapeTerminal } from '../../../audit/escape.ts';
import { auditRoot } from '../../../audit/runs.ts';
import { compilePolicy, type PolicyReader } from '../../../policies/compile.ts';
import { isFileName } from '../../../policies/layer.ts';
import { resolveLayers } from '../../../policies/layers.ts';
import { formatLock, lockPathOf, type PolicyLock } from '../../../policies/lock.ts';
import { digestOf, digestShipped, readShipped } from '../../../policies/shipped.ts';
import { SandError } from '../../errors.ts';
import { usage } from '../../run/options.ts';
import { compileOrRefuse } from '../../run/policy-choice.ts';
import { replaceFile } from './replacement.ts';
import { filesOrFound, type Surroundings } from './surroundings.ts';

export interface LockFlags {
  readonly file: string | undefined;
  /** Writes nothing. */
  readonly check: boolean;
}

/** 0; with `check` 1 where the lock is missing or not as it would be written. Raises `policy-invalid`. */
export function lockPolicy({ file, check }: LockFlags, surroundings: Surroundings): number {
  const files = filesOrFound(file === undefined ? [] : [file], surroundings);
  const { reader } = files;
  const [name = ''] = files.names;
  if (!isFileName(name)) {
    throw usage(`${name} is no policy file`, 'name a file; presets and groups have no lock of their own');
  }
  const lock = makeLock(name, reader);
  const target = lockPathOf(path.resolve(surroundings.cwd, name));
  const shown = path.relative(surroundings.cwd, target);
  const text = formatLock(lock);
  const before = reader.readFile(target);
  const isSame = before.kind === 'file' && new TextDecoder().decode(before.bytes) === text;
  const write = (line: string) => surroundings.write(`${escapeTerminal(line)}\n`);
  if (isSame) {
    write(`${shown}: up to date`);
    return 0;
  }
  if (check) {
    write(`${shown}: ${before.kind === 'missing' ? 'missing' : 'stale'}`);
    for (const reason of staleReasons(name, reader)) write(`    ${reason}`);
    return 1;
  }
  replaceFile(target, text, auditRoot(surroundings.environ));
  const names = lock.shipped.map((one) => one.name);
  write(`${shown}: holds ${[...names, ...lock.files.map((one) => one.file)].join(', ')}`);
  return 0;
}

function makeLock(name: string, reader: PolicyReader): PolicyLock {
  const requests = [{ kind: 'named', name } as const];
  compileOrRefuse(requests, reader, 'policy', () => {}, { locks: false });
  const { readings, used } = resolveLayers(requests, reader, { locks: false });
  const folder = path.dirname(path.resolve(reader.directory, name));
  const files = [...readings].flatMap(([file, reading]) =>
    reading.kind === 'file' ? [{ file: path.relative(folder, file), digest: digestOf(reading.bytes) }] : [],
  );
  const shipped = used.toSorted().map((one) => {
    const content = readShipped(one, reader.readData);
    if (content === null) throw new SandError('internal', `sand has no ${one}`, 'install sand anew');
    return { name: one, digest: digestShipped(one, content), content };
  });
  return { files: files.toSorted((a, b) => (a.file < b.file ? -1 : 1)), shipped };
}

/** What a run would say of the lock that is there. */
function staleReasons(name: string, reader: PolicyReader): readonly string[] {
  const compiled = compilePolicy([{ kind: 'named', name }], reader);
  const issues = compiled.ok ? (compiled.warnings ?? []) : compiled.issues;
  return issues
    .filter(({ code, severity }) => code === 'stale-lock' || severity === 'error')
    .map(({ message }) => message);
}
