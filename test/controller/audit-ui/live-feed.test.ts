import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { connect } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditEntry } from '../../../audit/event.ts';
import type { PageEvent } from '../../../audit/page/model.ts';
import { type PackedEvents, unpackEvents } from '../../../audit/page/packing.ts';
import type { RunPlace } from '../../../audit/runs.ts';
import { answerPieces } from '../../../controller/audit-ui/answers.ts';
import { UI_LIMITS } from '../../../controller/audit-ui/limits.ts';
import { feedRun } from '../../../controller/audit-ui/live-feed.ts';
import { ALLOWED, close, connection, linesOf, runEnd, runStart } from '../../audit/samples.ts';
import { RUN, UiWorld } from './world.ts';

let world: UiWorld;
beforeEach(() => {
  world = new UiWorld();
});
afterEach(() => world.end());

interface Message {
  readonly id: number | null;
  readonly event: string;
  readonly data: unknown;
}

function parse(text: string): Message {
  const { id, event, data } =
    /^(?:id: (?<id>\d+)\n)?event: (?<event>\w+)\ndata: (?<data>.*)\n\n$/.exec(text)?.groups ?? {};
  return {
    id: id === undefined ? null : Number(id),
    event: event ?? '',
    data: JSON.parse(data ?? 'null') as unknown,
  };
}

const START = runStart();
const ASKED = (host: string) => connection({ ...ALLOWED, host });

/** Reads until `enough`, or the end. */
async function read(
  run: RunPlace,
  after: number,
  {
    enough = () => false,
    alive = false,
  }: { enough?: (got: readonly Message[]) => boolean; alive?: boolean } = {},
): Promise<readonly Message[]> {
  const stop = new AbortController();
  const got: Message[] = [];
  const feed = feedRun({ run, after, alive: () => alive, nowMs: Date.now, signal: stop.signal });
  for await (const text of feed) {
    got.push(parse(text));
    if (enough(got)) break;
  }
  stop.abort();
  return got;
}

function entriesOf(messages: readonly Message[]): readonly PageEvent[] {
  return messages.flatMap(({ event, data }) =>
    event === 'entries' ? unpackEvents(data as PackedEvents) : [],
  );
}

const lastId = (messages: readonly Message[]) => messages.findLast(({ id }) => id !== null)?.id ?? 0;
const seqs = (messages: readonly Message[]) => entriesOf(messages).map(({ seq }) => seq);

/** Entries of a log of which more lines are written than were there at first. */
function growing(entries: readonly AuditEntry[], begin: number) {
  const run = world.run(entries.slice(0, begin));
  const lines = linesOf(entries);
  return {
    run,
    grow: (to: number) => appendFileSync(run.auditPath, `${lines.slice(begin, to).join('\n')}\n`),
  };
}

describe('the feed of a run', () => {
  it('goes on from where the page is, without a loss or a double, however often it is cut', async () => {
    const entries: AuditEntry[] = [START, ...Array.from({ length: 30 }, (_, at) => ASKED(`h${at}.example`))];
    const { run, grow } = growing(entries, 11);
    const first = await read(run, 4, { enough: (got) => lastId(got) >= 11, alive: true });
    expect(seqs(first)).toEqual([5, 6, 7, 8, 9, 10, 11]);
    grow(31);
    const second = await read(run, lastId(first), { enough: (got) => lastId(got) >= 31, alive: true });
    expect(seqs(second)).toEqual(Array.from({ length: 20 }, (_, at) => at + 12));
    expect(seqs(await read(run, 31))).toEqual([]);
  });

  it('tells a close with its connection, also of one that the page has already', async () => {
    const run = world.run([
      START,
      connection({ ...ALLOWED, connection: 7, host: 'a.example' }),
      close({ connection: 7, bytesIn: 99 }),
    ]);
    const entries = entriesOf(await read(run, 2));
    expect(entries).toMatchObject([{ seq: 2, host: 'a.example', close: { bytesIn: 99 } }]);
  });

  it('ends with the seal, with counts of all and a chain that was checked', async () => {
    const run = world.run([START, ASKED('a.example'), runEnd({ events: 2 })]);
    const got = await read(run, 3);
    expect(got.at(-1)).toMatchObject({ event: 'end', data: { why: 'sealed' } });
    expect(got.at(-2)).toMatchObject({
      event: 'summary',
      data: { totals: { allowed: 1 }, runs: [{ chain: { state: 'sealed', events: 3 } }] },
    });
  });

  it('says that a run was killed, and that a chain is broken', async () => {
    const run = world.run([START, ASKED('a.example')]);
    appendFileSync(run.auditPath, '{"not":"a line"}\n');
    const got = await read(run, 0);
    expect(got.at(-1)).toMatchObject({ data: { why: 'abandoned' } });
    expect(got.at(-2)).toMatchObject({ data: { runs: [{ chain: { state: 'broken', line: 3 } }] } });
  });

  it.each(['a\nevent: end\ndata: {}', '\u2028', '<script>', '\u202e'])(
    'is one line a field, whatever a guest wrote: %j',
    async (host) => {
      const run = world.run([START, ASKED(host)]);
      const stop = new AbortController();
      for await (const text of feedRun({
        run,
        after: 0,
        alive: () => false,
        nowMs: Date.now,
        signal: stop.signal,
      })) {
        expect(text).toMatch(/^(id: \d+\n)?event: (entries|at|summary|end)\ndata: [\x20-\x7e]*\n\n$/);
      }
      expect(entriesOf(await read(run, 1))).toHaveLength(1);
    },
  );

  it('is sent by the server to the session alone, from Last-Event-ID where a page comes back', async () => {
    const run = world.run([START, ASKED('a.example'), ASKED('b.example'), runEnd({ events: 3 })]);
    await world.start();
    const { cookie, place } = await world.open();
    const path = `${place}/api/runs/${run.id}/events`;
    const answer = await world.ask(`${path}?after=1`, { headers: { cookie, 'last-event-id': '2' } });
    expect(answer.headers['content-type']).toBe('text/event-stream');
    const got = answer.text.split(/(?<=\n\n)/).map(parse);
    expect(seqs(got)).toEqual([3, 4]);
    for (const query of ['', '?after=', '?after=-1', '?after=x', '?after=1e3', `?after=${'9'.repeat(16)}`])
      expect((await world.ask(`${path}${query}`, { headers: { cookie } })).status, query).toBe(400);
  });

  it('has so many readers and no more', async () => {
    world.run([START]);
    await world.start();
    const { cookie, place } = await world.open();
    const path = `${place}/api/runs/${RUN}/events?after=0`;
    const head = `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${world.server.port}\r\nCookie: ${cookie}\r\n\r\n`;
    const sockets = await Promise.all(
      Array.from({ length: UI_LIMITS.followers }, async () => {
        const socket = connect({ host: '127.0.0.1', port: world.server.port });
        socket.write(head);
        await once(socket, 'data');
        return socket;
      }),
    );
    expect((await world.ask(path, { headers: { cookie } })).status).toBe(503);
    const gone = Promise.all(sockets.map((socket) => once(socket, 'close')));
    for (const socket of sockets) socket.destroy();
    await gone;
    await expect
      .poll(async () => (await world.ask(`${place}/api/runs/${RUN}/events`, { headers: { cookie } })).status)
      .toBe(400);
  });
});

describe('a page that takes nothing', () => {
  it('costs what its socket holds: no more is asked of the log, and its connection is ended', async () => {
    const { createServer } = await import('node:http');
    let asked = 0;
    function* endless() {
      for (;;) {
        asked += 1;
        yield 'x'.repeat(64 * 1024);
      }
    }
    let sent: Promise<boolean> = Promise.resolve(true);
    const server = createServer((_, response) => {
      sent = answerPieces(response, {}, endless(), { stallMs: 300 });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    const socket = connect({ host: '127.0.0.1', port });
    socket.pause();
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(server, 'request');
    expect(await sent).toBe(false);
    // The kernel holds a few megabytes of both sides.
    expect(asked).toBeLessThan(400);
    socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});
