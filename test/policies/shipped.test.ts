import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { PRESET_NAMES, presetDirectory, readGroups } from '../../policies/presets.ts';
import { digestShipped, HISTORY_DATA, readHistory, readShipped } from '../../policies/shipped.ts';
import { readShippedData } from './reader.ts';

const groups = [...(readGroups(readShippedData) ?? [])];
const names = [
  ...PRESET_NAMES.map((name) => `preset:${name}`),
  ...groups.flatMap(([name, { muted }]) => [
    `group:${name}`,
    `group:${name}/all`,
    ...(muted === undefined ? [] : [`group:${name}/quiet`]),
  ]),
];

function digestNow(name: string): string {
  const content = readShipped(name, readShippedData);
  if (content === null) throw new Error(`no ${name}`);
  return digestShipped(name, content);
}

describe('the history of what sand shipped', () => {
  // UPDATE_GOLDEN=1 adds the digests of what has changed. None is ever removed: locks were made of it.
  test('has what presets and groups hold now, as the latest', () => {
    const file = path.join(presetDirectory(), HISTORY_DATA);
    if (process.env.UPDATE_GOLDEN === '1') {
      const kept = JSON.parse(readFileSync(file, 'utf8')) as {
        about: string;
        digests: Record<string, string[]>;
      };
      for (const name of names) {
        const known = kept.digests[name] ?? [];
        if (known.at(-1) !== digestNow(name)) kept.digests[name] = [...known, digestNow(name)];
      }
      writeFileSync(file, `${JSON.stringify(kept, null, 2)}\n`);
    }
    const history = readHistory(readShippedData);
    for (const name of names) expect([name, history?.get(name)?.at(-1)]).toEqual([name, digestNow(name)]);
  });

  test('tells each name and content from every other', () => {
    expect(new Set(names.map(digestNow)).size).toBe(names.length);
  });
});
