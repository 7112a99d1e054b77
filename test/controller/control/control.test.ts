import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RunPlace, runPlace } from '../../../audit/runs.ts';
import { askControl } from '../../../controller/control/client.ts';
import {
  CONTROL_LIMITS,
  LONGEST_GRACE_MS,
  parseControlAnswer,
  parseControlRequest,
  SOCKET_PATH_BYTES,
} from '../../../controller/control/protocol.ts';
import {
  type ControlHandler,
  type ControlServer,
  createControlServer,
} from '../../../controller/control/server.ts';
import { SandError } from '../../../controller/errors.ts';

let root: string;
let run: RunPlace;
let servers: ControlServer[];
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'control-'));
  run = placeIn(root);
  servers = [];
});
afterEach(async () => {
  for (const server of servers) await server.close();
  rmSync(root, { recursive: true, force: true });
});

function placeIn(folder: string): RunPlace {
  const place = runPlace(folder, '20261121-201500-k3f9');
  mkdirSync(place.directory, { recursive: true, mode: 0o700 });
  return place;
}

async function serve(handle: ControlHandler, place = run): Promise<ControlServer> {
  const server = await createControlServer(place.directory, handle);
  servers.push(server);
  return server;
}

const socketOf = (place: RunPlace) => join(place.directory, 'control.sock');

/** Sends raw text and gives all that comes back. */
function speak(text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ path: socketOf(run) });
    let answer = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(answer));
    socket.end(text);
  });
}

describe('the control socket', () => {
  it('answers its own user, is open to nobody else, and goes with its server', async () => {
    const server = await serve(async (request) => ({ did: request.do }));
    expect(statSync(socketOf(run)).mode & 0o777).toBe(0o600);
    expect(await askControl(run, { do: 'phase' })).toEqual({ did: 'phase' });
    await server.close();
    expect(existsSync(socketOf(run))).toBe(false);
    await expect(askControl(run, { do: 'phase' })).rejects.toMatchObject({ code: 'control-missing' });
    await server.close();
  });

  it('lies in the run\u2019s folder also where its path is longer than the kernel takes', async () => {
    const far = placeIn(join(root, 'deep'.repeat(20), 'deeper'.repeat(20)));
    expect(socketOf(far).length).toBeGreaterThan(SOCKET_PATH_BYTES);
    const server = await serve(async () => 'here', far);
    expect(statSync(socketOf(far)).mode & 0o777).toBe(0o600);
    expect(await askControl(far, { do: 'phase' })).toBe('here');
    await server.close();
    expect(existsSync(socketOf(far))).toBe(false);
  });

  it('is not made in a folder that others can open', async () => {
    chmodSync(run.directory, 0o750);
    await expect(serve(async () => null)).rejects.toMatchObject({ code: 'control-failed' });
    expect(existsSync(socketOf(run))).toBe(false);
  });

  it('passes on what the run raised, with its code', async () => {
    await serve(async () => {
      throw new SandError('phase-last', 'the last one', 'do nothing');
    });
    await expect(askControl(run, { do: 'phase-next' })).rejects.toMatchObject({
      code: 'phase-last',
      message: 'the last one',
      hint: 'do nothing',
    });
  });

  it('does nothing for what it does not understand', async () => {
    let asked = 0;
    await serve(async () => {
      asked += 1;
    });
    for (const text of ['{}\n', 'phase-next\n', '{"do":"phase-back"}\n', '["phase-next"]\n', '\n'])
      expect(await speak(text), text).toContain('"code":"control-failed"');
    expect(
      await speak(`{"do":"phase-next","x":"${'x'.repeat(CONTROL_LIMITS.requestBytes)}"}\n`),
    ).not.toContain('true');
    expect(await speak('x'.repeat(10 * CONTROL_LIMITS.requestBytes))).toBe('');
    expect(asked).toBe(0);
  });

  it('serves so many at a time and no more', async () => {
    await serve(async () => 'here');
    const held = Array.from({ length: CONTROL_LIMITS.connections }, () => connect({ path: socketOf(run) }));
    await Promise.all(held.map((socket) => new Promise((resolve) => socket.on('connect', resolve))));
    await expect(askControl(run, { do: 'phase' })).rejects.toMatchObject({ code: 'control-failed' });
    for (const socket of held) socket.destroy();
  });

  it('answers several requests of one connection in their order', async () => {
    await serve(async (request) => request.do);
    const lines = (await speak('{"do":"phase"}\n{"do":"phase-next"}\n{"do":"phase"}\n')).trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).value)).toEqual(['phase', 'phase-next', 'phase']);
  });
});

describe('lines of the control socket', () => {
  const PROBE = { kind: 'probe', name: 'guest-seccomp', passed: true, detail: 'Seccomp: 2' };
  const parse = (value: unknown) => parseControlRequest(JSON.stringify(value));

  it.each([
    { do: 'guest' },
    { do: 'exec', command: ['sh', '-c', ''], probes: [PROBE] },
    { do: 'exec-end', exec: 1, exitCode: 0, durationMs: 0 },
    { do: 'stop', graceMs: 0 },
    { do: 'stop', graceMs: LONGEST_GRACE_MS },
    { do: 'policy', policies: ['strict', '/etc/a.yaml'] },
  ])('ask for %j, and for no more than that', (request) => {
    expect(parse({ ...request, more: 1 })).toEqual(request);
  });

  it.each([
    { do: 'exec' },
    { do: 'exec', command: [], probes: [PROBE] },
    { do: 'exec', command: 'sh', probes: [PROBE] },
    { do: 'exec', command: ['sh', 1], probes: [PROBE] },
    { do: 'exec', command: ['sh'] },
    // Fail closed: what nobody looked at is not put on record as if somebody had.
    { do: 'exec', command: ['sh'], probes: [] },
    { do: 'exec', command: ['sh'], probes: [null] },
    { do: 'exec', command: ['sh'], probes: [{ ...PROBE, kind: 'run-end' }] },
    { do: 'exec', command: ['sh'], probes: [PROBE, { ...PROBE, passed: 'yes' }] },
    { do: 'exec', command: ['sh'], probes: [{ ...PROBE, detail: undefined }] },
    { do: 'exec-end', exec: 1, exitCode: 0 },
    { do: 'exec-end', exec: 1.5, exitCode: 0, durationMs: 0 },
    { do: 'exec-end', exec: 1, exitCode: -1, durationMs: 0 },
    { do: 'exec-end', exec: '1', exitCode: 0, durationMs: 0 },
    { do: 'stop' },
    { do: 'stop', graceMs: -1 },
    { do: 'stop', graceMs: null },
    { do: 'stop', graceMs: '10s' },
    { do: 'stop', graceMs: LONGEST_GRACE_MS + 1 },
    { do: 'policy' },
    { do: 'policy', policies: [] },
    { do: 'policy', policies: 'strict' },
    { do: 'policy', policies: [{}] },
  ])('do not ask by %j', (request) => {
    expect(parse(request)).toBeNull();
  });

  it('of any text are survived', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        parseControlRequest(text);
        parseControlAnswer(text);
      }),
    );
  });
});
