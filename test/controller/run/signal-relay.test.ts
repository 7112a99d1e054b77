import { expect, it } from 'vitest';
import { createSignalRelay } from '../../../controller/run/signal-relay.ts';

it('a signal between two commands of a run ends it, as before the first', () => {
  const early: string[] = [];
  const forwarded: string[] = [];
  const relay = createSignalRelay({ early: (signal) => void early.push(signal), force: () => {} });
  relay.receive('SIGHUP', false);
  relay.started({ forward: (signal) => void forwarded.push(signal) });
  relay.receive('SIGINT', false);
  relay.ended();
  relay.receive('SIGTERM', false);
  expect({ early, forwarded }).toEqual({ early: ['SIGHUP', 'SIGTERM'], forwarded: ['SIGINT'] });
});
