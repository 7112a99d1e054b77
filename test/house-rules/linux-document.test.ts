import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SHARES } from '../../controller/backends/backend.ts';
import { planEnvironment } from '../../controller/backends/linux/environment.ts';
import { SYSTEM_FOLDERS, TOOLCHAIN_FOLDERS } from '../../controller/backends/linux/mounts.ts';
import { PROTECTED_NAMES } from '../../controller/guest/protected-names.ts';
import { ROOT } from './tree.ts';

const text = readFileSync(join(ROOT, 'docs/linux.md'), 'utf8');

/** The words of the fenced list that follows a sentence. */
function listAfter(sentence: string): readonly string[] {
  const at = text.indexOf(sentence);
  const [, list = ''] = /^```\n([^`]*)^```/m.exec(at < 0 ? '' : text.slice(at)) ?? [];
  return list.split(/\s+/).filter((word) => word !== '');
}

function planned(caller: Readonly<Record<string, string>>, isVisible: boolean) {
  const identity = { uid: 1000, gid: 1000, user: 'sand', home: '/home/sand' };
  return Object.keys(planEnvironment({ caller, identity, named: {}, visible: () => isVisible }));
}

const valued = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, '/x']));

describe('docs/linux.md lists what the tables hold', () => {
  it.each([
    ['system folders', 'System folders, as far', SYSTEM_FOLDERS],
    ['toolchain folders', 'Toolchain folders of', TOOLCHAIN_FOLDERS],
    ['protected names', 'What the host would later run', PROTECTED_NAMES],
  ])('%s', (_, sentence, table) => {
    expect(listAfter(sentence).toSorted()).toEqual([...table].sort());
  });

  it('variables that sand sets', () => {
    expect(listAfter('sand sets these').toSorted()).toEqual(planned({}, true).toSorted());
  });

  it('variables that pass', () => {
    const passing = listAfter("Of the caller's variables these pass");
    expect(passing.length).toBeGreaterThan(5);
    const named = valued([...passing, 'LC_ALL', 'SECRET_TOKEN']);
    expect(planned(named, false)).toEqual(expect.arrayContaining([...passing, 'LC_ALL']));
    expect(planned(named, false)).not.toContain('SECRET_TOKEN');
  });

  it('variables that pass where what they name is visible', () => {
    const passing = listAfter('These pass where the file');
    expect(passing.length).toBeGreaterThan(5);
    expect(planned(valued(passing), true)).toEqual(expect.arrayContaining([...passing]));
    const hidden = planned(valued(passing), false);
    expect(passing.filter((name) => hidden.includes(name))).toEqual([]);
  });

  it('shares', () => {
    const rows = [...text.matchAll(/^\| `([a-z-]+)` \| /gm)].map(([, name]) => name);
    expect(rows).toEqual([...SHARES]);
  });
});
