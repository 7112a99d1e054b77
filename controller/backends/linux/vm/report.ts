/**
 * What a VM guest's machine tells of itself before the guest's first command runs, judged: text → facts → probe
 * results. The sandbox around the machine has its own probes; these show that commands run in the machine, without
 * rights, and that its only way out ends at the gateway as well. A report that is cut is a failed probe. Pure.
 */
import type { ProbeResult } from '../../../../audit/event.ts';
import {
  type AskObservation,
  type ConnectObservation,
  judgeAsks,
  judgeConnect,
  type ProbeExpectations,
  type ProbePlan,
} from '../../../links/probing.ts';
import type { GuestIdentity } from '../mounts.ts';
import { NETWORK } from './places.ts';

export interface MachineReport {
  /** `uname -r`. */
  readonly kernel: string;
  /** `uid:gid`. */
  readonly user: string;
  readonly interfaces: readonly string[];
  readonly routes: readonly string[];
  readonly status: ReadonlyMap<string, string>;
  readonly connects: readonly ConnectObservation[];
  readonly asks: readonly AskObservation[];
}

export interface MachineExpectations extends ProbeExpectations {
  readonly kernel: string;
  readonly hostKernel: string;
  readonly identity: Pick<GuestIdentity, 'uid' | 'gid'>;
}

/** As `guest-scripts.ts` reads it. */
export function formatPlan(plan: ProbePlan): string {
  const connects = plan.connect.map(({ address, port }) => `connect ${address} ${port}\n`);
  const asks = plan.servers.flatMap((server) =>
    [plan.reservedName, plan.deniedName].map((name) => `ask ${server} ${name}\n`),
  );
  return [...connects, ...asks].join('');
}

/** Null when the report is not whole. */
export function parseMachineReport(text: string): MachineReport | null {
  const lines = text.trim().split('\n');
  if (lines.pop() !== 'end') return null;
  const all = (word: string) =>
    lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));
  return {
    kernel: all('kernel').join(' '),
    user: all('user').join(' '),
    interfaces: all('interface'),
    routes: [...all('route'), ...all('route6')].map((route) => route.trim()),
    status: new Map(all('status').map(splitStatus)),
    connects: all('connect').map(parseConnect),
    asks: all('ask').map(parseAsk),
  };
}

function splitStatus(line: string): readonly [string, string] {
  const colon = line.indexOf(':');
  return [line.slice(0, colon), line.slice(colon + 1).trim()];
}

/** Address, port, the status of busybox's nc and the first line that it read; 1 is a connection that was not made. */
function parseConnect(line: string): ConnectObservation {
  const [address = '', port = '', status = '', ...answer] = line.split(' ');
  const said = answer.join(' ').trim();
  // Fail closed: an answer that did not come is not a connection that was refused.
  const outcome = said !== '' ? 'answered' : status === '1' ? 'no-connection' : 'silent';
  return { address, port: Number(port), outcome, answer: said };
}

/** busybox's nslookup: the server's own address first, then `Name:` with addresses, or what went wrong. */
function parseAsk(line: string): AskObservation {
  const [server = '', name = '', ...rest] = line.split(' ');
  const said = rest.join(' ');
  const [, answer = ''] = said.split('Name:');
  const addresses = [...answer.matchAll(/Address(?: \d+)?: *([0-9a-f.:]+)/g)].map(
    ([, address = '']) => address,
  );
  if (addresses.length > 0) return { server, name, outcome: 'answered', addresses };
  const outcome = /NXDOMAIN/.test(said) ? 'not-found' : /REFUSED|refused/.test(said) ? 'refused' : 'timeout';
  return { server, name, outcome, addresses: [] };
}

export function judgeMachine(
  report: MachineReport | null,
  expected: MachineExpectations,
): readonly ProbeResult[] {
  if (report === null) return [result('machine-report', false, 'the machine\u2019s report is not whole')];
  const { uid, gid } = expected.identity;
  const status = (name: string) => report.status.get(name) ?? '(missing)';
  const capabilities = ['CapInh', 'CapPrm', 'CapEff', 'CapAmb'].filter((set) => !/^0+$/.test(status(set)));
  return [
    result(
      'machine-kernel',
      report.kernel === expected.kernel && report.kernel !== expected.hostKernel,
      `commands run on ${report.kernel}`,
    ),
    result('machine-user', report.user === `${uid}:${gid}`, `commands run as ${report.user}`),
    result(
      'machine-capabilities',
      capabilities.length === 0,
      `sets that are not empty: ${capabilities.join(', ') || 'none'}`,
    ),
    result('machine-no-new-privileges', status('NoNewPrivs') === '1', `NoNewPrivs: ${status('NoNewPrivs')}`),
    judgeInterfaces(report),
    judgeRoutes(report),
    ...report.connects.map((seen) => ofMachine(judgeConnect(seen, expected))),
    ...judgeAsks(report.asks, expected).map(ofMachine),
    result(
      'machine-probes-complete',
      report.connects.length === expected.plan.connect.length &&
        report.asks.length === expected.plan.servers.length * 2,
      `${report.connects.length} connects and ${report.asks.length} questions were tried`,
    ),
  ];
}

function judgeInterfaces({ interfaces }: MachineReport): ProbeResult {
  const own: readonly string[] = ['lo', NETWORK.interface];
  const passed = interfaces.includes(NETWORK.interface) && interfaces.every((name) => own.includes(name));
  return result('machine-interfaces', passed, interfaces.join(', '));
}

/** Its own network, and everything else through QEMU. */
function judgeRoutes({ routes }: MachineReport): ProbeResult {
  const defaults = routes.filter((route) => route.startsWith('default '));
  const passed =
    defaults.length > 0 &&
    routes.every((route) => new RegExp(`\\bdev ${NETWORK.interface}\\b`).test(route)) &&
    defaults.every(
      (route) => route.includes(`via ${NETWORK.host4} `) || route.includes(`via ${NETWORK.host6} `),
    );
  return result('machine-routes', passed, routes.join('; '));
}

function ofMachine({ name, passed, detail }: ProbeResult): ProbeResult {
  return result(`machine-${name}`, passed, detail);
}

function result(name: string, passed: boolean, detail: string): ProbeResult {
  return { kind: 'probe', name, passed, detail };
}
