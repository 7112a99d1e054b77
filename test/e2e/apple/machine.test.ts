/**
 * The apple-container backend with guests that have a machine of their own, as the tool's have: the attack catalogue's cases for a
 * real guest, and what only another kernel shows. Skipped with its reason where the machine's parts are missing.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { release } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findKernel } from '../../emulators/machine/kernel.ts';
import { missingParts } from '../../emulators/machine/parts.ts';
import { holdGuestCases, inOneRun } from '../conformance-cases.ts';
import { follow, until } from '../lifecycle/conditions.ts';
import { processesAround } from '../lifecycle/remains.ts';
import { outputOf, type RunOutput } from '../sand.ts';
import { APPLE, type AppleWorld, createAppleWorld } from './apple-world.ts';

const KERNEL = findKernel();
const missing = missingParts();
const why = missing.length === 0 ? '' : ` (skipped: there is no ${missing.join(', no ')})`;

/** An emulated processor on a busy machine; no run here is near it. */
const DEADLINE_MS = 900_000;
/** Of one case, which takes seconds on an idle machine. */
const CASE_SECONDS = 120;
/** From a signal until nothing is left: the guest's grace, and what the tool takes to end a machine. */
const STOP_MS = 60_000;
const BLOB = randomBytes(5 * 1024 * 1024);

function machineWorld(): AppleWorld {
  const world = createAppleWorld();
  world.be({ runtime: 'qemu' });
  return world;
}

describe.skipIf(missing.length > 0)(`from inside a machine of the apple-container backend${why}`, () => {
  holdGuestCases({
    world: machineWorld,
    ...inOneRun(['run', ...APPLE], DEADLINE_MS),
    caseSeconds: CASE_SECONDS,
  });
});

const LOOK = `
echo "kernel $(uname -r)"
echo "mode $(/.sand/bin/sand-relay mode)"
echo "interfaces $(ls /sys/class/net | tr '\\n' ' ')"
echo "input $(cat)"
echo complaint >&2
curl --silent --show-error --noproxy '*' --output got "http://host.sand:$PORT/" || exit 70
echo made >made-inside
exit 7
`;

describe.skipIf(missing.length > 0)(`a machine of the apple-container backend${why}`, () => {
  let world: AppleWorld;
  let origin: Server;
  let output: RunOutput;

  beforeAll(async () => {
    world = machineWorld();
    origin = createServer((_, response) => response.end(BLOB)).listen(0, '127.0.0.1');
    await new Promise((resolve) => origin.once('listening', resolve));
    const address = origin.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const rule = `  - allow: host.sand\n    http: [${port}]\n`;
    world.file('p.yaml', `version: 1\nname: machine\nrules:\n${rule}`);
    const flags = ['--policy', './p.yaml', '--mount', '.', '--env', `PORT=${port}`];
    output = await world.sand(['run', ...APPLE, ...flags, '--', 'sh', '-c', LOOK], {
      input: 'given',
      deadlineMs: DEADLINE_MS,
    });
  }, DEADLINE_MS);
  afterAll(async () => {
    origin.close();
    await world.end();
  });

  it('has a kernel of its own, on which the relay redirects', () => {
    expect(output.stdout + output.stderr).toMatch(`kernel ${KERNEL?.release}\nmode redirect\n`);
    expect(KERNEL?.release).not.toBe(release());
  });

  it('has no interface but the loopback', () => {
    expect(output.stdout).toContain('interfaces lo \n');
  });

  it('passes streams, files and the exit status', () => {
    expect(output.stdout).toContain('input given\n');
    expect(output.stderr).toContain('complaint\n');
    expect(readFileSync(`${world.workspace}/made-inside`, 'utf8')).toBe('made\n');
    expect(output.code).toBe(7);
  });

  it('gets five mebibytes as they were sent', () => {
    expect(readFileSync(`${world.workspace}/got`).equals(BLOB)).toBe(true);
  });

  it('is gone with the run', () => {
    expect(remains(world)).toEqual([]);
  });

  it('is stopped in time when sand is, and leaves nothing', { timeout: DEADLINE_MS }, async () => {
    const flags = ['--policy', './p.yaml'];
    const child = world.start(['run', ...APPLE, ...flags, '--', 'sh', '-c', 'echo up; exec sleep 600']);
    const ended = outputOf(child, '', DEADLINE_MS);
    const { stdout } = follow(child);
    await until('the command in the machine', () => stdout().includes('up'), DEADLINE_MS);
    const since = performance.now();
    child.kill('SIGTERM');
    const { code } = await ended;
    expect(performance.now() - since).toBeLessThan(STOP_MS);
    expect(code).toBe(143);
    expect(remains(world)).toEqual([]);
  });
});

/** Processes that have to do with the world's folder, QEMU and virtiofsd among them, and what lies in the tool's of containers. */
function remains({ root }: AppleWorld): readonly string[] {
  const lines = processesAround(root).map(({ pid, commandLine }) => `${pid} ${commandLine}`);
  const containers = `${root}/home/Library/Application Support/com.apple.container/containers`;
  return [...lines, ...(existsSync(containers) ? readdirSync(containers) : [])];
}
