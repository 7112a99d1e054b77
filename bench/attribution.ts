/**
 * What it costs to say which process of a guest asked: refused requests a second through the real gateway, a connection each,
 * with the look and without, in turns; and the time of one look by what the guest has open.
 */
import { mkdirSync } from 'node:fs';
import type { Server } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { createAuditLog } from '../audit/log.ts';
import type { Attribute } from '../controller/backends/backend.ts';
import { type Attribution, openAttribution } from '../controller/backends/linux/attribution.ts';
import { createGatewayCore } from '../controller/gateway/core.ts';
import { choosePolicy } from '../controller/run/policy-choice.ts';
import { type StandInGuest, startStandInGuest } from './attribution/rig.ts';
import { median, pairedRatio, quantile } from './statistics.ts';
import { formatFigure, formatRatio, formatTable } from './table.ts';
import { Workplace } from './workplace.ts';

export const name = 'attribution';
export const summary = 'requests a second with and without the process that asked, and the time of one look';

const ROUNDS = 12;
const REQUESTS = 200;
const LOOKS = 200;
/** Looks that no bound ends: what they take is what is measured. */
const UNBOUNDED = { lookMs: 10_000, burstMs: 1_000_000, share: 1 };

export async function run(): Promise<void> {
  await using workplace = new Workplace();
  const guest = await startStandInGuest();
  const bounded = openAttribution(guest.initPid);
  const unbounded = openAttribution(guest.initPid, { limits: UNBOUNDED });
  try {
    if (bounded === null || unbounded === null) throw new Error('this machine does not let sand look');
    process.stdout.write(formatTable(await requests(workplace, guest, bounded)));
    process.stdout.write(formatTable(await looks(guest, unbounded)));
  } finally {
    bounded?.close();
    unbounded?.close();
    await guest.end();
  }
}

async function requests(workplace: Workplace, guest: StandInGuest, attribution: Attribution) {
  const sides = [];
  for (const attribute of [attribution.attribute, null]) {
    const gateway = await openGateway(workplace, attribute);
    const { server, port } = await guest.listen();
    server.on('connection', (socket) => gateway.core.proxy.acceptProxyConnection(socket));
    sides.push({ ...gateway, server, port, rates: [] as number[] });
  }
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const { port, rates } of sides) {
      const tookMs = (await guest.ask({ do: 'requests', port, count: REQUESTS })) as number;
      // The first round loads modules.
      if (round > 0) rates.push((REQUESTS * 1_000) / tookMs);
    }
  }
  for (const side of sides) await closeSide(side);
  const [withLook = [], without = []] = sides.map(({ rates }) => rates);
  return {
    head: ['', 'requests a second', 'with ÷ without'],
    rows: [
      [
        'with the process that asked',
        formatFigure(median(withLook)),
        formatRatio(pairedRatio(withLook, without)),
      ],
      ['without', formatFigure(median(without)), ''],
    ],
    notes: [`medians of ${ROUNDS} rounds; one client, one request after another, each refused with 403`],
  };
}

interface Side {
  readonly core: ReturnType<typeof createGatewayCore>;
  readonly log: ReturnType<typeof createAuditLog>;
}

async function openGateway({ folder }: Workplace, attribute: Attribute | null): Promise<Side> {
  const chosen = await choosePolicy({
    policies: ['strict'],
    allows: [],
    cwd: folder,
    home: homedir(),
    environ: {},
    told: () => {},
  });
  const place = join(folder, attribute === null ? 'without' : 'with');
  mkdirSync(place, { mode: 0o700 });
  const log = createAuditLog({ path: join(place, 'audit.jsonl'), guest: 'bench', clock: Date.now });
  const core = createGatewayCore({
    inForce: chosen.inForce,
    audit: log,
    dnsUpstreams: [],
    parents: null,
    isOwn: () => false,
    ...(attribute === null ? {} : { attribute }),
  });
  return { core, log };
}

async function closeSide({ core, log, server }: Side & { readonly server: Server }): Promise<void> {
  server.close();
  await core.close();
  log.close();
}

async function looks(guest: StandInGuest, attribution: Attribution) {
  const rows: string[][] = [];
  const { server, port } = await guest.listen();
  server.on('connection', (socket) => socket.on('error', () => {}));
  const connect = async (count: number) =>
    ((await guest.ask({ do: 'connect', port, count })) as number[]).at(-1) ?? 0;
  const measure = (title: string, from: number) => {
    const end = { transport: 'tcp', address: '127.0.0.1', port: from } as const;
    const destination = { address: '127.0.0.1', port };
    const times = Array.from({ length: LOOKS }, () => {
      const startedAt = performance.now();
      if (attribution.attribute({ ...end, destination }) === null) throw new Error(`${title}: not found`);
      return performance.now() - startedAt;
    });
    rows.push([title, formatFigure(median(times)), formatFigure(quantile(times, 0.99))]);
  };
  measure('the process that answered last', await connect(1));
  await guest.ask({ do: 'crowd', count: 200 });
  measure('beside 200 other processes', await connect(1));
  measure('beside 500 other connections', await connect(500));
  await guest.ask({ do: 'end-children' });
  return { head: ['one look', 'median ms', 'p99'], rows, notes: [] };
}
