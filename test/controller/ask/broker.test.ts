import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { AuditEntry } from '../../../audit/event.ts';
import { AskBroker, type BrokerOptions } from '../../../controller/ask/broker.ts';
import { ASK_LIMITS } from '../../../controller/ask/limits.ts';
import type { HeldRequest } from '../../../policies/consent.ts';
import { withRules } from '../../../policies/consent.ts';
import { parseAuthority } from '../../../policies/hostname.ts';
import type { PolicyInForce, Rule } from '../../../policies/model.ts';
import { policyOf } from '../run/policies.ts';

const NEVER = new AbortController().signal;

let policy: PolicyInForce;
let events: AuditEntry[];
let written: string[];
beforeEach(() => {
  vi.useFakeTimers();
  policy = policyOf('version: 1\nrules: [deny: denied.example]\n');
  events = [];
  written = [];
});
afterEach(() => vi.useRealTimers());

function held(text: string): HeldRequest {
  const parsed = parseAuthority(text, 443);
  if (!parsed.ok) throw new Error(parsed.reason);
  return { ...parsed.value, protocol: null };
}

function looked(text: string): HeldRequest {
  return { host: held(text).host, port: null, protocol: null };
}

function create(changes: Partial<BrokerOptions> = {}): AskBroker {
  return new AskBroker({
    policy: () => policy,
    hostAddresses: () => [],
    record: (entry) => events.push(entry),
    grant: (rule: Rule) => {
      const next = withRules(policy, [rule]);
      return {
        digest: next.policy.digest,
        apply: async () => {
          policy = next;
        },
      };
    },
    write: async (rule) => void written.push(rule.id),
    file: '/p.yaml',
    command: () => 'npm ci',
    now: () => Date.now(),
    ...changes,
  });
}

const kinds = (asked: readonly { readonly kind: string }[]) => asked.map(({ kind }) => kind);

describe('a request that no rule decides', () => {
  it('waits for its answer, with all that ask the same, and the answer is on record', async () => {
    const broker = create();
    const asked = ['new.example', 'new.example:443', 'other.example'].map((text) =>
      broker.ask(held(text), NEVER),
    );
    expect(broker.questions()).toMatchObject([
      { id: 1, host: 'new.example', port: 443, protocol: 'https', waiting: 2, command: 'npm ci', last: null },
      { id: 2, host: 'other.example', waiting: 1 },
    ]);
    vi.advanceTimersByTime(3_000);
    await broker.answer(1, 'once', 'terminal');
    await broker.answer(2, 'deny', 'control');
    expect(kinds(await Promise.all(asked))).toEqual(['consent', 'consent', 'refused']);
    expect(events).toMatchObject([
      {
        kind: 'answer',
        host: 'new.example',
        answer: 'once',
        by: 'terminal',
        rule: 'ask/allow:new.example:443',
        policy: policy.policy.digest,
        waiting: 2,
        waitedMs: 3_000,
      },
      { answer: 'deny', by: 'control' },
    ]);
  });

  it('is asked about again after once, and the last answer is told', async () => {
    const broker = create();
    const first = broker.ask(held('new.example'), NEVER);
    await broker.answer(1, 'once', 'terminal');
    await first;
    vi.advanceTimersByTime(7_000);
    void broker.ask(held('new.example'), NEVER);
    expect(broker.questions()).toMatchObject([
      { id: 2, last: { answer: 'once', by: 'terminal', secondsAgo: 7 } },
    ]);
  });

  it('is denied by silence, and then without a question for a while', async () => {
    const broker = create();
    const asked = broker.ask(held('new.example'), NEVER);
    vi.advanceTimersByTime(ASK_LIMITS.silenceMs);
    expect(await asked).toMatchObject({ kind: 'refused', detail: expect.stringContaining('nobody') });
    expect(events).toMatchObject([{ answer: 'deny', by: 'silence' }]);
    expect(await broker.ask(held('new.example'), NEVER)).toMatchObject({ kind: 'refused' });
    expect(broker.questions()).toEqual([]);
    vi.advanceTimersByTime(ASK_LIMITS.silentMs);
    void broker.ask(held('new.example'), NEVER);
    expect(broker.questions()).toHaveLength(1);
  });

  it('is not asked about while a no is fresh, nor ever after never', async () => {
    const broker = create();
    for (const [id, answer] of [
      [1, 'deny'],
      [2, 'never'],
    ] as const) {
      const asked = broker.ask(held('new.example'), NEVER);
      await broker.answer(id, answer, 'terminal');
      await asked;
      expect(await broker.ask(held('new.example'), NEVER)).toMatchObject({ kind: 'refused' });
      vi.advanceTimersByTime(ASK_LIMITS.deniedMs);
    }
    vi.advanceTimersByTime(24 * 3_600_000);
    expect(await broker.ask(held('new.example'), NEVER)).toMatchObject({ kind: 'refused' });
    void broker.ask(held('new.example:22'), NEVER);
    expect(broker.questions()).toMatchObject([{ port: 22 }]);
  });

  it('is not held where a rule decides it', async () => {
    const broker = create();
    expect(kinds([await broker.ask(held('denied.example'), NEVER)])).toEqual(['unasked']);
    expect(broker.questions()).toEqual([]);
  });

  it('that has gone takes its question with it', async () => {
    const broker = create();
    const [one, two] = [new AbortController(), new AbortController()];
    void broker.ask(held('new.example'), one.signal);
    void broker.ask(held('new.example'), two.signal);
    one.abort();
    expect(broker.questions()).toMatchObject([{ waiting: 1 }]);
    two.abort();
    expect(broker.questions()).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is denied at once where too many wait', async () => {
    const broker = create({ limits: { ...ASK_LIMITS, questions: 2, waiting: 3 } });
    const ask = (text: string) => broker.ask(held(text), NEVER);
    const waiting = [ask('a.example'), ask('b.example')];
    expect(await ask('c.example')).toMatchObject({
      kind: 'refused',
      detail: expect.stringContaining('too many'),
    });
    waiting.push(ask('a.example'));
    expect(await ask('a.example')).toMatchObject({ kind: 'refused' });
    expect(broker.questions()).toHaveLength(2);
    broker.close();
    expect(kinds(await Promise.all(waiting))).toEqual(['unasked', 'unasked', 'unasked']);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a name that is looked up', () => {
  it('is one question with the connection that follows, and once is for one of them', async () => {
    const broker = create();
    const lookups = [broker.ask(looked('new.example'), NEVER), broker.ask(looked('new.example'), NEVER)];
    const early = broker.ask(held('new.example:80'), NEVER);
    expect(broker.questions()).toMatchObject([{ port: null, protocol: null, waiting: 3 }]);
    await broker.answer(1, 'once', 'terminal');
    expect(kinds(await Promise.all([...lookups, early]))).toEqual(['consent', 'consent', 'consent']);
    expect(kinds([await broker.ask(looked('new.example'), NEVER)])).toEqual(['consent']);
    void broker.ask(held('new.example:22'), NEVER);
    expect(broker.questions()).toMatchObject([{ port: 22 }]);
    expect(kinds([await broker.ask(held('new.example:443'), NEVER)])).toEqual(['consent']);
    void broker.ask(held('new.example:443'), NEVER);
    expect(broker.questions()).toMatchObject([{ port: 22 }, { port: 443 }]);
  });

  it('whose connection does not follow in time is asked about again', async () => {
    const broker = create();
    void broker.ask(looked('new.example'), NEVER);
    await broker.answer(1, 'once', 'terminal');
    vi.advanceTimersByTime(ASK_LIMITS.followMs);
    void broker.ask(held('new.example:443'), NEVER);
    expect(broker.questions()).toHaveLength(1);
  });

  it('that was denied is denied to the web as well', async () => {
    const broker = create();
    void broker.ask(looked('new.example'), NEVER);
    await broker.answer(1, 'never', 'terminal');
    expect(await broker.ask(held('new.example:443'), NEVER)).toMatchObject({ kind: 'refused' });
  });
});

describe('an answer', () => {
  it('for the run is in the policy from then on, under its digest', async () => {
    const broker = create();
    const asked = broker.ask(held('new.example'), NEVER);
    await broker.answer(1, 'run', 'control');
    expect(kinds([await asked, await broker.ask(held('new.example'), NEVER)])).toEqual([
      'consent',
      'unasked',
    ]);
    expect(events).toMatchObject([{ answer: 'run', policy: policy.policy.digest }]);
    expect(policy.policy.rules.map(({ id }) => id)).toContain('ask/allow:new.example:443');
  });

  it('that writes a line also counts in this run; what cannot be written leaves the question where it is', async () => {
    let broken = true;
    const broker = create({
      write: async (rule) => {
        if (broken) throw new Error('no space');
        written.push(rule.id);
      },
    });
    const asked = broker.ask(held('new.example'), NEVER);
    await expect(broker.answer(1, 'write', 'control')).rejects.toThrow('no space');
    expect([events, broker.questions().length]).toEqual([[], 1]);
    broken = false;
    await broker.answer(1, 'write', 'control');
    expect(kinds([await asked])).toEqual(['consent']);
    expect(written).toEqual(['ask/allow:new.example:443']);
    expect(policy.policy.rules.map(({ id }) => id)).toContain('ask/allow:new.example:443');
  });

  it('is refused where there is no file, and for what does not wait', async () => {
    const broker = create({ write: null });
    void broker.ask(held('new.example'), NEVER);
    expect(broker.questions()).toMatchObject([{ file: null }]);
    await expect(broker.answer(1, 'write', 'control')).rejects.toMatchObject({ code: 'question-missing' });
    await expect(broker.answer(7, 'once', 'control')).rejects.toMatchObject({ code: 'question-missing' });
    await broker.answer(1, 'deny', 'control');
    await expect(broker.answer(1, 'once', 'control')).rejects.toMatchObject({ code: 'question-missing' });
  });

  it('that cannot be put on record lets nothing through', async () => {
    const broker = create({
      record: () => {
        throw new Error('disk full');
      },
    });
    const asked = broker.ask(held('new.example'), NEVER);
    await expect(broker.answer(1, 'once', 'terminal')).rejects.toThrow('disk full');
    await expect(broker.answer(1, 'run', 'terminal')).rejects.toThrow('disk full');
    expect(policy.policy.rules).toHaveLength(1);
    vi.advanceTimersByTime(ASK_LIMITS.silenceMs);
    expect(kinds([await asked])).toEqual(['refused']);
  });

  it('is not wanted any more when the policy decides by itself', async () => {
    const broker = create();
    const asked = broker.ask(held('new.example'), NEVER);
    policy = policyOf('version: 1\nrules: [allow: new.example]\n');
    broker.policyChanged();
    expect(kinds([await asked])).toEqual(['refused']);
    expect(broker.questions()).toEqual([]);
  });

  it('whose question has gone while its line was written grants nothing in this run', async () => {
    let finish = (): void => {};
    const broker = create({
      write: () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    });
    const asked = broker.ask(held('new.example'), NEVER);
    const answered = broker.answer(1, 'write', 'control');
    broker.forget();
    finish();
    await expect(answered).rejects.toMatchObject({ code: 'question-missing' });
    expect(kinds([await asked])).toEqual(['refused']);
    expect(policy.policy.rules).toHaveLength(1);
  });

  it('that fails after the time is over is a no', async () => {
    let fail = (_: Error): void => {};
    const broker = create({
      write: () =>
        new Promise((_, reject) => {
          fail = reject;
        }),
    });
    const asked = broker.ask(held('new.example'), NEVER);
    const answered = broker.answer(1, 'write', 'control');
    vi.advanceTimersByTime(ASK_LIMITS.silenceMs);
    expect(events).toEqual([]);
    fail(new Error('no space'));
    await expect(answered).rejects.toThrow('no space');
    expect(kinds([await asked])).toEqual(['refused']);
    expect(events).toMatchObject([{ by: 'silence' }]);
  });

  it('from an earlier phase does not count in a later one', async () => {
    const broker = create();
    void broker.ask(looked('new.example'), NEVER);
    await broker.answer(1, 'once', 'terminal');
    const waiting = broker.ask(held('other.example'), NEVER);
    broker.forget();
    expect(kinds([await waiting])).toEqual(['refused']);
    void broker.ask(held('new.example:443'), NEVER);
    expect(broker.questions()).toHaveLength(1);
  });
});
