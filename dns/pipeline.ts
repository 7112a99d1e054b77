/**
 * One DNS message in, one out, the same for every transport: inspection on raw bytes, the codec's own reading as a
 * cross-check, the handler's answer, cut to size. The codec is handed in; sockets are `server.ts`'s.
 */
import type { QueryOrigin } from './context.ts';
import type { Answer, Question } from './message.ts';
import type { QueryHandler } from './resolver.ts';
import { datagramLimit, encodeBare, fitDatagram, inspectQuery, type QueryFault } from './wire.ts';

/** `P` is the codec's parsed message. */
export interface Codec<P> {
  /** May throw. It only ever sees messages that passed inspection. */
  parse(message: Buffer): P;
  /** Whether the codec read the very question that inspection read, and nothing it could not decode. */
  agrees(packet: P, question: Question): boolean;
  encode(packet: P, question: Question, answer: Answer): Buffer;
}

export type Screened =
  | { readonly kind: 'drop' }
  | { readonly kind: 'reply'; readonly bytes: Buffer }
  | { readonly kind: 'question'; readonly question: Question };

export interface Pipeline<P> {
  screen(message: Buffer, origin: QueryOrigin): Screened;
  /** Answers what was screened and parsed. Never rejects. */
  answer(packet: P, question: Question, origin: QueryOrigin): Promise<Buffer>;
  /** All of it; null where nothing goes back. Never rejects. */
  respond(message: Buffer, origin: QueryOrigin): Promise<Buffer | null>;
}

export function createPipeline<P>(handler: QueryHandler, codec: Codec<P>): Pipeline<P> {
  function screen(message: Buffer, origin: QueryOrigin): Screened {
    const inspection = inspectQuery(message);
    if (inspection.kind === 'drop') return { kind: 'drop' };
    if (inspection.kind === 'query') return { kind: 'question', question: inspection.question };
    handler.recordFault(inspection.fault, origin);
    return { kind: 'reply', bytes: encodeBare(inspection.fault) };
  }

  async function answer(packet: P, question: Question, origin: QueryOrigin): Promise<Buffer> {
    if (!codec.agrees(packet, question)) return disagree(question, origin);
    try {
      const encoded = codec.encode(packet, question, await handler.answer(question, origin));
      return origin.transport === 'udp' ? fitDatagram(encoded, question, datagramLimit(question)) : encoded;
    } catch {
      // Fail closed: an answer that cannot be made is a failure, not silence.
      return encodeBare({ ...bareOf(question), rcode: 'SERVFAIL' });
    }
  }

  /** Fail closed: where two readings of the same bytes differ, neither is answered. */
  function disagree(question: Question, origin: QueryOrigin): Buffer {
    const fault: QueryFault = {
      ...bareOf(question),
      rcode: 'FORMERR',
      detail: 'a record that cannot be decoded',
      name: question.name,
      type: question.type,
    };
    handler.recordFault(fault, origin);
    return encodeBare(fault);
  }

  return {
    screen,
    answer,
    async respond(message, origin) {
      const screened = screen(message, origin);
      if (screened.kind === 'drop') return null;
      if (screened.kind === 'reply') return screened.bytes;
      try {
        return await answer(codec.parse(message), screened.question, origin);
      } catch {
        return disagree(screened.question, origin);
      }
    },
  };
}

function bareOf(question: Question): Pick<QueryFault, 'id' | 'opcode' | 'recursionDesired'> {
  return { id: question.id, opcode: 0, recursionDesired: question.recursionDesired };
}
