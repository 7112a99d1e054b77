import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AskBroker } from '../../../controller/ask/broker.ts';
import { ASK_LIMITS } from '../../../controller/ask/limits.ts';
import { ProcessTerminal } from '../../../controller/ask/terminal.ts';
import type { HeldRequest } from '../../../policies/consent.ts';
import { parseAuthority } from '../../../policies/hostname.ts';
import { policyOf } from '../run/policies.ts';

const NEVER = new AbortController().signal;

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

function held(text: string): HeldRequest {
  const parsed = parseAuthority(text, 443);
  if (!parsed.ok) throw new Error(parsed.reason);
  return { ...parsed.value, protocol: null };
}

function create(isForeground = true) {
  const policy = policyOf('version: 1\n');
  const broker = new AskBroker({
    policy: () => policy,
    hostAddresses: () => [],
    record: () => 1,
    grant: () => ({ digest: '', apply: async () => {} }),
    write: null,
    file: null,
    command: () => 'sh -c \u001b[2J',
  });
  let screen = '';
  let raw = false;
  let reading = false;
  let type = (_: string): void => {};
  const keys = {
    setRawMode: (value: boolean) => {
      raw = value;
    },
    resume: () => {
      reading = true;
    },
    pause: () => {
      reading = false;
    },
    on: (event: string, listener: (chunk: Buffer) => void) => {
      if (event === 'data') type = (text) => listener(Buffer.from(text));
    },
    destroy: () => {},
  };
  const terminal = new ProcessTerminal(
    keys,
    {
      write: (text: string) => {
        screen += text;
      },
      on: () => {},
      destroy: () => {},
    },
    () => isForeground,
  );
  const detach = terminal.attach(broker);
  return {
    broker,
    terminal,
    detach,
    screen: () => screen,
    type: (text: string) => type(text),
    state: () => ({ raw, reading, free: terminal.free() === undefined }),
  };
}

const settle = () => vi.advanceTimersByTime(ASK_LIMITS.settleMs);

describe('the terminal of a run', () => {
  it('is the caller\u2019s own but while a question stands', async () => {
    const { broker, type, state, screen } = create();
    expect(state()).toEqual({ raw: false, reading: false, free: true });
    const asked = broker.ask(held('new.example'), NEVER);
    expect(state()).toEqual({ raw: true, reading: true, free: false });
    expect(screen()).toContain('wants new.example:443 (https), and no rule');
    settle();
    type('o\r');
    expect(await asked).toMatchObject({ kind: 'consent' });
    await Promise.resolve();
    expect(state()).toEqual({ raw: false, reading: false, free: true });
  });

  it('takes no key for an answer that was typed before the question was there for a moment', async () => {
    const { broker, type } = create();
    const asked = broker.ask(held('new.example'), NEVER);
    type('o\r');
    expect(broker.questions()).toHaveLength(1);
    settle();
    type('\r');
    expect(broker.questions()).toHaveLength(1);
    type('xd\u007f\u007fn\u001b[A\r');
    expect(broker.questions()).toHaveLength(1);
    type('deny\r');
    expect(await asked).toMatchObject({ kind: 'refused' });
  });

  it('shows one question after the other, the guest\u2019s text escaped, and says when one is gone', async () => {
    const { broker, screen, type, state } = create();
    const gone = new AbortController();
    void broker.ask(held('one.example'), gone.signal);
    const second = broker.ask(held('two.example'), NEVER);
    expect(screen()).not.toContain('two.example');
    gone.abort();
    expect(screen()).toContain('does not wait any more');
    expect(screen()).toContain('wants two.example:443');
    expect(screen()).not.toContain('\u001b');
    settle();
    type('w\r');
    await vi.waitFor(() => expect(screen()).toContain('no policy file'));
    type('d\r');
    expect(await second).toMatchObject({ kind: 'refused' });
    await vi.waitFor(() => expect(state().free).toBe(true));
  });

  it('is given back when the run ends, and is not read in the background', () => {
    const first = create();
    void first.broker.ask(held('new.example'), NEVER);
    first.detach();
    expect(first.state()).toEqual({ raw: false, reading: false, free: true });
    const background = create(false);
    void background.broker.ask(held('new.example'), NEVER);
    expect(background.state()).toEqual({ raw: false, reading: false, free: true });
  });
});
