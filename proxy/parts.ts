/** What every flow of one proxy shares: its context, its books, and the heavy modules, loaded when first needed. */
import type { ProxyContext } from './context.ts';
import type { Forwarder } from './forward.ts';
import type { Ledger } from './ledger.ts';
import type { TurnShare } from './turn-share.ts';

export type HelloReader = Pick<typeof import('./client-hello.ts'), 'joinRecords' | 'readClientHello'>;

export interface Parts {
  readonly context: ProxyContext;
  readonly ledger: Ledger;
  readonly turns: TurnShare;
  hello(): Promise<HelloReader>;
  forwarder(): Promise<Forwarder>;
}
