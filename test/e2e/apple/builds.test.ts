/** Images that a sand.yaml has built, on the emulator of Apple's `container`: when, of what, and by whose word. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { APPLE, type AppleWorld, CAN_EMULATE, createAppleWorld, USUAL_IMAGE } from './apple-world.ts';

const DEADLINE_MS = 120_000;

describe.skipIf(!CAN_EMULATE)('a Dockerfile in sand.yaml', { timeout: DEADLINE_MS }, () => {
  let world: AppleWorld;
  const dockerfile = (text: string) => world.file('Dockerfile', `FROM ${USUAL_IMAGE}\n${text}`);
  const named = ['run', ...APPLE, '--project-file', 'sand.yaml'];
  const OUTSIDE = 'outside the policy, by Apple’s builder with a network of its own';

  beforeAll(() => {
    world = createAppleWorld();
    world.file('sand.yaml', 'version: 1\nbuild: ./Dockerfile\nvolumes: kept:./kept\ncommand: [cat, /made]\n');
    dockerfile('RUN echo one > /made\n');
  });

  afterAll(() => world.end());

  it('asks before it is built, since a file that lies there is nobody’s word', async () => {
    const found = await world.sand(['run', ...APPLE]);
    expect(found.code).toBe(2);
    expect(found.stderr).toContain('project-unapproved');
    expect(found.stderr).toContain('it builds an image from');
    expect((await world.sand(['image', 'ls', ...APPLE])).stdout).toBe(
      'no image is kept for apple-container\n',
    );
  });

  it('builds once for the same inputs, says so at once, and writes it into the log', async () => {
    const first = await world.sand(named);
    expect([first.code, first.stdout]).toEqual([0, 'one\n']);
    expect(first.stderr).toContain(`Dockerfile is built ${OUTSIDE}`);
    const events = await world.events();
    expect(events.find(({ kind }) => kind === 'run-start')).toMatchObject({
      image: {
        name: expect.stringMatching(/^sand\.invalid\/sand-build-/),
        digest: expect.stringMatching(/^sha256:/),
      },
    });
    expect(events).toContainEqual(expect.objectContaining({ kind: 'notice', code: 'image-built' }));
    const second = await world.sand(named);
    expect([second.code, second.stdout, second.stderr]).toEqual([0, 'one\n', '']);
  });

  it('keeps the guest from writing it', async () => {
    const tried = await world.sand([...named, '--', 'sh', '-c', 'echo "RUN id" >> Dockerfile; echo $?']);
    expect(tried.stdout).not.toBe('0\n');
  });

  it('does not build one that has changed since, until somebody says so', async () => {
    dockerfile('RUN echo two > /made\n');
    const changed = await world.sand(named);
    expect([changed.code, changed.stdout]).toEqual([2, '']);
    expect(changed.stderr).toContain('build-unapproved');
    const built = await world.sand(['image', 'build', ...APPLE]);
    expect(built.code).toBe(0);
    expect(built.stdout).toMatch(/^sha256:[0-9a-f]{64} sand\.invalid\/sand-build-/);
    const ran = await world.sand(named);
    expect([ran.code, ran.stdout, ran.stderr]).toEqual([0, 'two\n', '']);
  });

  it('shows the builder nothing of the project unless the Dockerfile copies, and builds again when what it copies changes', async () => {
    world.file('made', 'three');
    dockerfile('COPY made /made\n');
    expect((await world.sand(['image', 'build', ...APPLE])).code).toBe(0);
    expect((await world.sand(named)).stdout).toBe('three');
    world.file('made', 'other');
    const again = await world.sand(named);
    expect([again.code, again.stdout]).toEqual([0, 'other']);
    expect(again.stderr).toContain(OUTSIDE);
  });

  it('tells what went wrong in it', async () => {
    dockerfile('RUN exit 3\n');
    const built = await world.sand(['image', 'build', ...APPLE]);
    expect(built.code).toBe(125);
    expect(built.stderr).toContain('build-failed');
  });

  it('is refused by name where there is no builder', async () => {
    const linux = await world.sand(['run', '--backend', 'linux', '--project-file', 'sand.yaml']);
    expect(linux.code).toBe(125);
    expect(linux.stderr).toContain('the linux backend builds no image');
  });
});
