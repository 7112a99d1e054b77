import { describe, expect, it } from 'vitest';
import { findsNoResolver } from '../../../../controller/backends/tart/set-up-failure.ts';
import { requireUsable, type StockSoftnet } from '../../../../controller/backends/tart/stock-softnet.ts';
import { SandError } from '../../../../controller/errors.ts';

const GOOD: StockSoftnet = {
  path: '/opt/homebrew/Cellar/softnet/0.22.0/bin/softnet',
  version: { major: 0, minor: 22, patch: 0 },
  isSuid: true,
  maySudo: false,
};

function refusalOf(found: StockSoftnet | null, uid: number | null = 501): SandError | null {
  try {
    requireUsable(found, uid);
    return null;
  } catch (error) {
    if (error instanceof SandError) return error;
    throw error;
  }
}

describe('the host\u2019s own Softnet', () => {
  it.each<[string, StockSoftnet, number]>([
    ['is root by its bits', GOOD, 501],
    ['is root by sudo', { ...GOOD, isSuid: false, maySudo: true }, 501],
    ['is run by root', { ...GOOD, isSuid: false }, 0],
    ['is the first that will do', { ...GOOD, version: { major: 0, minor: 21, patch: 0 } }, 501],
  ])('is used where it %s', (_, found, uid) => expect(refusalOf(found, uid)).toBeNull());

  it.each<[string, StockSoftnet | null, string, string]>([
    ['is not there', null, 'tool-missing', 'brew install openai/tools/softnet'],
    [
      'is old',
      { ...GOOD, version: { major: 0, minor: 20, patch: 1 } },
      'backend-unavailable',
      'brew upgrade softnet',
    ],
    ['tells no version', { ...GOOD, version: null }, 'backend-unavailable', 'brew upgrade softnet'],
    [
      'may not become root',
      { ...GOOD, isSuid: false },
      'backend-unavailable',
      `sudo chown root ${GOOD.path} && sudo chmod u+s ${GOOD.path}`,
    ],
  ])('is refused where it %s, with what to do', (_, found, code, hint) => {
    expect(refusalOf(found)).toMatchObject({ code, hint: expect.stringContaining(hint) });
  });
});

describe('a guest that has no place to name a resolver', () => {
  it('is told apart', () => {
    expect(findsNoResolver({ stdout: 'no-resolver\nready\n' })).toBe(true);
    expect(findsNoResolver({ stdout: 'ready\n' })).toBe(false);
  });
});
