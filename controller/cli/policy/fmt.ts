/** `sand policy fmt FILE…`: writes policy files in their canonical form, comments and meaning kept. */
import { dirname, relative, resolve } from 'node:path';
import { escapeTerminal } from '../../../audit/escape.ts';
import { auditRoot } from '../../../audit/runs.ts';
import { formatDocument } from '../../../policies/canonical.ts';
import { compilePolicy, type PolicyReader } from '../../../policies/compile.ts';
import { formatIssue } from '../../../policies/issue.ts';
import { lockPathOf } from '../../../policies/lock.ts';
import { SandError } from '../../errors.ts';
import { replaceFile } from './replacement.ts';
import { filesOrFound, type Surroundings } from './surroundings.ts';

export interface FmtFlags {
  readonly files: readonly string[];
  /** Writes nothing. */
  readonly check: boolean;
}

/** 0; with `check` 1 where a file would change; 2 where one is no policy, after the others. */
export function formatPolicies({ files, check }: FmtFlags, surroundings: Surroundings): number {
  const { names, reader } = filesOrFound(files, surroundings);
  const results = names.map((file) => formatOne(file, check, reader, auditRoot(surroundings.environ)));
  for (const { lines } of results) for (const line of lines) surroundings.write(`${escapeTerminal(line)}\n`);
  if (results.some(({ state }) => state === 'wrong')) return 2;
  return check && results.some(({ state }) => state === 'changed') ? 1 : 0;
}

interface Result {
  readonly state: 'same' | 'changed' | 'wrong';
  readonly lines: readonly string[];
}

function formatOne(file: string, isCheck: boolean, reader: PolicyReader, runs: string): Result {
  const path = resolve(reader.directory, file);
  const reading = reader.readFile(path);
  if (reading.kind !== 'file') {
    const what =
      reading.kind === 'missing' ? 'there is no such file' : `it cannot be read: ${reading.detail}`;
    return { state: 'wrong', lines: [`${file}: error: ${what}`] };
  }
  const formatted = formatDocument(reading.bytes, file);
  if (!formatted.ok) return { state: 'wrong', lines: formatted.issues.map(formatIssue) };
  const text = formatted.value;
  if (Buffer.from(text).equals(reading.bytes)) return { state: 'same', lines: [] };
  if (isCheck) return { state: 'changed', lines: [`${file}: not in canonical form`] };
  holdMeaning(file, path, text, reader);
  replaceFile(path, text, runs);
  const lock = lockPathOf(path);
  const isLocked = reader.readFile(lock).kind !== 'missing';
  const stale = isLocked
    ? [`${relative(reader.directory, lock)}: stale now; run sand policy lock ${file}`]
    : [];
  return { state: 'changed', lines: [`${file}: formatted`, ...stale] };
}

/** Fail closed: what would compile to something else is not written. */
function holdMeaning(file: string, path: string, text: string, reader: PolicyReader): void {
  const locks = { locks: false };
  const before = compilePolicy([{ kind: 'named', name: path }], reader, locks);
  // What it extends may be missing here; the document itself has been compared already.
  if (!before.ok) return;
  const after = compilePolicy([{ kind: 'text', text, file: path, directory: dirname(path) }], reader, locks);
  if (after.ok && after.value.digest === before.value.digest) return;
  throw new SandError('internal', `${file} would not mean the same`, 'report this as a fault of sand');
}
