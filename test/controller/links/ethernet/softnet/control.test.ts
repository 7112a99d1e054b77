import { describe, expect, it } from 'vitest';
import { answerControl, FIRST_POLICY } from '../../../../../controller/links/ethernet/softnet/control.ts';
import {
  createRingMemory,
  RingReader,
  RingWriter,
} from '../../../../../controller/links/ethernet/softnet/ring.ts';
import { softnetWrapper } from '../../../../../controller/links/ethernet/softnet/wrapper.ts';

function ask(request: unknown, policy = FIRST_POLICY) {
  const { answer, policy: next } = answerControl(
    typeof request === 'string' ? request : JSON.stringify(request),
    policy,
  );
  return { said: answer === null ? null : JSON.parse(answer), next };
}

describe('the control socket', () => {
  it('repeats the policy that it was given', () => {
    const params = { allow: ['@host'], block: ['0.0.0.0/0'], desiredRevision: '7' };
    const { said, next } = ask({ jsonrpc: '2.0', id: 1, method: 'softnet.policy.set', params });
    expect(said).toEqual({
      jsonrpc: '2.0',
      id: 1,
      result: { allow: ['@host'], block: ['0.0.0.0/0'], revision: '7' },
    });
    expect(ask({ jsonrpc: '2.0', id: 'x', method: 'softnet.policy.get' }, next).said.result).toEqual(next);
  });

  it('counts revisions where none is wanted, and answers no notification', () => {
    const { said, next } = ask({ jsonrpc: '2.0', method: 'softnet.policy.set', params: { allow: [] } });
    expect(said).toBeNull();
    expect(next.revision).toBe('1');
  });

  it.each([
    ['{', -32_700],
    ['[1]', -32_600],
    ['7', -32_600],
    [{ id: 1, method: 'softnet.policy.drop' }, -32_601],
    [{ id: 1, method: 'softnet.policy.set' }, -32_602],
    [{ id: 1, method: 'softnet.policy.set', params: { allow: [7] } }, -32_602],
    [{ id: 1, method: 'softnet.policy.set', params: { block: 'all' } }, -32_602],
  ])('refuses %j', (request, code) => {
    const { said, next } = ask(request);
    expect(said.error.code).toBe(code);
    expect(next).toBe(FIRST_POLICY);
  });
});

it('is found under a name of its own by a line of shell, whatever the paths', () => {
  expect(softnetWrapper({ node: '/opt/node', program: "/it's/softnet.js", socket: '/run/a b.sock' })).toBe(
    `#!/bin/sh\nexec '/opt/node' '/it'\\''s/softnet.js' '--cable' '/run/a b.sock' "$@"\n`,
  );
});

it('passes frames through the ring in order, over its end', async () => {
  const memory = createRingMemory();
  const [writer, reader] = [new RingWriter(memory), new RingReader(memory)];
  for (let round = 0; round < 200; round += 1) {
    const sent: Buffer[] = [];
    for (let at = 0; at < 17; at += 1) {
      const length = (round * 131 + at * 977) % 3_000;
      writer.reserve().fill((round + at) & 255, 0, length);
      writer.commit(length);
      const head = Buffer.alloc(4);
      head.writeUInt32BE(length);
      sent.push(head, Buffer.alloc(length, (round + at) & 255));
    }
    await reader.wait();
    expect(reader.take()?.equals(Buffer.concat(sent))).toBe(true);
    expect(reader.take()).toBeNull();
  }
});
