/** Where the guest wanted to go and was refused at once: counted by destination, bounded, and told when asked. */
import type { RefusedDestination } from '../../backends/backend.ts';

export class TriedDestinations {
  readonly #max: number;
  readonly #rows = new Map<string, { readonly row: Omit<RefusedDestination, 'count'>; count: number }>();

  constructor(max: number) {
    this.#max = max;
  }

  /** Past the bound only those known already are counted. */
  add(transport: RefusedDestination['transport'], address: string, port: number): void {
    const key = `${transport} ${address} ${port}`;
    const known = this.#rows.get(key);
    if (known !== undefined) known.count += 1;
    else if (this.#rows.size < this.#max)
      this.#rows.set(key, { row: { transport, address, port }, count: 1 });
  }

  /** Counters since the start. */
  list(): readonly RefusedDestination[] {
    return [...this.#rows.values()].map(({ row, count }) => ({ ...row, count }));
  }
}
