/** In which entries two baselines differ, for whoever has just replaced one by the other. Pure. */
import { type Baseline, type BaselineDenial, type BaselineHost, keyOf } from './baseline.ts';

export interface BaselineChange {
  /** `+` an entry more, `-` one less, `~` the same destination with other rules or bytes. */
  readonly sign: '+' | '-' | '~';
  readonly entry: BaselineHost | BaselineDenial;
}

/** Hosts before denials, each in the order of the file. */
export function compareBaselines(before: Baseline | null, after: Baseline): readonly BaselineChange[] {
  return [
    ...compareEntries<BaselineHost>(before?.hosts ?? [], after.hosts),
    ...compareEntries<BaselineDenial>(before?.denied ?? [], after.denied),
  ];
}

function compareEntries<T extends BaselineHost | BaselineDenial>(
  before: readonly T[],
  after: readonly T[],
): readonly BaselineChange[] {
  const old = new Map(before.map((entry) => [keyOf(entry), entry]));
  const now = new Set(after.map(keyOf));
  const kept = after.flatMap((entry): readonly BaselineChange[] => {
    const known = old.get(keyOf(entry));
    if (known === undefined) return [{ sign: '+', entry }];
    return JSON.stringify(known) === JSON.stringify(entry) ? [] : [{ sign: '~', entry }];
  });
  const gone = before.filter((entry) => !now.has(keyOf(entry)));
  return [...kept, ...gone.map((entry) => ({ sign: '-', entry }) as const)];
}
