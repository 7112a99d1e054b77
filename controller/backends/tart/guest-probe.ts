/**
 * What a guest of Tart is asked to try before anything runs in it, as a text for its own bash, and what it said of it:
 * connections by bash itself, DNS as bare datagrams, since no guest has to have a program for either. Pure.
 */
import { encodeQuestion } from '../../links/dns-question.ts';
import type { GuestCard } from '../../links/ethernet/guest-cards.ts';
import type { AskObservation, ConnectObservation, ProbePlan } from '../../links/probing.ts';
import { GUEST_FOLDER, quote } from './guest-scripts.ts';

/** Seconds that each attempt gets; all are tried at the same time. */
const ATTEMPT_SECONDS = 5;
/** Of what was answered. */
const ANSWER_BYTES = 256;
const MESSAGE_BYTES = 512;
/** Fifths of a second that the guest's card gets for its lease: the agent can be there before it. */
const LEASE_TURNS = 150;

export interface GuestReport {
  readonly connects: readonly ConnectObservation[];
  readonly asks: readonly AskObservation[];
  readonly interfaces: readonly GuestCard[];
}

/** A line for each attempt, in hexadecimal where the guest says something, and `end`. */
export function probeScript(
  { connect, servers, reservedName, deniedName }: ProbePlan,
  ownAddress: string,
): string {
  const names = [reservedName, deniedName];
  const questions = names.map((name, at) => ({ name, id: at + 1, bytes: encodeQuestion(name, at + 1) }));
  return [
    'exec 2>/dev/null </dev/null',
    `place=${GUEST_FOLDER}/probe; rm -rf $place; mkdir -p $place && cd $place || exit 1`,
    'cards() { if command -v ifconfig >/dev/null; then ifconfig -a; else ip addr; fi; }',
    'turn=0',
    `until cards | grep -q 'inet ${ownAddress.replaceAll('.', '[.]')}[^0-9]' || [ $turn -ge ${LEASE_TURNS} ]; do`,
    '  turn=$((turn + 1)); sleep 0.2',
    'done',
    'hex() { od -An -v -tx1 | tr -d " \\n"; }',
    ...questions.map(
      ({ id, bytes }) => `printf %s '${bytes.toString('base64')}' | base64 --decode > question-${id}`,
    ),
    // What hangs is ended; its answer is what is there by then.
    `limited() { "$@" & local child=$!; (sleep ${ATTEMPT_SECONDS}; kill -9 $child) >/dev/null & local timer=$!; wait $child; kill -9 $timer; }`,
    'connect() {',
    '  exec 5<>"/dev/tcp/$2/$3" || { echo nobody > "$1"; return; }',
    '  echo silent > "$1"',
    `  dd bs=${ANSWER_BYTES} count=1 <&5 | hex > "$1.bytes"; [ ! -s "$1.bytes" ] || echo answered > "$1"`,
    '}',
    'ask() {',
    `  exec 5<>"/dev/udp/$2/$4" && cat question-$3 >&5 && dd bs=${MESSAGE_BYTES} count=1 <&5 | hex > "$1.bytes"`,
    '}',
    ...connect.map(({ address, port }, at) => `limited connect c${at} ${quote(address)} ${port} &`),
    ...servers.flatMap((server, at) =>
      questions.map(
        ({ id }) => `limited ask a${at}-${id} ${placeOf(server).address} ${id} ${placeOf(server).port} &`,
      ),
    ),
    'wait',
    ...connect.map(
      ({ address, port }, at) =>
        `echo "tcp ${address} ${port} $(cat c${at} || echo nobody) $(cat c${at}.bytes)"`,
    ),
    ...servers.flatMap((server, at) =>
      questions.map(({ id, name }) => `echo "ask ${server} ${name} $(cat a${at}-${id}.bytes)"`),
    ),
    "cards | awk '",
    '  /^[0-9]+: / { name = $2; sub(/[:@].*/, "", name); print "interface " name; next }',
    '  /^[a-z]/ { name = $1; sub(/:$/, "", name); print "interface " name; next }',
    '  $1 == "inet" || $1 == "inet6" { address = $2; sub(/^addr:/, "", address); sub(/[\\/%].*/, "", address); print "address " name " " address }',
    "'",
    'cd /; rm -rf $place',
    'echo end',
    '',
  ].join('\n');
}

/** `ADDRESS`, or `ADDRESS#PORT`. */
function placeOf(server: string): { readonly address: string; readonly port: number } {
  const [address = '', port = '53'] = server.split('#');
  return { address: quote(address), port: Number(port) };
}

/** Null where a line does not read, or the last is not there. */
export function parseProbe(text: string): GuestReport | null {
  const lines = text.split('\n').filter((line) => line !== '');
  if (lines.pop() !== 'end' || lines.length > 500) return null;
  const connects: ConnectObservation[] = [];
  const asks: AskObservation[] = [];
  const interfaces = new Map<string, string[]>();
  for (const line of lines) {
    const [kind, first = '', second = '', third = '', fourth = ''] = line.split(' ');
    if (kind === 'tcp' && isOutcome(third)) {
      const outcome = third === 'nobody' ? 'no-connection' : third;
      connects.push({ address: first, port: Number(second), outcome, answer: firstLine(fourth) });
    } else if (kind === 'ask') asks.push({ server: first, name: second, ...readAnswer(third) });
    else if (kind === 'interface') interfaces.set(first, interfaces.get(first) ?? []);
    else if (kind === 'address') interfaces.get(first)?.push(second);
    else return null;
  }
  return {
    connects,
    asks,
    interfaces: [...interfaces].map(([name, addresses]) => ({ name, addresses })),
  };
}

function isOutcome(text: string): text is 'nobody' | 'silent' | 'answered' {
  return text === 'nobody' || text === 'silent' || text === 'answered';
}

function firstLine(hex: string): string {
  return Buffer.from(hex, 'hex').toString('latin1').split('\n')[0] ?? '';
}

type Answer = Pick<AskObservation, 'outcome' | 'addresses'>;

/** Of one message. Fail closed: what does not read is an answer of somebody else's, and no address of the gateway's. */
function readAnswer(hex: string): Answer {
  const bytes = Buffer.from(hex, 'hex');
  if (bytes.length === 0) return { outcome: 'timeout', addresses: [] };
  if (bytes.length < 12) return { outcome: 'answered', addresses: [] };
  const code = (bytes[3] ?? 0) & 0xf;
  if (code === 3) return { outcome: 'not-found', addresses: [] };
  if (code !== 0) return { outcome: 'refused', addresses: [] };
  const addresses = readAddresses(bytes);
  return { outcome: addresses.length === 0 ? 'not-found' : 'answered', addresses };
}

/** Of the records in the answer that are an A; bounded by the message. */
function readAddresses(bytes: Buffer): readonly string[] {
  const addresses: string[] = [];
  let at = pastName(bytes, 12) + 4;
  for (let left = bytes.readUInt16BE(6); left > 0 && at + 12 <= bytes.length; left--) {
    at = pastName(bytes, at);
    if (at + 10 > bytes.length) break;
    const [type, length] = [bytes.readUInt16BE(at), bytes.readUInt16BE(at + 8)];
    const data = bytes.subarray(at + 10, at + 10 + length);
    if (type === 1 && data.length === 4) addresses.push([...data].join('.'));
    at += 10 + length;
  }
  return addresses;
}

function pastName(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length) {
    const length = bytes[at] ?? 0;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2;
    at += 1 + length;
  }
  return at;
}
