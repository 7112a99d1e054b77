import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PROJECT_KEYS } from '../../../controller/project-file/decode.ts';
import { issuesOf } from './samples.ts';

const text = readFileSync(new URL('../../../docs/sand-yaml.md', import.meta.url), 'utf8');
const examples = [...text.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, example = '']) => example);

describe('docs/sand-yaml.md', () => {
  it('has a row for every key, and no other', () => {
    const rows = [...text.matchAll(/^\| `(\w+)` \|/gm)].map(([, key]) => key);
    expect(rows.toSorted()).toEqual([...PROJECT_KEYS.known].sort());
  });

  it('has an example for every key', () => {
    for (const key of PROJECT_KEYS.known) {
      expect([key, examples.some((example) => example.includes(`${key}:`))]).toEqual([key, true]);
    }
  });

  it.each(examples)('has an example that is read: %s', (example) => {
    expect(issuesOf(example)).toEqual([]);
  });
});
