/** A name server of one case: what it says to each question, forgeries and broken messages among it. */

import { TYPES } from '../../dns/message.ts';
import { addressBits } from '../../policies/address.ts';
import { askedName, askedType, type RecordShape, reply, u16, wireName } from '../dns/messages.ts';
import type { Script } from '../dns/world.ts';
import { addressOf } from '../proxy/rig.ts';
import type { ZoneAnswer } from './catalogue.ts';

const NXDOMAIN = 3;

/** `asked` collects the names. Keys of a zone are `NAME TYPE`; a name without any key does not exist. */
export function zoneScript(zone: Readonly<Record<string, ZoneAnswer>>, asked: string[]): Script {
  const turns = new Map<string, number>();
  return (bytes, transport) => {
    const name = askedName(bytes).toLowerCase();
    asked.push(name);
    const key = `${name} ${typeName(askedType(bytes))}`;
    const said = zone[key];
    if (said === undefined) {
      const exists = Object.keys(zone).some((other) => other.startsWith(`${name} `));
      return [reply(bytes, { rcode: exists ? 0 : NXDOMAIN })];
    }
    if (Array.isArray(said)) return [reply(bytes, { answers: said.map((text) => recordOf(name, text)) })];
    if (said.silent === true) return [];
    const turn = turns.get(key) ?? 0;
    turns.set(key, turn + 1);
    const lines = said.turns?.[Math.min(turn, said.turns.length - 1)] ?? said.answers ?? [];
    const truncated = said.truncated === true && transport === 'udp';
    const answers = truncated ? [] : lines.map((text) => recordOf(name, text));
    const whole = withRaw(reply(bytes, { answers, rcode: said.rcode ?? 0, truncated }), said);
    return said.forge === undefined ? [whole] : [forgery(bytes, said.forge), whole];
  };
}

function typeName(type: number): string {
  return Object.entries(TYPES).find(([, code]) => code === type)?.[0] ?? `TYPE${type}`;
}

function withRaw(message: Buffer, { raw, count }: Exclude<ZoneAnswer, readonly string[]>): Buffer {
  const whole = raw === undefined ? message : Buffer.concat([message, fromHex(raw)]);
  if (count !== undefined) whole.writeUInt16BE(count, 6);
  return whole;
}

/** A datagram that answers with an address of the forger's, and gets one thing wrong. */
function forgery(asked: Buffer, wrong: 'id' | 'question' | 'query'): Buffer {
  const answers = [recordOf(askedName(asked), 'A 203.0.113.66 300')];
  if (wrong === 'id') return reply(asked, { answers, id: asked.readUInt16BE(0) ^ 1 });
  if (wrong === 'question') {
    return reply(asked, { answers, question: Buffer.concat([wireName('evil.example'), u16(1, 1)]) });
  }
  const message = reply(asked, { answers });
  message.writeUInt16BE(message.readUInt16BE(2) & 0x7fff, 2);
  return message;
}

/** `[OWNER] TYPE DATA [TTL]`; data of other types than A, AAAA and CNAME is hex. */
function recordOf(asked: string, text: string): RecordShape {
  const words = text.split(' ');
  const isType = (word: string | undefined) =>
    word !== undefined && (word in TYPES || /^TYPE\d+$/.test(word));
  const [name = '', type = '', data = '', ttl = '60'] = isType(words[0]) ? [asked, ...words] : words;
  const code = type in TYPES ? TYPES[type as keyof typeof TYPES] : Number(type.slice(4));
  return { name, type: code, ttl: Number(ttl), data: dataOf(type, data) };
}

function dataOf(type: string, data: string): Buffer {
  if (type === 'CNAME') return wireName(data);
  if (type !== 'A' && type !== 'AAAA') return fromHex(data);
  const { family, bits } = addressBits(addressOf(data));
  return Buffer.from(bits.toString(16).padStart(family === 4 ? 8 : 32, '0'), 'hex');
}

export function fromHex(text: string): Buffer {
  return Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
}
