import { describe, expect, it } from 'vitest';
import { NO_CONFIG } from '../../../controller/images/config.ts';
import { planImageCommand, planImageEnvironment } from '../../../controller/images/run-words.ts';

describe('planImageCommand', () => {
  it.each([
    [[], ['a', 'b'], [], ['a', 'b']],
    [['e'], ['a'], [], ['e', 'a']],
    [['e'], ['a'], ['x', 'y'], ['e', 'x', 'y']],
    [[], ['a'], ['x'], ['x']],
  ])('entrypoint %j, cmd %j, given %j', (entrypoint, cmd, given, expected) => {
    expect(planImageCommand({ ...NO_CONFIG, entrypoint, cmd }, given)).toEqual(expected);
  });

  it.each([
    [[], []],
    [[''], []],
  ])('refuses to run nothing: %j', (entrypoint, cmd) => {
    expect(() => planImageCommand({ ...NO_CONFIG, entrypoint, cmd }, [])).toThrow(
      expect.objectContaining({ code: 'usage' }),
    );
  });
});

describe('planImageEnvironment', () => {
  it('has a search path where the image names none', () => {
    expect(planImageEnvironment(NO_CONFIG).PATH).toContain('/usr/bin');
    expect(planImageEnvironment({ ...NO_CONFIG, environment: { PATH: '/opt' } })).toEqual({ PATH: '/opt' });
  });
});
