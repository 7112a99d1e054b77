/** The other words of sand with a guest of the apple-container backend: cp, ssh, audit, why, ci, doctor. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  APPLE,
  APPLE_MS,
  type AppleWorld,
  CAN_EMULATE,
  createAppleWorld,
  USUAL_IMAGE,
} from './apple-world.ts';

const HAS_SSH = existsSync('/usr/sbin/sshd') && existsSync('/usr/bin/ssh');

describe.skipIf(!CAN_EMULATE)('with a guest of the apple-container backend', { timeout: APPLE_MS }, () => {
  let world: AppleWorld;
  beforeAll(async () => {
    world = createAppleWorld();
    await world.detach('web');
  }, APPLE_MS);
  beforeEach(() => world.be({}));
  afterAll(() => world.end(), APPLE_MS);

  it('sand cp carries files and folders both ways', async () => {
    world.file('project/one', 'first\n');
    world.file('project/deep/two', 'second\n');
    expect(await world.sand(['cp', 'project', 'web:/tmp/in'])).toMatchObject({ code: 0, stderr: '' });
    expect(
      (await world.exec('web', 'cat /tmp/in/one /tmp/in/deep/two; echo third > /tmp/in/three')).stdout,
    ).toBe('first\nsecond\n');
    expect(await world.sand(['cp', 'web:/tmp/in', 'out'])).toMatchObject({ code: 0, stderr: '' });
    const read = (name: string) => readFileSync(join(world.workspace, 'out', name), 'utf8');
    expect([read('one'), read('deep/two'), read('three')]).toEqual(['first\n', 'second\n', 'third\n']);
  });

  it.skipIf(!HAS_SSH)('sand ssh runs a command there, and prints the block for other clients', async () => {
    const ran = await world.sand(['ssh', 'web', '--', 'sh', '-c', 'cat; echo "two  words" >&2; exit 7'], {
      input: 'typed',
    });
    expect([ran.code, ran.stdout, ran.stderr]).toEqual([7, 'typed', 'two  words\n']);
    const { code, stdout } = await world.sand(['ssh', '--config', 'web']);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^Host sand-web\n/m)]);
  });

  it('sand audit shows what a guest was refused, and sand why says by what', async () => {
    await world.run(
      [],
      ['sh', '-c', 'curl -s -m 9 http://example.com/; curl -s -m 9 https://example.org/; exit 0'],
    );
    const { code, stdout } = await world.sand(['audit']);
    expect(code).toBe(0);
    expect(stdout).toContain('example.com');
    expect(stdout).toContain('example.org');
    const denied = (await world.events()).find((event) => event.kind === 'connection');
    const why = await world.sand(['why', String(denied?.seq)]);
    expect([why.code, why.stdout]).toEqual([1, expect.stringContaining('no rule')]);
    expect(await world.sand(['audit', 'verify'])).toMatchObject({ code: 0 });
  });

  it('sand ci compares and reports', async () => {
    mkdirSync(join(world.workspace, 'reports'), { recursive: true });
    const { code, stderr } = await world.sand([
      ...['ci', ...APPLE, '--policy', 'offline', '--report', 'json=reports/run.json'],
      ...['--', 'sh', '-c', 'curl -s -m 9 http://example.com/; exit 0'],
    ]);
    expect([code, stderr]).toEqual([120, expect.stringContaining('denied')]);
    const report = readFileSync(join(world.workspace, 'reports/run.json'), 'utf8');
    expect(report).toContain('example.com');
  });

  it('sand doctor looks step by step, and is content with a machine that works', async () => {
    const { code, stdout } = await world.sand(['doctor', ...APPLE]);
    expect(stdout).not.toMatch(/failed/);
    expect(code).toBe(0);
    for (const text of ['1.2.2', 'services', USUAL_IMAGE, 'loopback']) expect(stdout).toContain(text);
    expect(world.containers().filter((id) => id.includes('doctor'))).toEqual([]);
  });

  it.each([
    { what: 'services that are down', settings: { server: 'down' }, says: 'container system start' },
    { what: 'a version below the floor', settings: { version: '1.1.0' }, says: 'brew upgrade container' },
  ] as const)('sand doctor names $what, and the cure', async ({ settings, says }) => {
    world.be(settings);
    const { code, stdout } = await world.sand(['doctor', ...APPLE]);
    expect([code, stdout]).toEqual([1, expect.stringContaining(says)]);
  });
});
