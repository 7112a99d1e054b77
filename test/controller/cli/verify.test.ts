import { describe, expect, it } from 'vitest';
import { runVerify } from '../../../controller/cli/verify.ts';
import type { Row } from '../../../controller/verify/attack.ts';

const HELD: Row = {
  id: 'a',
  tried: 'a raw socket',
  must: true,
  verdict: 'held',
  happened: 'it failed (EPERM)',
};

async function run(rows: readonly Row[], json = false) {
  let text = '';
  const code = await runVerify({
    backend: 'linux',
    image: null,
    isolation: null,
    link: null,
    json,
    write: (more) => {
      text += more;
    },
    tell: () => {},
    environ: {},
    attack: async () => rows,
  });
  return { code, text };
}

describe('sand verify', () => {
  it('exits with 0 where everything held that has to', async () => {
    expect((await run([HELD, { ...HELD, must: false, verdict: 'open' }])).code).toBe(0);
  });

  it.each(['open', 'untold'] as const)('exits with 1 where one row is %s', async (verdict) => {
    expect((await run([HELD, { ...HELD, verdict }])).code).toBe(1);
  });

  it('prints an array with --json, without a raw character of a guest', async () => {
    const { text } = await run([{ ...HELD, happened: 'said \u202e' }], true);
    expect(text).not.toContain('\u202e');
    expect(JSON.parse(text)).toEqual([{ ...HELD, happened: 'said \u202e' }]);
  });
});
