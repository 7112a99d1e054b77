/** What is known of Tart to go wrong, one by one: see README.md beside this for all of it, and for what the other files hold. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { GatewayPort, GuestSpec } from '../../../controller/backends/backend.ts';
import { agentOf } from '../../../controller/backends/tart/agent.ts';
import { createTartBackend } from '../../../controller/backends/tart/backend.ts';
import { endTart, registerTartVm } from '../../emulators/tart/emulation.ts';
import type { Fault } from '../../emulators/tart/settings.ts';
import { follow } from '../lifecycle/conditions.ts';
import { CAN_EMULATE, createTartWorld, TART, TART_MS, type TartWorld } from './tart-world.ts';

const LINUX = 'ghcr.io/cirruslabs/ubuntu:latest';
const OTHER = 'ghcr.io/cirruslabs/other:latest';
/** The address of the image's card is one that a clone keeps where nobody else has it. */
const SAME_CARD = { image: 'ghcr.io/cirruslabs/same:latest', address: '02:00:00:00:00:01' };
const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

let world: TartWorld;

const run = (flags: readonly string[], ...command: readonly string[]) =>
  world.sand(['run', ...TART, '--policy', 'offline', '--image', 'base', ...flags, '--', ...command]);
const show = (...faults: readonly Fault[]) => world.be({ faults });
const machineOf = (others: readonly string[]) => world.machines().filter((name) => !others.includes(name));
const tart = (...args: readonly string[]) =>
  execFileSync('tart', args, {
    env: { HOME: world.home, PATH: world.environment.SAND_TOOL_PATH },
    stdio: ['ignore', 'pipe', 'ignore'],
  }).toString();
const addressOf = (name: string): string =>
  JSON.parse(readFileSync(join(world.home, '.tart/vms', name, 'config.json'), 'utf8')).macAddress;

/** For what of sand is called here rather than run: with the world's HOME and its tool. */
async function asCaller(call: () => Promise<void>): Promise<void> {
  const saved = { ...process.env };
  Object.assign(process.env, { HOME: world.home, SAND_TOOL_PATH: world.environment.SAND_TOOL_PATH });
  try {
    await call();
  } finally {
    process.env = saved;
  }
}

const SPEC: GuestSpec = {
  name: 'taken',
  mounts: [],
  workdir: '/',
  environment: {},
  shares: [],
  authorities: [],
  cache: null,
  policyFiles: [],
  image: {
    kind: 'named',
    name: 'base',
    digest: null,
    user: 'admin',
    environment: {},
    platform: 'macos/arm64',
  },
  place: {
    folder: '/nowhere',
    note() {
      throw new Error('nothing of another\u2019s is noted');
    },
  },
};

describe.skipIf(!CAN_EMULATE)('a trap of Tart\u2019s', { timeout: TART_MS }, () => {
  beforeAll(() => {
    world = createTartWorld();
    world.machine('base', { os: 'darwin' });
    world.machine('linux', { os: 'linux' });
    world.image(LINUX, { os: 'linux' });
    world.image(OTHER, { os: 'linux' });
    world.image(SAME_CARD.image, { os: 'darwin', config: { macAddress: SAME_CARD.address } });
  });
  afterEach(() => world.be({}));
  afterAll(() => world.end(), TART_MS);

  it('a socket that an earlier run of the image has left: a clone has none of it', async () => {
    const stale = join(world.home, '.tart/vms/base/control.sock');
    writeFileSync(stale, '');
    expect(await run([], 'echo', 'ran')).toMatchObject({ code: 0, stdout: 'ran\n' });
    expect(existsSync(stale)).toBe(true);
  });

  it('a clone that overwrites a machine of its name: such a run is refused, and that machine left alone', async () => {
    world.machine('sand-taken', { os: 'darwin', diskGB: 33 });
    const before = addressOf('sand-taken');
    await asCaller(async () => {
      const backend = createTartBackend();
      const ref = await backend.create(SPEC);
      const starting = backend.start(ref, {} as GatewayPort, new AbortController().signal);
      await expect(starting).rejects.toMatchObject({ code: 'guest-exists' });
      await backend.destroy(ref);
    });
    expect(addressOf('sand-taken')).toBe(before);
    tart('delete', 'sand-taken');
  });

  it('the same address for the cards of two clones: each guest has one of its own', async () => {
    try {
      await Promise.all(['one', 'two'].map((name) => world.detach(name, ['--image', SAME_CARD.image])));
      const machines = machineOf(['base', 'linux']);
      expect(machines).toHaveLength(2);
      expect(machines.map(addressOf)).not.toContain(SAME_CARD.address);
      for (const guest of ['one', 'two'])
        expect((await world.exec(guest, 'cat /sys/class/net/en0/address')).stdout).not.toContain(
          SAME_CARD.address,
        );
    } finally {
      for (const guest of ['one', 'two']) await world.sand(['rm', '--force', guest]);
    }
  });

  it('a clone that takes other images away to make room: none of sand\u2019s does', async () => {
    tart('pull', OTHER);
    show({ fault: 'auto-prune' });
    expect(await run([], 'true')).toMatchObject({ code: 0 });
    expect(tart('list', '--source', 'oci')).toContain(OTHER);
  });

  it('a trace that carries the command line: the tool is told of none', async () => {
    const environment = { TRACEPARENT: PARENT, OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9' };
    const words = ['run', ...TART, '--policy', 'offline', '--image', 'base', '--', 'echo', 'ran'];
    expect(await world.sand(words, { environment })).toMatchObject({ code: 0, stdout: 'ran\n' });
    expect(existsSync(join(world.home, '.tart/spans.jsonl'))).toBe(false);
  });

  it('a name or a folder with a blank, for which it cleans up nothing', async () => {
    const directory = join(world.root, 'my machines');
    registerTartVm(directory, 'base', { os: 'darwin' });
    try {
      const environment = { TART_HOME: join(directory, '.tart') };
      const words = ['run', ...TART, '--policy', 'offline', '--image', 'base', '--', 'echo', 'ran'];
      expect(await world.sand(words, { environment })).toMatchObject({ code: 0, stdout: 'ran\n' });
      expect(readdirSync(join(directory, '.tart/vms'))).toEqual(['base']);
    } finally {
      await endTart(directory);
    }
  });

  it('a boot that takes its time: it is waited for, and --verbose tells how long it may take', async () => {
    world.be({ agentDelayMs: 12_000, execPatienceMs: 1_000 });
    const { code, stderr } = await run(['--verbose'], 'true');
    expect(code, stderr).toBe(0);
    expect(stderr).toMatch(
      /tart clones base[\s\S]*tart starts the machine sand-\S+\n[\s\S]*agent has 180 more seconds[\s\S]*agent has 1[67]\d more seconds[\s\S]*the guest is up/,
    );
    world.be({});
    expect((await run([], 'true')).stderr).not.toContain('more seconds');
  });

  it('an image without an agent: the wait has an end, and says what is missing', async () => {
    const limits = { bootMs: 1_500, lookMs: 5_000, lookPauseMs: 50, tellMs: 1_000 };
    await asCaller(async () => {
      const waiting = agentOf('base', new AbortController().signal, () => {}, limits);
      await expect(waiting).rejects.toMatchObject({
        code: 'guest-failed',
        hint: expect.stringContaining('a vanilla image has none'),
      });
    });
  });

  it('an agent that goes while a command runs: the run ends, and nothing is left', async () => {
    show({ fault: 'agent-vanishes', ms: 20_000 });
    const { code, stderr } = await run([], 'sleep', '600');
    expect(code, stderr).toBe(125);
    expect(stderr).toContain('did not run to its end');
    expect(world.machines()).toEqual(['base', 'linux']);
  });

  it.each(['base', 'linux'])(
    'a stop that is a power switch: a guest of %s shuts down by itself within its grace',
    async (image) => {
      await world.detach('ending', ['--image', image]);
      // Whoever needed the power switch would not find it.
      show({ fault: 'fail', command: 'stop', message: 'Error: no' });
      expect(await world.sand(['stop', 'ending'])).toMatchObject({ code: 0 });
      expect(world.machines()).toEqual(['base', 'linux']);
      await world.sand(['rm', 'ending']);
    },
  );

  it('a machine that somebody else has deleted: that counts as done', async () => {
    show({ fault: 'fail', command: 'delete', status: 2, message: 'the specified VM does not exist' });
    expect(await run([], 'echo', 'ran')).toMatchObject({ code: 0, stdout: 'ran\n' });
    for (const name of machineOf(['base', 'linux'])) {
      world.be({});
      tart('delete', name);
    }
  });

  it.each([
    ['running', 'runs'],
    ['suspended', 'is suspended'],
  ])('an image that is %s is not cloned', async (state, said) => {
    show({ fault: 'lying-get', vm: 'base', value: { State: state, Running: state === 'running' } });
    const { code, stderr } = await run([], 'true');
    expect(code).toBe(2);
    expect(stderr).toContain(`the machine base ${said}`);
    expect(stderr).toContain('tart stop base');
    expect(world.machines()).toEqual(['base', 'linux']);
  });

  it('a place where macOS lets nobody write is told with places where it does', async () => {
    const { code, stderr } = await run(['--mount', `${world.workspace}:/project`], 'true');
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /no place for a mount at \S+: macOS lets nobody[\s\S]*below \/Users[\s\S]*FOLDER:\/Users\/admin\/NAME/,
    );
    expect(world.machines()).toEqual(['base', 'linux']);
  });

  it('a place that a guest of Linux has something at is told with places of Linux', async () => {
    const taken = ['--image', 'linux', '--mount', `${world.workspace}:/var/lib`];
    const { code, stderr } = await run(taken, 'true');
    expect(code).toBe(2);
    expect(stderr).toMatch(/has something at \/var\/lib already[\s\S]*FOLDER:\/home\/admin\/NAME/);
  });

  describe('in a guest that stays', () => {
    beforeAll(() => world.detach('held', ['--image', 'base']), TART_MS);
    afterAll(() => world.sand(['rm', '--force', 'held']), TART_MS);

    it('words that begin with dashes, which its parser takes for its own', async () => {
      const words = ['---abc', '-t', '--', '--help', '-i'];
      const { code, stdout } = await world.sand(['exec', 'held', '--', 'printf', '%s,', ...words]);
      expect([code, stdout]).toEqual([0, `${words.join(',')},`]);
      expect((await world.sand(['exec', 'held', '--', '---none'])).code).toBe(127);
    });

    it('what a command has started outlives the tool\u2019s call: sand ends it', async () => {
      const running = follow(
        world.start(['exec', 'held', '--', 'sh', '-c', 'sleep 6571 & echo up; sleep 6572; :']),
      );
      await running.printed('up');
      running.child.kill('SIGTERM');
      expect(await running.ended()).toBe(143);
      expect((await world.exec('held', 'pgrep -c -f "[s]leep 657"')).stdout).toBe('0\n');
    });

    it('programs that read no variable find the proxy in the system\u2019s settings, off the guest\u2019s own network', async () => {
      const script = 'networksetup -getwebproxy Ethernet; networksetup -getsecurewebproxy Ethernet; env';
      const { stdout } = await world.exec('held', script);
      expect(stdout.match(/Enabled: Yes\nServer: 192\.0\.2\.1\nPort: 3128/g)).toHaveLength(2);
      expect(stdout).toContain('HTTPS_PROXY=http://192.0.2.1:3128');
    });

    it('neither the host\u2019s clipboard nor its microphone, no bridge and no NAT, whoever asks', () => {
      const told = execFileSync('ps', ['-eo', 'args']).toString();
      const [machine = ''] = machineOf(['base', 'linux']);
      const own = told.split('\n').filter((line) => line.includes('main.ts run') && line.includes(machine));
      expect(own).toHaveLength(1);
      expect(own[0]).toMatch(/--no-graphics --no-audio --no-clipboard --net-softnet /);
      expect(own[0]).not.toMatch(/--net-(bridged|host|softnet-)/);
    });
  });
});
