/**
 * What was seen → held, open or untold, with what happened. Pure. What the host saw by itself counts first, whatever the
 * guest says of it; what nobody saw to be shut is untold, which is no better than open.
 */
import type { AuditEvent } from '../../audit/event.ts';
import type { RelayObservation } from '../links/relay/relay-program.ts';
import type { Attack, Evidence, Judged, Must, Row, Where } from './attack.ts';
import { ERRNO, formatErrno } from './errno.ts';
import { isWithinPrefix } from './frames.ts';
import { ANNOUNCED_PREFIX } from './machine-attacks.ts';
import { judgeInterfaces, judgePrivileges, judgeRoutes } from './network-judgement.ts';
import { held, open, untold } from './verdicts.ts';

interface Case<Kind extends Must['kind'] = Must['kind']> {
  readonly must: Extract<Must, { kind: Kind }>;
  /** Of this attack. */
  readonly seen: readonly RelayObservation[];
  readonly evidence: Evidence;
  readonly where: Where;
  /** Whether the guest has no network but the one that leads to the gateway, by its own kernel's word. */
  readonly isShutIn: boolean;
}

export function judge(attacks: readonly Attack[], evidence: Evidence, where: Where): readonly Row[] {
  const isShutIn = attacks.some(
    ({ id, must }) =>
      must.kind === 'interfaces' &&
      judgeInterfaces(evidence.observations?.get(id) ?? [], where).verdict === 'held',
  );
  return attacks.map((attack) => {
    const judged = judgeAttack(attack, evidence, where, isShutIn);
    return { id: attack.id, tried: attack.tried, must: attack.isBinding, ...judged };
  });
}

/** 0 where everything that has to hold held, else 1. Fail closed: no rows are no proof. */
export function exitCodeOf(rows: readonly Row[]): 0 | 1 {
  return rows.length > 0 && rows.every(({ verdict, must }) => verdict === 'held' || !must) ? 0 : 1;
}

function judgeAttack(attack: Attack, evidence: Evidence, where: Where, isShutIn: boolean): Judged {
  const visit = evidence.host.visits.find(({ place }) => attack.aims.includes(place));
  if (visit !== undefined) return open(`this host was reached: ${visit.place}, from ${visit.from}`);
  const said = evidence.observations?.get(attack.id);
  const broken = brokenFile(attack.must, evidence);
  if (broken !== null) return open(broken);
  const leaked = leakOf(attack.must, evidence);
  if (leaked !== null) return open(leaked);
  // Fail closed: what nobody answers for was not tried.
  if (attack.attempt !== null && said === undefined) return untold('the guest said nothing of it');
  return judgeSeen({ must: attack.must, seen: said ?? [], evidence, where, isShutIn });
}

function judgeSeen(asked: Case): Judged {
  const { must, seen, evidence, where } = asked;
  const [first] = seen;
  switch (must.kind) {
    case 'unreachable':
      return judgeUnreachable({ ...asked, must });
    case 'unasked':
      return judgeUnasked({ ...asked, must });
    case 'unsent':
      return judgeUnsent({ ...asked, must });
    case 'refused':
      return judgeRefused({ ...asked, must });
    case 'served':
      return judgeServed({ ...asked, must });
    case 'judged':
      return judgeClaim({ ...asked, must });
    case 'fails':
    case 'intact':
      return judgeFailing(first, must.absent);
    case 'unbelieved':
      return judgeFailing(first, [ERRNO.ENOSYS]);
    case 'works':
      return judgeWorking(first);
    case 'restored':
      return judgeRestored(first);
    case 'uncopied':
      return judgeUncopied(first, evidence.host.clipboard);
    case 'unserved':
      return judgeUnserved(first);
    case 'interfaces':
      return judgeInterfaces(seen, where);
    case 'routes':
      return judgeRoutes(seen, where);
    case 'privileges':
      return judgePrivileges(seen, where);
    case 'probes':
      return judgeProbes(evidence.events);
    case 'log':
      return evidence.logProblem === null
        ? held('whole, from its first line to its seal')
        : untold(evidence.logProblem);
    case 'unvisited':
      return judgeUnvisited(evidence);
  }
}

/** Seen on the host's own disk. */
function brokenFile(must: Must, { host }: Evidence): string | null {
  if (must.kind !== 'intact' && must.kind !== 'restored') return null;
  // Fail closed: a file that was not looked at is not known to be as it was.
  const wrong = host.files.has(must.file) ? host.files.get(must.file) : 'it was not looked at';
  return wrong == null ? null : `${must.file} on the host: ${wrong}`;
}

/** Seen at the host's own servers. */
function leakOf(must: Must, { host }: Evidence): string | null {
  if (
    must.kind === 'unasked' &&
    host.questions.some((name) => name.toLowerCase() === must.name.toLowerCase())
  )
    return 'the question left the guest: the host\u2019s resolver was asked';
  if (must.kind === 'unsent' && host.received.some((text) => text.includes(must.text)))
    return 'the bytes arrived at a server that they were not judged for';
  if (must.kind === 'refused' && host.received.some((text) => text.includes(must.host)))
    return 'the denied request arrived at a server';
  if (must.kind === 'uncopied' && host.clipboard?.includes(must.text)) return 'it is on your clipboard now';
  const believed = host.addresses.find((address) => isWithinPrefix(address, ANNOUNCED_PREFIX));
  if (must.kind === 'unbelieved' && believed !== undefined) return `this host took the address ${believed}`;
  if (must.kind === 'unserved' && host.servedAt.length > 0)
    return `the guest\u2019s server answered at ${host.servedAt.join(', ')} of this host`;
  return null;
}

function judgeUnreachable({ must, seen, evidence, isShutIn, where }: Case<'unreachable'>): Judged {
  const [first] = seen;
  const reason = rawRefusal(evidence.events, must);
  if (wasNotTried(first)) return untold(NOT_TRIED);
  if (first?.kind === 'try' && first.outcome === 'worked') return open('somebody answered');
  const isRefused =
    first?.kind === 'try'
      ? first.outcome === 'failed'
      : first?.kind === 'tcp' && first.outcome !== 'died' && first.outcome !== 'timeout';
  if (reason !== null && isRefused) return held(`refused, on record (${reason})`);
  if (first?.kind === 'tcp' && (first.outcome === 'answered' || first.outcome === 'silent'))
    return open(
      `${first.outcome === 'answered' ? 'somebody answered' : 'somebody took the connection'}, and no refusal is on record`,
    );
  const isUnanswered =
    first?.kind === 'tcp' ? first.outcome === 'nobody' : first?.kind === 'try' && first.outcome === 'failed';
  if (!isUnanswered) return untold('it did not end in time, and no refusal is on record');
  if (isShutIn)
    return held(
      `nobody answered: ${where.link === 'relay' ? 'it has loopback alone' : 'its one cable ends here'}`,
    );
  return untold('nobody answered, but nothing shows that the guest has no other network');
}

function judgeUnasked({ must, seen, evidence, isShutIn }: Case<'unasked'>): Judged {
  const [first] = seen;
  const record = evidence.events.find(
    (event) => event.kind === 'dns' && event.name.toLowerCase() === must.name.toLowerCase(),
  );
  if (wasNotTried(first)) return untold(NOT_TRIED);
  if (first?.kind === 'ask' && first.outcome === 'answered')
    return open(`answered with ${first.addresses.join(' ')}`);
  if (first?.kind === 'try' && first.outcome === 'worked') return open('it was answered');
  if (record?.kind === 'dns' && record.disposition !== 'forwarded' && record.verdict === 'deny')
    return held(`refused, on record (${record.reason})`);
  if (record !== undefined) return open('the gateway did not refuse it');
  const isUnanswered =
    first?.kind === 'ask'
      ? first.outcome === 'refused'
      : first?.kind === 'try'
        ? first.outcome === 'failed'
        : first?.kind === 'send' && first.outcome === 'nobody';
  if (isUnanswered && isShutIn) return held('nobody answered');
  if (first?.kind === 'ask' && first.outcome === 'not-found')
    return open('somebody else than the gateway answered that there is no such name');
  if (first?.kind === 'send' && first.outcome === 'answered')
    return open('somebody else than the gateway answered');
  return untold('no answer, and no refusal is on record');
}

/** sand's own refusals: a page with its reason, a fatal alert of TLS, or an end without a word. */
const REFUSAL = /^HTTP\/1\.1 (400|403|405|421|501) .*\(sand: ([a-z-]+)\)/;
const ALERT = /^\\x15\\x03/;

function judgeUnsent({ must, seen }: Case<'unsent'>): Judged {
  const [first] = seen;
  if (first?.kind !== 'send') return untold('the guest did not say what came of it');
  const [, , reason] = REFUSAL.exec(first.answer) ?? [];
  if (reason !== undefined) return held(`refused by the gateway (${reason})`);
  if (first.outcome === 'answered' && ALERT.test(first.answer))
    return held('refused by the gateway (a TLS alert)');
  if (must.end === 'any' && first.outcome === 'silent') return held('ended without a byte for it');
  if (must.end === 'any' && first.outcome === 'answered' && first.answer.startsWith('HTTP/1.1 200 '))
    return held('the tunnel ended, no byte of it arrived');
  if (first.outcome === 'nobody') return untold('the gateway was not reached');
  if (first.outcome === 'answered') return open(`answered: ${first.answer.slice(0, 60)}`);
  return untold(first.outcome === 'silent' ? 'ended without a reason' : 'it did not end in time');
}

function judgeRefused({ must, seen, evidence }: Case<'refused'>): Judged {
  const [first] = seen;
  const [, , said] = REFUSAL.exec(first?.kind === 'send' ? first.answer : '') ?? [];
  const isOnRecord = evidence.events.some(
    (event) =>
      event.kind === 'connection' &&
      event.disposition === 'refused' &&
      event.host === must.host &&
      event.reason === must.reason,
  );
  if (said === must.reason && isOnRecord) return held(`refused, on record (${must.reason})`);
  if (said === undefined) return untold('the guest was told no reason, so its other failures prove nothing');
  return untold(`refused (${said}), and ${isOnRecord ? 'the log says otherwise' : 'that is not on record'}`);
}

function judgeServed({ must, seen, evidence }: Case<'served'>): Judged {
  const [first] = seen;
  const hasArrived = evidence.host.received.some((text) => text.includes(must.text));
  const isAnswered = first?.kind === 'send' && first.outcome === 'answered';
  if (hasArrived && isAnswered) return held('it arrived, and its answer came back');
  const answer = isAnswered ? `: ${first.answer.slice(0, 60)}` : '';
  return untold(
    `it ${hasArrived ? 'arrived without an answer' : 'did not arrive'}, so the guest can try nothing${answer}`,
  );
}

function judgeClaim({ must, seen, evidence }: Case<'judged'>): Judged {
  const [first] = seen;
  const reason = rawRefusal(evidence.events, { transport: 'tcp', ...must });
  if (reason !== null) return held(`refused, on record (${reason})`);
  if (first?.kind !== 'try') return untold('the guest did not say what came of it');
  if (first.outcome === 'worked') return open('somebody answered, and no refusal is on record');
  const isRefused =
    first.outcome === 'failed' && first.errno !== ERRNO.ENOENT && first.errno !== ERRNO.ETIMEDOUT;
  return isRefused ? held('the gateway ended the connection') : untold('the gateway was not reached');
}

function judgeFailing(first: RelayObservation | undefined, absent: readonly number[]): Judged {
  if (first?.kind !== 'try') return untold('the guest did not say what came of it');
  if (first.outcome === 'worked') return open('it worked');
  if (first.outcome !== 'failed')
    return untold(first.outcome === 'died' ? 'the attempt was killed' : 'it did not end in time');
  if (wasNotTried(first)) return untold(NOT_TRIED);
  if (absent.includes(first.errno))
    return untold(`there was nothing to try it on (${formatErrno(first.errno)})`);
  if (first.errno === ERRNO.ENOKEY) return held('it is not there');
  if (first.errno === ERRNO.ETIMEDOUT) return held('nobody answered');
  return held(`it failed (${formatErrno(first.errno)})`);
}

const NOT_TRIED = 'the guest could not try it';

/** A guest that lacks what it takes. No attack of those that can be refused with it says ENOSYS of itself. */
function wasNotTried(first: RelayObservation | undefined): boolean {
  return first?.kind === 'try' && first.outcome === 'failed' && first.errno === ERRNO.ENOSYS;
}

function judgeWorking(first: RelayObservation | undefined): Judged {
  if (first?.kind === 'try' && first.outcome === 'worked') return held('it works');
  return untold('it does not work, so the guest can try nothing that needs it');
}

/** The file on the host has been looked at: it is as it was. */
function judgeRestored(first: RelayObservation | undefined): Judged {
  if (first?.kind !== 'try') return untold('the guest did not say what came of it');
  if (first.outcome === 'worked') return held('written while the guest ran, and put back when it had ended');
  return judgeFailing(first, [ERRNO.ENOENT]);
}

/** Fail closed: a clipboard that nobody looked at may have anything. */
function judgeUncopied(first: RelayObservation | undefined, clipboard: string | null): Judged {
  if (first?.kind !== 'try') return untold('the guest did not say what came of it');
  if (first.outcome === 'failed' && first.errno === ERRNO.ENODEV) return held('its system has no clipboard');
  if (first.outcome !== 'worked') return untold(NOT_TRIED);
  return clipboard === null
    ? untold('your clipboard could not be looked at')
    : held('nothing of it is on yours');
}

function judgeUnserved(first: RelayObservation | undefined): Judged {
  if (first?.kind !== 'try') return untold('the guest did not say what came of it');
  if (first.outcome === 'worked') return open('somebody came to the guest\u2019s server');
  if (first.outcome === 'failed' && first.errno === ERRNO.ENOTCONN)
    return held('nobody but the guest itself came');
  return untold('the guest could not serve, so nobody could come');
}

function judgeProbes(events: readonly AuditEvent[]): Judged {
  const probes = events.flatMap((event) => (event.kind === 'probe' ? [event] : []));
  const failed = probes.filter(({ passed }) => !passed);
  if (failed.length > 0) return open(failed.map(({ name, detail }) => `${name}: ${detail}`).join('; '));
  return probes.length > 0 ? held(`all ${probes.length} passed`) : untold('none is on record');
}

function judgeUnvisited({ host }: Evidence): Judged {
  const [first] = host.visits;
  if (first === undefined) return held('nobody came to any of them');
  return open(`${host.visits.length} came, first ${first.place} from ${first.from}`);
}

/** Of something raw: neither by the proxy nor by a name. */
function rawRefusal(
  events: readonly AuditEvent[],
  {
    transport,
    address,
    port,
  }: { readonly transport: string; readonly address: string; readonly port: number },
): string | null {
  const found = events.find(
    (event) =>
      (event.kind === 'unplanted' ||
        (event.kind === 'connection' && event.via === 'transparent' && transport === 'tcp')) &&
      event.disposition === 'refused' &&
      (event.kind === 'connection' || event.transport === transport) &&
      event.host.replace(/^\[(.*)\]$/, '$1') === address &&
      (event.port === port || transport === 'icmp'),
  );
  return found !== undefined && 'reason' in found ? (found.reason ?? null) : null;
}
