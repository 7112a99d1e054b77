import { describe, expect, it } from 'vitest';
import { createWayOut, STOP_GRACE_MS } from '../../../controller/run/way-out.ts';

/** A clock that the test sets. */
function setUp() {
  let at = 1_000;
  const way = createWayOut(() => at);
  return {
    way,
    pass: (ms: number) => {
      at += ms;
    },
  };
}

describe('the way out of a run', () => {
  it('that nobody took is the command\u2019s own end, and leaves no grace', () => {
    const { way } = setUp();
    expect([way.cause(), way.graceLeftMs(), way.signal.aborted, way.killed.aborted]).toEqual([
      'exit',
      0,
      false,
      false,
    ]);
  });

  it('gives what runs its grace, and it runs out', () => {
    const { way, pass } = setUp();
    way.end('timeout');
    expect(way.graceLeftMs()).toBe(STOP_GRACE_MS);
    pass(4_000);
    expect(way.graceLeftMs()).toBe(STOP_GRACE_MS - 4_000);
    pass(STOP_GRACE_MS);
    expect(way.graceLeftMs()).toBe(0);
    expect(way.killed.aborted).toBe(false);
  });

  it('is of the first cause and its reason; a later end shortens the grace and never gives more', () => {
    const { way } = setUp();
    way.end('stop', null, 60_000);
    way.end('error', new Error('later'), 2_000);
    expect([way.cause(), way.signal.reason, way.graceLeftMs()]).toEqual(['stop', null, 2_000]);
    way.end('timeout', null, 90_000);
    expect([way.cause(), way.graceLeftMs()]).toEqual(['stop', 2_000]);
  });

  it('without any grace ends what runs at once', () => {
    const { way } = setUp();
    way.end('stop', null, 0);
    expect([way.killed.aborted, way.signal.aborted, way.graceLeftMs()]).toEqual([true, true, 0]);
  });

  it('ends by force within the grace', () => {
    const { way } = setUp();
    way.end('signal', 'SIGTERM');
    way.kill();
    expect([way.killed.aborted, way.graceLeftMs(), way.cause()]).toEqual([true, 0, 'signal']);
  });
});
