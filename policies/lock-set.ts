/**
 * The locks beside the files that a compilation is asked for: which content stands for a preset or group, and what of a
 * lock no longer fits. State of one compilation; the text of a lock is `lock.ts`.
 */
import path from 'node:path';
import type { IssueList } from './issue.ts';
import { type LockedContent, lockPathOf, type PolicyLock, parseLock } from './lock.ts';
import type { FileReading, PolicyReader } from './policy-source.ts';
import { digestOf, digestShipped, readShipped, type ShippedContent } from './shipped.ts';

interface HeldLock {
  readonly lock: PolicyLock;
  readonly directory: string;
  readonly issues: IssueList;
}

/** Reasons in one message: past these a person makes the lock anew. */
const REASONS_TOLD = 5;
const START = { line: 1, column: 1 };

export class LockSet {
  readonly #reader: PolicyReader;
  readonly #held: HeldLock[] = [];
  readonly #content = new Map<string, LockedContent & { readonly label: string }>();
  /** Real and given paths of the locks themselves. */
  readonly files: string[] = [];

  constructor(reader: PolicyReader) {
    this.#reader = reader;
  }

  /** Reads the lock beside a policy file, if there is one. What is wrong with it is reported. */
  load(policyPath: string, label: (path: string) => string, open: (file: string) => IssueList): void {
    const file = lockPathOf(policyPath);
    if (this.files.includes(file)) return;
    const reading = this.#reader.readFile(file);
    if (reading.kind === 'missing') return;
    const issues = open(label(file));
    this.files.push(file);
    if (reading.kind === 'unreadable') {
      // Fail closed: a lock that is there and cannot be read does not mean "no lock".
      issues.error(START, `the lock cannot be read: ${reading.detail}`, 'Mend or remove it.');
      return;
    }
    this.files.push(reading.realPath);
    const parsed = parseLock(reading.bytes, issues.file, this.#reader.readData);
    if (!parsed.ok) {
      for (const { at, message, hint } of parsed.issues) issues.error(at, message, hint);
      return;
    }
    this.#held.push({ lock: parsed.value, directory: path.dirname(policyPath), issues });
    for (const one of parsed.value.shipped) this.#keep(one, issues);
  }

  #keep(one: LockedContent, issues: IssueList): void {
    const known = this.#content.get(one.name);
    if (known === undefined) this.#content.set(one.name, { ...one, label: issues.file });
    else if (known.digest !== one.digest) {
      const message = `${known.label} holds another ${one.name}, and one run can use one of the two`;
      issues.error(START, message, 'Run sand policy lock for both policies.');
    }
  }

  /** What stands for a preset or group, and what issues call it; null where no lock says. */
  contentOf(name: string): { readonly content: ShippedContent; readonly label: string } | null {
    const found = this.#content.get(name);
    return found === undefined ? null : { content: found.content, label: `${name} in ${found.label}` };
  }

  /** Warns for each lock of what has changed since. `used` are the presets and groups of the compilation. */
  warnOfStale(readings: ReadonlyMap<string, FileReading>, used: readonly string[]): void {
    for (const { lock, directory, issues } of this.#held) {
      const reasons = [
        ...lock.files.flatMap(({ file, digest }) =>
          fileReason(readings.get(path.resolve(directory, file)), file, digest),
        ),
        ...lock.shipped.filter(({ name }) => used.includes(name)).flatMap((one) => this.#contentReason(one)),
        ...(this.#held.length === 1 ? used.filter((name) => !this.#content.has(name)) : []).map(
          (name) => `it does not hold ${name}`,
        ),
      ];
      if (reasons.length === 0) continue;
      const more = reasons.length > REASONS_TOLD ? ` and ${reasons.length - REASONS_TOLD} more` : '';
      issues.warning(
        'stale-lock',
        START,
        `the lock is stale: ${reasons.slice(0, REASONS_TOLD).join('; ')}${more}`,
        'Compare with sand policy diff, then run sand policy lock.',
      );
    }
  }

  #contentReason({ name, digest }: LockedContent): readonly string[] {
    const now = readShipped(name, this.#reader.readData);
    if (now === null) return [`this version of sand has no ${name}, and the locked one is used`];
    if (digestShipped(name, now) === digest) return [];
    return [`this version of sand has another ${name}, and the locked one is used`];
  }
}

function fileReason(reading: FileReading | undefined, file: string, digest: string): readonly string[] {
  if (reading?.kind !== 'file') return [`${file} is no longer part of the policy`];
  return digestOf(reading.bytes) === digest ? [] : [`${file} has changed since`];
}
