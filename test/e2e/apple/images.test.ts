/** `sand image`, `--image` and volumes on the emulator of Apple's `container`. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EMULATOR_BIN, registerImage } from '../../emulators/container/emulation.ts';
import { APPLE, type AppleWorld, CAN_EMULATE, createAppleWorld, USUAL_IMAGE } from './apple-world.ts';

const DEADLINE_MS = 120_000;
const HOST = process.arch === 'x64' ? 'linux/amd64' : 'linux/arm64';
const OTHER = process.arch === 'x64' ? 'linux/arm64' : 'linux/amd64';
const PACKED = 'docker.io/acme/packed:1';
const OWNED = 'docker.io/library/owned:1';

describe.skipIf(!CAN_EMULATE)(
  'images and volumes of the apple-container backend',
  { timeout: DEADLINE_MS },
  () => {
    let world: AppleWorld;
    const image = (args: readonly string[]) => world.sand(['image', ...args, ...APPLE]);
    const run = (args: readonly string[], command: readonly string[]) =>
      world.sand(['run', ...APPLE, ...args, '--', ...command]);

    const emulator = (args: readonly string[]) =>
      execFileSync(join(EMULATOR_BIN, 'container'), args, { env: world.environment, encoding: 'utf8' });

    beforeAll(() => {
      world = createAppleWorld();
      const packed = join(world.root, 'packed');
      mkdirSync(packed);
      writeFileSync(join(packed, 'file'), 'content');
      const home = world.environment.HOME ?? '';
      registerImage(home, PACKED, { root: packed, config: { Cmd: ['/file'] } });
      registerImage(home, OWNED, {
        root: '/',
        config: {
          Env: ['PATH=/usr/bin:/bin', 'FROM_IMAGE=yes'],
          User: '1234:1234',
          Entrypoint: ['/usr/bin/env'],
          Cmd: ['true'],
        },
      });
    });

    afterAll(() => world.end());

    it('pulls, lists and removes, in one shape', async () => {
      expect(await image(['ls'])).toMatchObject({
        code: 0,
        stdout: 'no image is kept for apple-container\n',
      });
      const pulled = await image(['pull', USUAL_IMAGE]);
      expect(pulled.code).toBe(0);
      expect(pulled.stderr).toContain(
        `pulling ${USUAL_IMAGE} for ${HOST} by this machine’s own network, outside the policy`,
      );
      expect(pulled.stderr).toContain('Unpacking image 100%');
      const [entry] = JSON.parse((await image(['ls', '--json'])).stdout);
      expect(entry).toMatchObject({
        name: USUAL_IMAGE,
        platforms: [HOST],
        config: { cmd: ['sh'] },
        root: null,
      });
      expect(pulled.stdout).toBe(`${entry.digest} ${USUAL_IMAGE}\n`);
      const table = (await image(['ls'])).stdout;
      expect(table).toContain(entry.digest.slice(7, 19));
      expect(await image(['rm', 'debian:stable-slim'])).toMatchObject({
        code: 0,
        stdout: `removed ${entry.digest.slice(7, 19)} ${USUAL_IMAGE}\n`,
      });
      expect(await image(['rm', 'debian:stable-slim'])).toMatchObject({ code: 2 });
      expect((await image(['ls', '--json'])).stdout).toBe('[]\n');
    });

    it('takes in an archive, by the name that it has', async () => {
      const archive = join(world.root, 'app.tar');
      await image(['pull', PACKED]);
      emulator(['image', 'save', '--output', archive, PACKED]);
      await image(['rm', PACKED]);
      const taken = await image(['import', archive]);
      expect([taken.code, taken.stdout]).toEqual([0, expect.stringMatching(/^sha256:[0-9a-f]{64} docker/)]);
      expect(taken.stdout).toContain(PACKED);
      expect((await image(['import', archive])).stdout).toBe(taken.stdout);
      expect((await image(['import', 'docker-archive:./app.tar'])).code).toBe(2);
      expect((await image(['rm', PACKED])).code).toBe(0);
    });

    it.each([
      [
        'Docker Hub has none',
        'docker.io/library/nothing:1',
        'docker.io has no docker.io/library/nothing:1',
        2,
      ],
      ['does not parse', './app.tar', 'no name of an image in a registry', 2],
    ])('says what is wrong with a name that %s', async (_what, name, message, code) => {
      const pulled = await image(['pull', name]);
      expect(pulled.code).toBe(code);
      expect(pulled.stderr).toContain(message);
    });

    it('says of an image for another processor what would run it', async () => {
      const ran = await run(['--image', USUAL_IMAGE, '--platform', OTHER], ['true']);
      expect(ran.code).toBe(2);
      expect(ran.stderr).toContain(`${USUAL_IMAGE} has nothing for ${OTHER}, only for ${HOST}`);
    });

    it('runs in an image as it asks, pulled in sight, and writes its digest into the log', async () => {
      const ran = await run(['--image', OWNED], ['sh', '-c', 'id -u; id -g; echo $FROM_IMAGE']);
      expect([ran.code, ran.stdout, ran.code === 0 ? '' : ran.stderr]).toEqual([0, '1234\n1234\nyes\n', '']);
      expect(ran.stderr).toContain(`pulling ${OWNED}`);
      const listed: { readonly name: string; readonly digest: string }[] = JSON.parse(
        (await image(['ls', '--json'])).stdout,
      );
      const entry = listed.find(({ name }) => name === OWNED);
      const start = (await world.events()).find(({ kind }) => kind === 'run-start');
      expect(start).toMatchObject({ image: { name: OWNED, digest: entry?.digest } });
      const again = await run(['--image', OWNED], ['true']);
      expect(again.stderr).not.toContain('pulling');
    });

    it('keeps a volume for the next guest, owned by its user, and never for two at a time', async () => {
      const volume = ['--volume', 'node_modules:./node_modules', '--image', OWNED];
      const written = await run(volume, ['sh', '-c', 'ls -A node_modules; echo kept > node_modules/a']);
      expect([written.code, written.stdout, written.stderr]).toEqual([0, '', '']);
      const read = await run(volume, ['cat', 'node_modules/a']);
      expect([read.code, read.stdout]).toEqual([0, 'kept\n']);
      const [listed] = JSON.parse((await world.sand(['volume', 'ls', '--json', ...APPLE])).stdout);
      expect(listed).toMatchObject({ label: 'node_modules', project: world.workspace });
      const held = await world.sand([
        'run',
        '-d',
        '--name',
        'holder',
        ...APPLE,
        ...volume,
        '--',
        'sleep',
        '600',
      ]);
      expect(held.code).toBe(0);
      const second = await run(volume, ['true']);
      expect(second.code).toBe(125);
      expect(second.stderr).toContain('the volume node_modules is in use');
      const busy = await world.sand(['volume', 'rm', 'node_modules', ...APPLE]);
      expect([busy.code, busy.stderr]).toEqual([125, expect.stringContaining('volume-busy')]);
      expect((await world.sand(['rm', '--force', 'holder'])).code).toBe(0);
      expect((await world.sand(['volume', 'rm', 'node_modules', ...APPLE])).code).toBe(0);
      expect((await world.sand(['volume', 'ls', ...APPLE])).stdout).toBe(
        'no volume is kept for apple-container\n',
      );
    });
  },
);
