/**
 * Runs the cases that need a proxy, or a proxy with its resolver: real sockets on 127.0.0.1, an origin that
 * keeps what it gets, a name server that says what the case wants. Holds what is true of every case.
 */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import type { AuditEntry } from '../../audit/event.ts';
import { decodeLine, encodeLine, FIRST_PREV } from '../../audit/line.ts';
import { DNS_LIMITS } from '../../dns/limits.ts';
import { createResolver, type Resolver } from '../../dns/resolver.ts';
import { createDnsServer, type DnsServer } from '../../dns/server.ts';
import { parseHost } from '../../policies/hostname.ts';
import type { IpAddress } from '../../policies/model.ts';
import type { Lookup, Meaning } from '../../proxy/context.ts';
import { fakeUpstream } from '../dns/world.ts';
import { policyOf } from '../policies/reader.ts';
import { addressOf, type Client, eventually, RawOrigin, Rig } from '../proxy/rig.ts';
import { holds, type ScenarioCase, type Step } from './catalogue.ts';
import { askName } from './question.ts';
import { greetingOf, headOf, helloOf, requestOf } from './spoken.ts';
import { zoneScript } from './zone.ts';

type Policies = Readonly<Record<string, string>>;
type Decision = Extract<AuditEntry, { disposition: string }>;

const CORPUS = fileURLToPath(new URL('../fuzz/corpus/', import.meta.url));
const ALERT = Buffer.from([0x15, 3, 3, 0, 2, 2, 49]).toString('latin1');
const ANSWER = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok';

export async function runScenario(test: ScenarioCase, policies: Policies): Promise<void> {
  await using world = await Scenario.create(test, policies);
  for (const step of test.steps) await world.take(step);
  await world.conclude();
}

export class Scenario implements AsyncDisposable {
  readonly #test: ScenarioCase;
  readonly #policies: Policies;
  readonly #rig: Rig;
  readonly #origin: RawOrigin;
  readonly #lookups: Record<string, Lookup> = {};
  readonly #asked: string[] = [];
  readonly #closing: (() => unknown)[] = [];
  #port = 0;
  #client: Client | null = null;
  #isLogBroken = false;
  #resolver: Resolver | null = null;
  #dns: {
    readonly server: DnsServer;
    readonly guest: number;
    readonly stream: number;
    readonly host: number;
  } | null = null;
  #answered: readonly string[] = [];

  private constructor(test: ScenarioCase, policies: Policies) {
    this.#test = test;
    this.#policies = policies;
    this.#origin = new RawOrigin(serverOf(test.serves ?? 'http'));
    const meanings: Record<string, Meaning> = {};
    const named = Object.entries(test.meanings ?? {});
    for (const [address, name] of named) meanings[address] = { kind: 'name', name: nameOf(name) };
    const own: number[] = [];
    this.#rig = new Rig({
      limits: test.limits ?? {},
      lookups: this.#lookups,
      own,
      meanings: new Proxy(meanings, {
        get: (known, address: string) =>
          known[address] ?? this.#resolver?.meaning(address as IpAddress) ?? undefined,
      }),
    });
    this.#ownPorts = own;
  }

  readonly #ownPorts: number[];

  static async create(test: ScenarioCase, policies: Policies): Promise<Scenario> {
    const scenario = new Scenario(test, policies);
    await scenario.#start();
    return scenario;
  }

  async #start(): Promise<void> {
    const { zone, lookups } = this.#test;
    this.#port = await this.#rig.serve(this.#origin.accept);
    if (this.#test.own === true) this.#ownPorts.push(this.#port);
    for (const [name, found] of Object.entries(lookups ?? {})) this.#lookups[name] = lookupOf(found);
    if (this.#test.policy !== undefined) this.#usePolicy(this.#test.policy);
    if (zone === undefined) return;
    const upstream = await fakeUpstream(zoneScript(zone, this.#asked));
    this.#closing.push(() => upstream.close());
    const limits = { ...DNS_LIMITS, datagramTryMs: 300, streamTryMs: 300, ...this.#test.dnsLimits };
    const resolver = createResolver(
      {
        policy: () => this.#rig.inForce,
        upstreams: () => [upstream],
        hostAddresses: () => [addressOf('203.0.113.77')],
        audit: { record: (entry) => this.#record(entry) },
      },
      { limits },
    );
    this.#resolver = resolver;
    this.#closing.push(() => resolver.close());
    this.#rig.onLookup = async (name) => {
      this.#lookups[name] = await resolver.lookup(nameOf(name), AbortSignal.timeout(5_000));
    };
    const server = createDnsServer({ handler: resolver, limits });
    this.#closing.push(() => server.close());
    const guest = await datagramSocket();
    const host = await datagramSocket();
    server.attachDatagram(guest, { asker: 'guest', mode: 'synthetic' });
    server.attachDatagram(host, { asker: 'host', mode: 'vetted' });
    const stream = await this.#rig.serve((socket: Socket) =>
      server.attachStream(socket, { asker: 'guest', mode: 'synthetic' }),
    );
    this.#dns = { server, guest: guest.address().port, host: host.address().port, stream };
  }

  /** As the log of a gateway: both parts write to one. */
  #record(entry: AuditEntry): number {
    if (this.#isLogBroken) throw new Error('disk full');
    return this.#rig.events.push(entry);
  }

  #usePolicy(named: string): void {
    this.#rig.setPolicy(policyOf(this.#fill(this.#policies[named] ?? named)));
  }

  /** `$PORT` is the origin's, `$ANSWER` the first address that DNS gave. */
  #fill(text: string): string {
    return text.replaceAll('$PORT', String(this.#port)).replaceAll('$ANSWER', this.#answered[0] ?? '$ANSWER');
  }

  async take(step: Step): Promise<void> {
    if ('to' in step) return this.#open(this.#fill(step.to));
    if ('policy' in step) {
      this.#usePolicy(step.policy);
      return this.#rig.proxy.policyChanged();
    }
    if ('lookups' in step) {
      for (const [name, found] of Object.entries(step.lookups)) this.#lookups[name] = lookupOf(found);
      return;
    }
    if ('log' in step) {
      this.#isLogBroken = true;
      this.#rig.onRecord = () => {
        throw new Error('disk full');
      };
      return;
    }
    if ('ask' in step) return this.#ask(step.ask);
    if ('origin' in step) {
      const wanted = new RegExp(this.#fill(step.origin));
      return eventually(() => wanted.test(this.#origin.text), `the origin got ${wanted}`);
    }
    await this.#speak(step);
  }

  async #speak(step: Step): Promise<void> {
    const client = this.#client ?? (await this.#openProxy());
    if ('connect' in step)
      client.send(headOf(`CONNECT ${this.#fill(step.connect)} HTTP/1.1\nHost: ${this.#fill(step.connect)}`));
    if ('get' in step) client.send(requestOf(this.#fill(step.get)));
    if ('http' in step) client.send(headOf(this.#fill(step.http)));
    if ('hex' in step) client.send(Buffer.from(step.hex.replaceAll(/\s/g, ''), 'hex'));
    if ('send' in step) await sendPieces(client, this.#fill(step.send), step.times ?? 1, step.segment);
    if ('corpus' in step) await sendPieces(client, readFileSync(join(CORPUS, step.corpus)), 1, step.segment);
    if ('hello' in step) await sendPieces(client, helloOf(step.hello), 1, step.hello.segment);
    if ('expect' in step) await client.until(new RegExp(this.#fill(step.expect)));
    if ('half' in step) client.socket.end();
    if ('ended' in step) expect(await client.ending()).toBe(step.ended);
    if ('socks' in step) {
      client.send(Buffer.from([5, 1, 0]));
      await client.until(/^\x05\x00/);
      client.send(greetingOf(this.#fill(step.socks)));
    }
  }

  async #openProxy(): Promise<Client> {
    this.#client = await this.#rig.client(await this.#rig.proxyPort());
    return this.#client;
  }

  async #open(to: string): Promise<void> {
    if (to === 'proxy') {
      await this.#openProxy();
      return;
    }
    const end = to.lastIndexOf(':');
    const address = to.slice(0, end).replace(/^\[|\]$/g, '');
    const port = await this.#rig.streamPort(address, Number(to.slice(end + 1)));
    this.#client = await this.#rig.client(port);
  }

  async #ask(asked: Extract<Step, { ask: unknown }>['ask']): Promise<void> {
    if (this.#dns === null) throw new Error('a case that asks names needs a zone');
    const answered = await askName(asked, this.#dns);
    if (answered !== null) this.#answered = answered;
  }

  async conclude(): Promise<void> {
    const { verdict, reason, reached } = this.#test;
    if (this.#isLogBroken)
      await this.#client?.until(new RegExp(`x-sand-reason: ${reason ?? 'audit-unavailable'}`));
    else if (verdict === 'deny') await this.#expectRefusal(reason);
    else await this.#expectForward(reason);
    await this.#checkClient();
    for (const one of this.#filled(this.#test.audit ?? [])) {
      await this.#awaitRecord((event) => holds(one, event), one);
    }
    if (verdict === 'deny' && reached !== true) expect(this.#origin.connections).toHaveLength(0);
    this.#checkOrigin();
    for (const name of this.#test.unasked ?? []) expect(this.#asked).not.toContain(name);
    this.#checkRecords();
  }

  /** What comes after the policy's word (a limit, a loop, no such name) leaves the verdict as it was. */
  async #expectRefusal(reason: string | undefined): Promise<void> {
    const refused = reason === undefined ? { verdict: 'deny' } : { reason };
    const isRefused = (event: AuditEntry) =>
      holds(refused, event) &&
      (event.kind === 'close' || ('disposition' in event && event.disposition !== 'forwarded'));
    await this.#awaitRecord(isRefused, refused);
  }

  async #awaitRecord(isIt: (event: AuditEntry) => boolean, wanted: unknown): Promise<void> {
    try {
      await eventually(() => this.#rig.events.some(isIt), 'the record');
    } catch (cause) {
      const told = JSON.stringify({ events: this.#rig.events, told: this.#client?.text }, null, 1);
      throw new Error(`no record of ${JSON.stringify(wanted)} in ${told}`, { cause });
    }
  }

  async #expectForward(reason: string | undefined): Promise<void> {
    const wanted = { verdict: 'allow', ...(reason === undefined ? {} : { reason }) };
    const isForward = (event: AuditEntry) =>
      holds(wanted, event) && 'disposition' in event && event.disposition !== 'refused';
    await this.#awaitRecord(isForward, wanted);
    const expected = this.#filled(this.#test.audit ?? []);
    const stray = this.#rig.events.filter(
      (event) =>
        'disposition' in event &&
        event.disposition === 'refused' &&
        !expected.some((one) => holds(one, event)),
    );
    expect(stray).toEqual([]);
  }

  #filled(
    partials: readonly Readonly<Record<string, unknown>>[],
  ): readonly Readonly<Record<string, unknown>>[] {
    return partials.map((one) =>
      Object.fromEntries(
        Object.entries(one).map(([key, value]) => {
          if (key === 'port' && value === '$PORT') return [key, this.#port];
          return [key, typeof value === 'string' ? this.#fill(value) : value];
        }),
      ),
    );
  }

  async #checkClient(): Promise<void> {
    const { status, alert, untold } = this.#test;
    const client = this.#client;
    if (client === null) return;
    if (status !== undefined) await client.until(new RegExp(`(^|\\r\\n|[^\\n])HTTP/1\\.1 ${status} `));
    if (alert === true) {
      await client.ending();
      expect(client.text.slice(-ALERT.length)).toBe(ALERT);
    }
    if (untold !== undefined) expect(client.text).not.toMatch(new RegExp(this.#fill(untold)));
  }

  #checkOrigin(): void {
    const { sent, unsent } = this.#test;
    if (sent !== undefined) expect(this.#origin.text).toMatch(new RegExp(this.#fill(sent)));
    if (unsent !== undefined) expect(this.#origin.text).not.toMatch(new RegExp(this.#fill(unsent)));
    const forwards = this.#decisions().filter(({ disposition }) => disposition === 'forwarded');
    if (!this.#isLogBroken) expect(this.#origin.connections.length).toBeLessThanOrEqual(forwards.length);
  }

  /** Every record is a line that the log reads back. */
  #checkRecords(): void {
    for (const event of this.#rig.events) {
      const line = encodeLine(event, { seq: 1, timeMs: 0, guest: 'g', prev: FIRST_PREV });
      expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
      expect(decodeLine(Buffer.from(line))).toMatchObject({ ok: true });
    }
    for (const { reason } of this.#decisions()) expect(reason).not.toBe('internal-error');
  }

  #decisions(): readonly Decision[] {
    return this.#rig.events.filter((event): event is Decision => 'disposition' in event);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#closing.toReversed()) await close();
    await this.#rig[Symbol.asyncDispose]();
  }
}

async function sendPieces(
  client: Client,
  text: string | Buffer,
  times: number,
  segment: number | undefined,
): Promise<void> {
  const whole = Buffer.concat(
    Array(times).fill(typeof text === 'string' ? Buffer.from(text, 'latin1') : text),
  );
  client.socket.setNoDelay(true);
  for (let at = 0; at < whole.length; at += segment ?? whole.length) {
    client.send(whole.subarray(at, at + (segment ?? whole.length)));
    if (segment !== undefined) await nextTurn();
  }
}

function serverOf(serves: string): (socket: Socket, text: string) => void {
  if (serves === 'hold') return () => {};
  if (serves === 'echo') return (socket, text) => socket.write(`echo ${text}`);
  const answered = new WeakMap<Socket, number>();
  return (socket, text) => {
    const said = answered.get(socket) ?? 0;
    const due = serves === 'http' ? (text.match(/ HTTP\/1\.1\r\n(.+\r\n)*\r\n/g) ?? []).length : 1;
    answered.set(socket, Math.max(said, due));
    for (let at = said; at < due; at += 1)
      socket.write(serves === 'http' ? ANSWER : Buffer.from(serves, 'latin1'));
  };
}

function lookupOf(found: readonly string[] | 'failed'): Lookup {
  if (found === 'failed') return { kind: 'failed', detail: 'no server answered' };
  return { kind: 'addresses', addresses: found.map(addressOf) };
}

function nameOf(text: string) {
  const host = parseHost(text);
  if (!host.ok || host.value.kind !== 'name') throw new Error(`no name: ${text}`);
  return host.value.name;
}

async function datagramSocket(): Promise<DatagramSocket> {
  const socket = createSocket('udp4');
  socket.bind({ port: 0, address: '127.0.0.1' });
  await once(socket, 'listening');
  return socket;
}
