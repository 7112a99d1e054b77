/** Bytes for the fuzz targets: what real clients sent, changed a little, often where parsers look. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';

const HERE = fileURLToPath(new URL('./', import.meta.url));

export interface Seed {
  readonly name: string;
  readonly bytes: Buffer;
}

/** The recorded files of one folder of the corpus. */
export function readCorpus(folder: string): readonly Seed[] {
  return readFolder(join(HERE, 'corpus', folder));
}

/** What a fuzz run found before: replayed by each run of the tests. Names begin with the target's. */
export function readRegressions(target: string): readonly Seed[] {
  return readFolder(join(HERE, 'regressions')).filter(({ name }) => name.startsWith(`${target}-`));
}

function readFolder(folder: string): readonly Seed[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.') && !name.endsWith('.md'))
    .sort()
    .map((name) => ({ name, bytes: readFileSync(join(folder, name)) }));
}

type Change = (bytes: Buffer) => Buffer;

/** Bytes at which formats turn: ends of lines and texts, pointers, lengths, signs. */
const TELLING = [
  0x00, 0x01, 0x05, 0x09, 0x0a, 0x0d, 0x16, 0x20, 0x22, 0x2a, 0x2e, 0x3a, 0x3f, 0x40, 0x5b, 0x7f, 0x80, 0xc0,
  0xff,
];

const place = fc.nat({ max: 0xffff });
const byte = fc.oneof(fc.constantFrom(...TELLING), fc.nat({ max: 0xff }));

function changes(seeds: readonly Buffer[]): fc.Arbitrary<Change> {
  const at = (bytes: Buffer, where: number) => (bytes.length === 0 ? 0 : where % (bytes.length + 1));
  return fc.oneof(
    fc.tuple(place, byte).map(
      ([where, value]): Change =>
        (bytes) => {
          const copy = Buffer.from(bytes);
          if (copy.length > 0) copy[where % copy.length] = value;
          return copy;
        },
    ),
    fc.tuple(place, fc.nat({ max: 7 })).map(
      ([where, bit]): Change =>
        (bytes) => {
          const copy = Buffer.from(bytes);
          const index = copy.length === 0 ? 0 : where % copy.length;
          if (copy.length > 0) copy[index] = (copy[index] ?? 0) ^ (1 << bit);
          return copy;
        },
    ),
    fc.tuple(place, fc.uint8Array({ minLength: 1, maxLength: 6 })).map(
      ([where, piece]): Change =>
        (bytes) =>
          Buffer.concat([bytes.subarray(0, at(bytes, where)), piece, bytes.subarray(at(bytes, where))]),
    ),
    fc.tuple(place, byte, fc.nat({ max: 600 })).map(
      ([where, value, count]): Change =>
        (bytes) =>
          Buffer.concat([
            bytes.subarray(0, at(bytes, where)),
            Buffer.alloc(count, value),
            bytes.subarray(at(bytes, where)),
          ]),
    ),
    fc.tuple(place, fc.nat({ max: 40 })).map(
      ([where, count]): Change =>
        (bytes) =>
          Buffer.concat([bytes.subarray(0, at(bytes, where)), bytes.subarray(at(bytes, where) + count)]),
    ),
    place.map(
      (where): Change =>
        (bytes) =>
          bytes.subarray(0, at(bytes, where)),
    ),
    fc.tuple(place, fc.constantFrom(...seeds)).map(
      ([where, other]): Change =>
        (bytes) =>
          Buffer.concat([bytes.subarray(0, at(bytes, where)), other.subarray(at(other, where))]),
    ),
    fc.tuple(place, place).map(
      ([from, to]): Change =>
        (bytes) =>
          Buffer.concat([bytes, bytes.subarray(Math.min(at(bytes, from), at(bytes, to)))]),
    ),
  );
}

/** At most this long: past it only the bounds of the parsers are met, and they have cases of their own. */
const LONGEST = 64 * 1024;

export function mutated(seeds: readonly Seed[]): fc.Arbitrary<Buffer> {
  const texts = seeds.map(({ bytes }) => bytes);
  const changed = fc
    .tuple(fc.constantFrom(...texts), fc.array(changes(texts), { minLength: 1, maxLength: 6 }))
    .map(([seed, list]) => list.reduce((bytes, change) => change(bytes).subarray(0, LONGEST), seed));
  return fc.oneof(
    { weight: 12, arbitrary: changed },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
  );
}
