import { readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunPlace } from '../../../audit/runs.ts';
import {
  formatGuests,
  listGuestsCommand,
  pruneGuests,
  removeGuests,
  showOutput,
  stopGuests,
  waitForGuest,
} from '../../../controller/cli/guests.ts';
import { type GuestView, viewGuests } from '../../../controller/guests/guests.ts';
import { createOutputLog } from '../../../controller/guests/output.ts';
import { findGuest, registerGuest } from '../../../controller/guests/registry.ts';
import type { RunState } from '../../../controller/run/run-state.ts';
import { name, placeIn, runsFolder, writeKilledState, writeState } from '../guests/places.ts';

const END = { exitCode: 3, cause: 'exit', at: '2026-11-21T20:16:00.000Z' } as const;

function setUp() {
  const runs = runsFolder();
  const env = { XDG_STATE_HOME: dirname(dirname(runs)) };
  const guest = (label: string, write: (run: RunPlace) => void): RunPlace => {
    const run = placeIn(runs);
    registerGuest(runs, name(label), run);
    write(run);
    return run;
  };
  let text = '';
  const context = {
    env,
    json: false,
    write: (some: string) => {
      text += some;
    },
  };
  return { runs, guest, context, said: () => text };
}

/** A run that is over, one that was killed, and one of this process. */
function three(guest: ReturnType<typeof setUp>['guest']) {
  guest('over', (run) => writeState(run, { end: END }));
  guest('killed', (run) => writeKilledState(run));
  return guest('live', (run) => writeState(run, { name: 'live' }));
}

describe('the table of guests', () => {
  it('is as before', () => {
    const view = (
      label: string,
      standing: GuestView['standing'],
      state: Partial<RunState> | null,
    ): GuestView => ({
      record: { name: name(label), run: placeIn(runsFolder()) },
      standing,
      state: state as RunState | null,
    });
    const state = { backend: 'linux', startedAt: '2026-11-21T20:15:00.000Z', command: ['npm', 'run', 'dev'] };
    const table = formatGuests([
      view('web', 'running', state),
      view('a-rather-long-name-for-a-guest', 'ended', { ...state, end: END }),
      view('held', 'starting', { ...state, command: [] }),
      view('gone', 'broken', null),
      view('hostile', 'running', { ...state, command: ['sh', '-c', 'echo \u001b[2J\nx \u202e'] }),
    ]);
    const file = new URL('golden/guests.txt', import.meta.url);
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, table);
    expect(table).toBe(readFileSync(file, 'utf8'));
    expect(table).not.toMatch(/\u001b|\u202e/);
  });

  it('is a sentence where there is none', () => {
    expect(formatGuests([])).toBe('No guests. Start one with: sand run -d -- CMD\n');
  });

  it('leaves out those that have ended, unless all are asked for', async () => {
    const { guest, context, said } = setUp();
    three(guest);
    await listGuestsCommand({ ...context, all: false });
    expect(said()).not.toContain('over');
    await listGuestsCommand({ ...context, all: true });
    expect(said()).toMatch(/over +ended \(3\)/);
  });

  it('as JSON holds the whole state of each', async () => {
    const { guest, context, said } = setUp();
    const run = three(guest);
    await listGuestsCommand({ ...context, json: true, all: true });
    const { guests } = JSON.parse(said());
    expect(guests).toContainEqual(
      expect.objectContaining({ name: 'live', run: run.id, standing: 'running', pid: process.pid }),
    );
  });
});

describe('removing guests', () => {
  it('that run is refused, and then none is removed', async () => {
    const { runs, guest, context, said } = setUp();
    three(guest);
    const removing = removeGuests({ ...context, names: ['over', 'live'], force: false });
    await expect(removing).rejects.toMatchObject({
      code: 'guest-running',
      hint: expect.stringContaining('--force live'),
    });
    expect([viewGuests(runs).length, said()]).toEqual([3, '']);
  });

  it('of which one is unknown removes none', async () => {
    const { runs, guest, context } = setUp();
    three(guest);
    const removing = removeGuests({ ...context, names: ['over', 'no\u001b[31m'], force: true });
    await expect(removing).rejects.toMatchObject({
      code: 'run-missing',
      message: expect.not.stringContaining('\u001b'),
    });
    expect(viewGuests(runs).length).toBe(3);
  });

  it('that have ended or are broken tells their names', async () => {
    const { runs, guest, context, said } = setUp();
    three(guest);
    expect(await removeGuests({ ...context, names: ['over', 'killed'], force: false })).toBe(0);
    expect(said()).toBe('over\nkilled\n');
    expect(findGuest(runs, 'over')).toBeNull();
  });

  it('by prune takes exactly those, and tells how each stood', async () => {
    const { runs, guest, context, said } = setUp();
    three(guest);
    await pruneGuests({ ...context, json: true });
    const { removed } = JSON.parse(said());
    expect(removed).toHaveLength(2);
    expect(removed).toContainEqual({ name: 'killed', standing: 'broken' });
    expect(removed).toContainEqual({ name: 'over', standing: 'ended' });
    expect(viewGuests(runs).map(({ record }) => record.name)).toEqual(['live']);
  });
});

describe('waiting for a guest', () => {
  it('that has ended gives its exit code', async () => {
    const { guest, context, said } = setUp();
    three(guest);
    expect(await waitForGuest({ ...context, json: true, names: ['over'] })).toBe(3);
    expect(JSON.parse(said())).toMatchObject({ guest: 'over', exitCode: 3, cause: 'exit' });
  });

  it('goes on until it ends', async () => {
    const { guest, context } = setUp();
    const run = three(guest);
    const waiting = waitForGuest({ ...context, names: ['live'] });
    writeState(run, { end: { ...END, exitCode: 143, cause: 'stop' } });
    expect(await waiting).toBe(143);
  });

  it('whose supervisor was killed is an error, never a success', async () => {
    const { guest, context } = setUp();
    three(guest);
    await expect(waitForGuest({ ...context, names: ['killed'] })).rejects.toMatchObject({
      code: 'guest-ended',
    });
    await expect(stopGuests({ ...context, names: ['killed'], graceMs: 0 })).rejects.toMatchObject({
      code: 'guest-ended',
    });
    expect(await stopGuests({ ...context, names: ['over'], graceMs: 0 })).toBe(0);
  });
});

describe('the output of a guest', () => {
  it('goes to the stream that it came from, byte for byte', async () => {
    const { guest, context } = setUp();
    const log = createOutputLog(guest('over', (run) => writeState(run, { end: END })));
    log.write('stdout', Buffer.from([0, 255]));
    log.write('stderr', Buffer.from('err'));
    log.close();
    const [out, err]: [Buffer[], Buffer[]] = [[], []];
    const to = { out: (chunk: Buffer) => void out.push(chunk), err: (chunk: Buffer) => void err.push(chunk) };
    await showOutput({ ...context, ...to, name: 'over', follow: true });
    expect([Buffer.concat(out), Buffer.concat(err)]).toEqual([Buffer.from([0, 255]), Buffer.from('err')]);
  });

  it('of a run in the foreground is on its own terminal', async () => {
    const { guest, context } = setUp();
    guest('front', (run) => writeState(run, { detached: false }));
    const to = { out: () => {}, err: () => {} };
    await expect(showOutput({ ...context, ...to, name: 'front', follow: false })).rejects.toMatchObject({
      code: 'usage',
    });
  });

  it('of a guest that was killed is shown, whatever its state', async () => {
    const { guest, context } = setUp();
    const run = guest('killed', (place) => writeFileSync(place.statePath, '{'));
    const log = createOutputLog(run);
    log.write('stdout', Buffer.from('last words'));
    log.close();
    let text = '';
    const out = (chunk: Buffer) => {
      text += chunk;
    };
    const to = { out, err: () => {} };
    await showOutput({ ...context, ...to, name: 'killed', follow: true });
    expect(text).toBe('last words');
  });
});
