/**
 * Events in the Open Cybersecurity Schema Framework, one JSON object a line: DNS, HTTP and Network Activity with the
 * profiles `security_control` and `host`; what asks for nothing is a Base Event. Decides classes, activities and
 * severities. Pure.
 */
import { parseAddress } from '../../policies/address.ts';
import { escapeJson } from '../escape.ts';
import type { AuditEvent, DecisionFacts, ProcessFact } from '../event.ts';
import { describeEvent } from '../event-text.ts';
import { type RowVerdict, rowVerdict } from '../summary.ts';
import type { EventEncoder, RunStartEvent } from './encoder.ts';

export const OCSF_VERSION = '1.8.0';

type Json = Readonly<Record<string, unknown>>;

interface OcsfClass {
  readonly uid: number;
  readonly name: string;
  readonly category: readonly [number, string];
}

const NETWORK_CATEGORY = [4, 'Network Activity'] as const;
const CLASSES = {
  network: { uid: 4001, name: 'Network Activity', category: NETWORK_CATEGORY },
  http: { uid: 4002, name: 'HTTP Activity', category: NETWORK_CATEGORY },
  dns: { uid: 4003, name: 'DNS Activity', category: NETWORK_CATEGORY },
  base: { uid: 0, name: 'Base Event', category: [0, 'Uncategorized'] },
} as const satisfies Record<string, OcsfClass>;

const SEVERITIES: Readonly<Record<number, string>> = { 1: 'Informational', 2: 'Low', 3: 'Medium', 4: 'High' };

type Activity = readonly [number, string];
const OTHER: Activity = [99, 'Other'];
const OPEN: Activity = [1, 'Open'];
const CLOSE: Activity = [2, 'Close'];
const FAIL: Activity = [4, 'Fail'];
const REFUSE: Activity = [5, 'Refuse'];
const DNS_TRAFFIC: Activity = [6, 'Traffic'];

const HTTP_ACTIVITIES: Readonly<Record<string, Activity>> = {
  CONNECT: [1, 'Connect'],
  DELETE: [2, 'Delete'],
  GET: [3, 'Get'],
  HEAD: [4, 'Head'],
  OPTIONS: [5, 'Options'],
  POST: [6, 'Post'],
  PUT: [7, 'Put'],
  TRACE: [8, 'Trace'],
  PATCH: [9, 'Patch'],
};

/** Severity, status, action and disposition of each verdict; a failure is the world's, and was allowed. */
const CONTROLS: Readonly<Record<RowVerdict, Json>> = {
  denied: { ...severity(3), ...failure(), action_id: 2, action: 'Denied', ...disposition(2, 'Blocked') },
  'would-be-denied': {
    ...severity(2),
    ...success(),
    action_id: 3,
    action: 'Observed',
    ...disposition(15, 'Detected'),
  },
  failed: { ...severity(2), ...failure(), action_id: 1, action: 'Allowed', ...disposition(1, 'Allowed') },
  allowed: { ...severity(1), ...success(), action_id: 1, action: 'Allowed', ...disposition(1, 'Allowed') },
};

export function createOcsfEncoder(): EventEncoder {
  let start: RunStartEvent | null = null;
  return {
    begin: () => '',
    event(event) {
      if (event.kind === 'run-start') start = event;
      return `${escapeJson(JSON.stringify(ocsfEvent(event, start)))}\n`;
    },
    end: () => '',
  };
}

/** `start` is what the log began with; null where it is cut. */
export function ocsfEvent(event: AuditEvent, start: RunStartEvent | null): Json {
  switch (event.kind) {
    case 'dns':
      return dnsEvent(event, start);
    case 'connection':
      return event.method === undefined ? streamEvent(event, start) : httpEvent(event, start);
    case 'unplanted': {
      const own = { dst_endpoint: endpointOf(event.host, event.port), ...countOf(event) };
      const network = { connection_info: outbound(event.transport) };
      return frame(event, start, CLASSES.network, REFUSE, { ...decided(event, start), ...network, ...own });
    }
    case 'close':
      return closeEvent(event, start);
    case 'inbound':
      return inboundEvent(event, start);
    default: {
      const isBad = event.kind === 'probe' && !event.passed;
      const level = severity(isBad ? 4 : event.kind === 'notice' ? 2 : 1);
      const { prev: _prev, ...rest } = event;
      return frame(event, start, CLASSES.base, OTHER, { ...level, unmapped: rest });
    }
  }
}

type EventOf<K extends AuditEvent['kind']> = Extract<AuditEvent, { kind: K }>;

function dnsEvent(event: EventOf<'dns'>, start: RunStartEvent | null): Json {
  const { name, type, rcode, answer = [], transport } = event;
  return frame(event, start, CLASSES.dns, DNS_TRAFFIC, {
    ...decided(event, start),
    query: { hostname: name, type, class: 'IN', opcode_id: 0, opcode: 'Query' },
    ...(answer.length === 0 ? {} : { answers: answer.map((rdata) => ({ rdata, type, class: 'IN' })) }),
    ...rcodeOf(rcode),
    query_time: Date.parse(event.time),
    // The resolver that answered: the guest's only one.
    dst_endpoint: { name: 'sand', svc_name: 'dns' },
    connection_info: outbound(transport),
    ...countOf(event),
  });
}

function streamEvent(event: EventOf<'connection'>, start: RunStartEvent | null): Json {
  const verdict = rowVerdict(event);
  const activity = verdict === 'denied' ? REFUSE : verdict === 'failed' ? FAIL : OPEN;
  return frame(event, start, CLASSES.network, activity, {
    ...decided(event, start),
    dst_endpoint: {
      ...endpointOf(event.host, event.port, event.address),
      ...(event.protocol === null ? {} : { svc_name: event.protocol }),
    },
    connection_info: { ...outbound('tcp'), uid: String(event.connection) },
    ...countOf(event),
    unmapped: { via: event.via, sni: event.sni, alpn: event.alpn, muted: event.muted },
  });
}

function httpEvent(event: EventOf<'connection'>, start: RunStartEvent | null): Json {
  const { host, port, method = '', path = '/' } = event;
  const authority = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const url = { scheme: 'http', hostname: host, port, path, url_string: `http://${authority}${path}` };
  return frame(event, start, CLASSES.http, HTTP_ACTIVITIES[method] ?? OTHER, {
    ...decided(event, start),
    http_request: { http_method: method, url },
    dst_endpoint: endpointOf(host, port, event.address),
    connection_info: { ...outbound('tcp'), uid: String(event.connection) },
    ...countOf(event),
    unmapped: { via: event.via, muted: event.muted },
  });
}

function closeEvent(event: EventOf<'close'>, start: RunStartEvent | null): Json {
  const { bytesOut, bytesIn, durationMs, reason, detail, status } = event;
  return frame(event, start, CLASSES.network, CLOSE, {
    ...(reason === undefined ? { ...severity(1), ...success() } : { ...severity(2), ...failure() }),
    status_code: reason ?? (status === undefined ? undefined : String(status)),
    status_detail: detail,
    src_endpoint: guestEndpoint(event, start),
    dst_endpoint: endpointOf(event.host, event.port, event.address),
    traffic: { bytes: bytesOut + bytesIn, bytes_out: bytesOut, bytes_in: bytesIn },
    duration: durationMs,
    start_time: Date.parse(event.time) - durationMs,
    end_time: Date.parse(event.time),
    connection_info: { ...outbound('tcp'), uid: String(event.connection) },
  });
}

/** The log's close of such a connection does not say that it came in; its number does. */
function inboundEvent(event: EventOf<'inbound'>, start: RunStartEvent | null): Json {
  const { peer, address, port, guestPort, disposition: done, reason, detail } = event;
  const isForwarded = done === 'forwarded';
  const from = peer.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
  const fromPort = Number(/:(\d+)$/.exec(peer)?.[1] ?? Number.NaN);
  return frame(event, start, CLASSES.network, isForwarded ? OPEN : REFUSE, {
    ...(isForwarded ? { ...severity(1), ...success() } : { ...severity(2), ...failure() }),
    status_code: reason,
    status_detail: detail,
    ...(peer === '' ? {} : { src_endpoint: endpointOf(from, fromPort) }),
    dst_endpoint: { ...guestEndpoint(event, start), ip: address, port },
    connection_info: {
      ...{ direction_id: 1, direction: 'Inbound', protocol_name: 'tcp', protocol_num: 6 },
      uid: String(event.connection),
    },
    ...countOf(event),
    unmapped: { guest_port: guestPort },
  });
}

/** What every event has. */
function frame(
  event: AuditEvent,
  start: RunStartEvent | null,
  { uid, name, category }: OcsfClass,
  [activityId, activity]: Activity,
  more: Json,
): Json {
  const run = start?.run ?? event.guest;
  const profiles = ['security_control', ...('actor' in more ? ['host'] : [])];
  return {
    class_uid: uid,
    class_name: name,
    category_uid: category[0],
    category_name: category[1],
    activity_id: activityId,
    activity_name: activity,
    type_uid: uid * 100 + activityId,
    type_name: `${name}: ${activity}`,
    time: Date.parse(event.time),
    message: describeEvent(event),
    metadata: {
      version: OCSF_VERSION,
      product: { name: 'sand', vendor_name: 'sand', version: start?.sand },
      profiles,
      uid: `${run}#${event.seq}`,
      sequence: event.seq,
      event_code: event.kind,
      log_name: 'audit',
      original_time: event.time,
      correlation_uid: run,
    },
    ...more,
  };
}

/** What every decision has. */
function decided(
  event: DecisionFacts & AuditEvent & { readonly process?: ProcessFact },
  start: RunStartEvent | null,
): Json {
  const { rule, policy, reason, detail, process } = event;
  return {
    ...CONTROLS[rowVerdict(event)],
    ...(event.muted === true ? severity(1) : {}),
    status_code: reason,
    status_detail: detail,
    policy: { uid: policy, name: start?.policy.name, is_applied: start?.policy.mode !== 'report' },
    ...(rule === null ? {} : { firewall_rule: { uid: rule.id, name: rule.id, desc: rule.because } }),
    ...(process === undefined ? {} : { actor: { process: { pid: process.pid, cmd_line: process.command } } }),
    src_endpoint: guestEndpoint(event, start),
  };
}

function guestEndpoint({ guest }: AuditEvent, start: RunStartEvent | null): Json {
  return { uid: start?.run ?? guest, name: start?.name ?? guest, type_id: 6, type: 'Virtual' };
}

function endpointOf(host: string, port: number, address?: string): Json {
  const own = parseAddress(host).ok ? { ip: host } : { hostname: host };
  return { ...own, ...(address === undefined ? {} : { ip: address }), ...portOf(port) };
}

/** ICMP has none, and what does not parse has none that is one. */
function portOf(port: number): Json {
  return port >= 1 && port <= 65_535 ? { port } : {};
}

const PROTOCOL_NUMBERS: Readonly<Record<string, number>> = { icmp: 1, tcp: 6, udp: 17 };

function outbound(transport: string): Json {
  const number = PROTOCOL_NUMBERS[transport];
  const protocol = number === undefined ? {} : { protocol_name: transport, protocol_num: number };
  return { direction_id: 2, direction: 'Outbound', ...protocol };
}

/** Of a line that stands for a flood. */
function countOf(event: { readonly count?: number; readonly time: string }): Json {
  const atMs = Date.parse(event.time);
  const isSeveral = event.count !== undefined && event.count > 1;
  return isSeveral ? { count: event.count, start_time: atMs, end_time: atMs } : {};
}

const RCODES: Readonly<Record<string, Activity>> = {
  NOERROR: [0, 'NoError'],
  FORMERR: [1, 'FormError'],
  SERVFAIL: [2, 'ServError'],
  NXDOMAIN: [3, 'NXDomain'],
  NOTIMP: [4, 'NotImp'],
  REFUSED: [5, 'Refused'],
};

function rcodeOf(rcode: string): Json {
  const [id, caption] = RCODES[rcode] ?? [99, rcode];
  return { rcode_id: id, rcode: caption };
}

function severity(id: 1 | 2 | 3 | 4): Json {
  return { severity_id: id, severity: SEVERITIES[id] };
}

function success(): Json {
  return { status_id: 1, status: 'Success' };
}

function failure(): Json {
  return { status_id: 2, status: 'Failure' };
}

function disposition(id: number, caption: string): Json {
  return { disposition_id: id, disposition: caption };
}
