import { expect, test } from 'vitest';
import { checkAuditEvent } from '../../audit/schema.ts';
import { TYPES } from '../../dns/message.ts';
import { createResolver } from '../../dns/resolver.ts';
import { GUEST, policy, question, rule, world } from './world.ts';

test('whatever is recorded is an event that the log reads back', async () => {
  const surroundings = world(policy([rule('a.example'), rule('x.example', { verb: 'deny' })]));
  const dns = createResolver(surroundings);
  const asked = [
    'a.example',
    'x.example',
    'other.example',
    '1.2.3.4',
    '',
    'localhost',
    'x.sand',
    'host.sand',
  ];
  for (const text of asked) {
    for (const type of [TYPES.A, TYPES.TXT, 65_280]) await dns.answer(question(text, type), GUEST);
  }
  await dns.answer(question('version.bind', TYPES.TXT, { class: 3 }), GUEST);
  dns.recordFault(
    { id: 1, opcode: 0, recursionDesired: true, rcode: 'FORMERR', detail: 'x', name: 'a\\000', type: null },
    GUEST,
  );
  dns.close();
  expect(surroundings.decisions).toHaveLength(asked.length * 3 + 2);
  for (const [index, decision] of surroundings.decisions.entries()) {
    const frame = { seq: index + 1, time: '2027-01-01T00:00:00.000Z', guest: 'g', prev: '0'.repeat(64) };
    expect(checkAuditEvent({ ...frame, ...decision })).toMatchObject({ ok: true });
  }
});
