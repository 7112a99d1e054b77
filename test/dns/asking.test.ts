import { afterEach, describe, expect, test } from 'vitest';
import { createResolver, type Resolver } from '../../dns/resolver.ts';
import { type Asked, consentFor, type HeldRequest } from '../../policies/consent.ts';
import { GUEST, HOST, name, policy, question, rule, type World, world } from './world.ts';

const open: Resolver[] = [];
afterEach(() => {
  for (const resolver of open.splice(0)) resolver.close();
});

const POLICY = policy([rule('known.example'), rule('denied.example', { verb: 'deny' })]);

function asking(answer: 'yes' | 'no' | ((around: World) => void)) {
  const asked: HeldRequest[] = [];
  const around = world(POLICY);
  const ask = async (request: HeldRequest): Promise<Asked> => {
    asked.push(request);
    const consent = consentFor(around.policy(), request, []);
    if (typeof answer === 'function') answer(around);
    if (answer === 'no' || consent === null) return { kind: 'refused', detail: 'asked: nobody answered' };
    return { kind: 'consent', consent };
  };
  const resolver = createResolver({ ...around, ask });
  open.push(resolver);
  return { around, asked, resolver };
}

describe('a name that no rule decides', () => {
  test('is held, and by a yes gets an address that the proxy knows', async () => {
    const { around, asked, resolver } = asking('yes');
    const answer = await resolver.answer(question('new.example'), GUEST);
    expect(answer.records).toHaveLength(1);
    expect(asked).toMatchObject([{ host: { name: 'new.example' }, port: null }]);
    expect(around.decisions).toMatchObject([{ verdict: 'allow', rule: { id: 'ask/allow:new.example' } }]);
  });

  test('is refused by a no, and the record says that it was asked', async () => {
    const { around, resolver } = asking('no');
    expect(await resolver.answer(question('new.example'), GUEST)).toMatchObject({
      rcode: 'NXDOMAIN',
      records: [],
    });
    expect(around.decisions).toMatchObject([{ reason: 'no-rule', detail: 'asked: nobody answered' }]);
  });

  test('is judged anew after the wait', async () => {
    const { resolver } = asking((around) => around.use(policy([rule('new.example', { verb: 'deny' })])));
    expect(await resolver.answer(question('new.example'), GUEST)).toMatchObject({ rcode: 'NXDOMAIN' });
  });

  test('is asked about for addresses of the guest only, and never where it is allowed', async () => {
    const { asked, resolver } = asking('yes');
    for (const type of [15, 16, 65, 255]) await resolver.answer(question('new.example', type), GUEST);
    await resolver.answer(question('new.example'), HOST);
    await resolver.answer(question('known.example'), GUEST);
    await resolver.answer(question('host.sand'), GUEST);
    await resolver.answer(question('7.0.18.198.in-addr.arpa', 12), GUEST);
    expect(asked).toEqual([]);
  });

  test('is looked up for the proxy only with the consent that it has', async () => {
    const { around, resolver } = asking('yes');
    const { signal } = new AbortController();
    expect(await resolver.lookup(name('new.example'), signal)).toMatchObject({ reason: 'policy-changed' });
    const host = { kind: 'name', name: name('new.example') } as const;
    const consent = consentFor(around.policy(), { host, port: 443, protocol: null }, []);
    const found = await resolver.lookup(name('new.example'), signal, consent);
    expect(found).not.toHaveProperty('reason');
    around.use(policy([rule('new.example', { verb: 'deny' })]));
    expect(await resolver.lookup(name('new.example'), signal, consent)).toMatchObject({
      reason: 'policy-changed',
    });
  });
});
