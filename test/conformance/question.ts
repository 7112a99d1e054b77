/** Asks the resolver of a case one question and holds the answer to what the case expects. */
import { expect } from 'vitest';
import { RCODES, TYPES } from '../../dns/message.ts';
import { query, readResponse } from '../dns/messages.ts';
import { askDatagram, askStream, framed } from '../dns/world.ts';
import type { Ask } from './catalogue.ts';
import { fromHex } from './zone.ts';

export interface DnsPorts {
  readonly guest: number;
  readonly stream: number;
  readonly host: number;
}

/** The addresses of the answer; null where silence was expected. */
export async function askName(asked: Ask, ports: DnsPorts): Promise<readonly string[] | null> {
  const message = messageOf(asked);
  let bytes: Buffer | null = null;
  for (let turn = 0; turn < (asked.times ?? 1); turn += 1) {
    if (asked.over === 'tcp') bytes = (await askStream(ports.stream, framed(message), 1))[0] ?? null;
    else
      bytes = await askDatagram(
        asked.as === 'host' ? ports.host : ports.guest,
        message,
        asked.silent ? 200 : 5_000,
      );
  }
  if (asked.silent === true) {
    expect(bytes).toBeNull();
    return null;
  }
  if (bytes === null) throw new Error(`no answer to ${JSON.stringify(asked)}`);
  if (asked.over !== 'tcp') expect(bytes.length).toBeLessThanOrEqual(1_232);
  const response = readResponse(bytes);
  expect(response.id).toBe(message.readUInt16BE(0));
  const extended = asked.ednsVersion !== undefined && asked.ednsVersion > 0 && response.rcode === 0;
  const rcode = extended
    ? 'BADVERS'
    : Object.entries(RCODES).find(([, code]) => code === response.rcode)?.[0];
  const answers = response.answers.map(({ data }) => data);
  expect({ rcode, count: answers.length }).toMatchObject({
    ...(asked.rcode === undefined ? {} : { rcode: asked.rcode }),
    ...(asked.answer === undefined ? {} : { count: asked.answer.length }),
  });
  for (const [at, wanted] of (asked.answer ?? []).entries()) {
    if (/^\/.*\/$/.test(wanted)) expect(answers[at]).toMatch(new RegExp(wanted.slice(1, -1)));
    else expect(answers[at]).toBe(wanted);
  }
  return answers;
}

function messageOf(asked: Ask): Buffer {
  if (asked.hex !== undefined) return fromHex(asked.hex);
  const type = asked.type ?? 'A';
  return query(asked.name ?? 'a.example', {
    type: typeof type === 'number' ? type : TYPES[type as keyof typeof TYPES],
    ...(asked.class === undefined ? {} : { class: asked.class }),
    ...(asked.flags === undefined ? {} : { flags: asked.flags }),
    ...(asked.edns === undefined ? {} : { edns: asked.edns }),
    ...(asked.ednsVersion === undefined ? {} : { ednsVersion: asked.ednsVersion }),
    ...(asked.counts === undefined ? {} : { counts: asked.counts }),
    ...(asked.tail === undefined ? {} : { tail: fromHex(asked.tail) }),
  });
}
