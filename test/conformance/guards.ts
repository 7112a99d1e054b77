/**
 * The guards as data (`guards.yaml`): what each one is in the source, what is left when it is removed, and which
 * cases turn red then. Also takes one of them out of a running test, so that no copy of the tree is needed.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

const guard = z.strictObject({
  guard: z.string().min(1),
  file: z.string().min(1),
  /** Stands in the file once. */
  find: z.string().min(1),
  put: z.string(),
  /** The file of unit tests that hold it; absent: the catalogue's. */
  test: z.string().min(1).optional(),
  /** Titles, or what stands before their colon, as the ids of the catalogue's cases do. One that stands for several is red where one is. */
  red: z.array(z.string()).min(1),
});

export type Guard = z.infer<typeof guard>;

export function readGuards(): readonly Guard[] {
  return z.array(guard).parse(parse(readFileSync(`${ROOT}test/conformance/guards.yaml`, 'utf8')));
}

/** The source without the guard. Throws where the guard is not there, or there twice. */
export function removeGuard(source: string, { guard: name, file, find, put }: Guard): string {
  const [before, after, ...more] = source.split(find);
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Error(`"${name}" stands in ${file} ${more.length + (after === undefined ? 0 : 1)} times`);
  }
  return before + put + after;
}

/** A Vite plugin that loads sand without the guard of that name; none without a name. */
export function withoutGuard(name: string | undefined) {
  const removed = name === undefined ? undefined : readGuards().find((one) => one.guard === name);
  if (name !== undefined && removed === undefined) throw new Error(`no guard is called "${name}"`);
  return {
    name: 'sand-without-guard',
    enforce: 'pre' as const,
    transform(code: string, id: string) {
      return removed !== undefined && id === `${ROOT}${removed.file}` ? removeGuard(code, removed) : null;
    },
  };
}
