import { expect, test } from 'vitest';
import { createServerOrder } from '../../dns/server-order.ts';
import { address } from './world.ts';

const [FIRST, SECOND, THIRD] = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((text) => ({
  address: address(text),
  port: 53,
})) as [Server, Server, Server];

type Server = { readonly address: ReturnType<typeof address>; readonly port: number };

test('servers are asked as named, those that were silent last, for a while', () => {
  let now = 0;
  const order = createServerOrder(1_000, () => now);
  const all = [FIRST, SECOND, THIRD];
  expect(order.order(all)).toEqual(all);
  order.silent(FIRST);
  expect(order.order(all)).toEqual([SECOND, THIRD, FIRST]);
  order.silent(SECOND);
  expect(order.order(all)).toEqual([THIRD, FIRST, SECOND]);
  order.answered(FIRST);
  expect(order.order(all)).toEqual([FIRST, THIRD, SECOND]);
  now = 1_001;
  expect(order.order(all)).toEqual(all);
});

test('none is left out, however many were silent, and what is remembered is bounded', () => {
  const order = createServerOrder(1_000, () => 0);
  order.silent(FIRST);
  expect(order.order([FIRST])).toEqual([FIRST]);
  for (let port = 1_000; port < 1_100; port += 1) order.silent({ ...SECOND, port });
  expect(order.order([FIRST, THIRD])).toEqual([FIRST, THIRD]);
});
