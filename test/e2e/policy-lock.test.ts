import { afterEach, describe, expect, it } from 'vitest';
import { CALLERS, createWorld, type World } from './sand.ts';

let world: World;
afterEach(() => world.remove());

describe.each(CALLERS)('a locked policy, as %s', (who) => {
  it('runs quietly, and with a stale lock says so on stderr and in the log', async () => {
    world = createWorld(who);
    world.file('web.yaml', 'version: 1\nextends: [strict]\n');
    const locked = await world.sand(['policy', 'lock', './web.yaml']);
    expect([locked.code, locked.stdout]).toEqual([0, 'web.lock: holds preset:strict, web.yaml\n']);
    const fresh = await world.sand(['run', '--policy', './web.yaml', '--', 'true']);
    expect([fresh.code, fresh.stderr]).toEqual([0, '']);

    world.file('web.yaml', 'version: 1\nextends: [strict, group:npm]\n');
    const stale = await world.sand(['run', '--policy', './web.yaml', '--', 'true']);
    expect(stale.code).toBe(0);
    expect(stale.stderr).toContain('sand: web.lock: the lock is stale: web.yaml has changed since');
    expect(await world.events()).toContainEqual(
      expect.objectContaining({ kind: 'notice', code: 'policy-lock-stale' }),
    );
  });

  it('does not start with a lock that sand never made, and gives the guest no way to change one', async () => {
    world = createWorld(who);
    world.file('web.yaml', 'version: 1\nextends: [offline]\n');
    await world.sand(['policy', 'lock', './web.yaml']);
    const guest = await world.sand(['run', '--policy', './web.yaml', '--', 'sh', '-c', 'echo x >> web.lock']);
    expect(guest.code).not.toBe(0);
    world.file('web.lock', 'version: 1\nshipped:\n  - {name: "group:npm", hosts: [evil.example]}\n');
    const hostile = await world.sand(['run', '--policy', './web.yaml', '--', 'true']);
    expect([hostile.code, hostile.stderr]).toEqual([2, expect.stringContaining('web.lock:3:5: ')]);
  });
});
