/**
 * Every difference that the rules of two policies make, found by asking the evaluator of both about the hosts and
 * requests that stand for all others, and put down to the change that makes it. How it is told is `wording.ts`.
 */
import { guardedRanges, type RangeBits, rangeBits } from '../address.ts';
import type { Host, IpAddress, IpRange, Rule } from '../model.ts';
import { type Block, blockOf, isWithin, type Stand, standIns } from './address-cells.ts';
import { aspectOf } from './aspect.ts';
import { createBudget } from './compare-limits.ts';
import type { Aspect, Direction } from './difference.ts';
import { addressCell, type HostCell, nameCells, profileOf, rulesOver } from './host-cells.ts';
import {
  type Asker,
  type Comparison,
  compareRequests,
  embeddingsIn,
  embeddingsOf,
  knowAddress,
  type OpenQuestion,
  type Point,
  pointsAt,
} from './request-comparison.ts';
import type { Side, Sides, SubjectChange } from './sides.ts';

/** What makes a difference: what is said of a subject, or something that is about every host. */
export type Cause = SubjectChange | 'mode' | 'ceiling';

export interface Finding {
  readonly cause: Cause;
  readonly direction: Exclude<Direction, 'neutral'>;
  readonly aspect: Aspect;
  readonly host: Host;
  readonly point: Point;
}

/** Of each cause, direction and aspect the first. Raises `ComparisonBound`. */
export function findDifferences(sides: Sides): readonly Finding[] {
  const search = new Search(sides);
  search.names();
  search.addresses();
  search.deniedAddresses();
  return search.findings;
}

const ROOTS = ['0.0.0.0/0', '::/0', '127.0.0.1/32'].map((text) => rangeBits(text as IpRange));

class Search {
  readonly #sides: Sides;
  readonly #asker: Asker;
  readonly #stands: readonly Stand[];
  readonly #findings = new Map<string, Finding>();
  readonly #marks = new Map<Cause, number>();
  readonly #byText: ReadonlyMap<string, readonly SubjectChange[]>;
  /** What is open to a name, by profile, with a host of it. */
  readonly #open: { readonly cell: HostCell; readonly question: OpenQuestion }[] = [];
  readonly #denied: readonly DeniedRange[];
  readonly #listed: readonly Block[];

  constructor(sides: Sides) {
    this.#sides = sides;
    this.#byText = Map.groupBy(sides.changes, ({ text }) => text);
    const all = deniedBlocks(sides);
    this.#denied = all.changed;
    const guarded = [...guardedRanges(), ...ROOTS].map(blockOf);
    this.#listed = listedRanges(sides).map(blockOf);
    const changed = all.changed.map(({ block }) => block);
    const blocks = [...guarded, ...this.#listed, ...changed];
    this.#stands = standIns(blocks, all.always);
    const spend = createBudget('questions');
    const denied = [...all.always, ...changed];
    const plain = [denied, all.always].map((avoided) => plainAddresses(guarded, avoided));
    this.#asker = { sides, denied, alwaysDenied: all.always, guarded, plain, spend, known: new Map() };
  }

  get findings(): readonly Finding[] {
    return [...this.#findings.values()];
  }

  get #concernsAll(): boolean {
    return this.#sides.modesDiffer || this.#sides.ceilingsDiffer;
  }

  names(): void {
    const needsOpen = this.#denied.length > 0;
    const compared = new Map<string, Comparison>();
    for (const cell of nameCells(this.#sides, this.#concernsAll || needsOpen)) {
      const [before, after] = [profileOf(this.#sides.before, cell), profileOf(this.#sides.after, cell)];
      if (before === after && !needsOpen) continue;
      const mark = `${before}\n${after}`;
      let comparison = compared.get(mark);
      if (comparison === undefined) {
        comparison = compareRequests(this.#asker, cell.host, rulesOver(this.#sides, cell));
        compared.set(mark, comparison);
        if (needsOpen) for (const question of comparison.open) this.#open.push({ cell, question });
      }
      for (const point of comparison.points) this.#add(cell, point);
    }
  }

  /** Literal addresses: one for each range, and IPv6 forms of what is denied or guarded. */
  addresses(): void {
    const ranges = this.#sides.changes.flatMap(({ subject }) =>
      subject.kind === 'range' ? [blockOf(rangeBits(subject.range))] : [],
    );
    const blocks = this.#concernsAll ? ROOTS.map(blockOf) : ranges;
    const addresses = new Set(blocks.flatMap((block) => this.#addressesIn(block)));
    const compared = new Map<string, readonly Point[]>();
    for (const address of addresses) {
      const cell = addressCell(this.#sides, address);
      const [before, after] = [profileOf(this.#sides.before, cell), profileOf(this.#sides.after, cell)];
      if (before === after) continue;
      const { kind } = knowAddress(this.#asker, address);
      // Metadata addresses are allowed one by one, whatever range covers them.
      const mark = `${before}\n${after}\n${kind === 'metadata' ? address : kind}`;
      const points =
        compared.get(mark) ?? compareRequests(this.#asker, cell.host, rulesOver(this.#sides, cell)).points;
      compared.set(mark, points);
      for (const point of points) this.#add(cell, { ...point, address });
    }
  }

  /** What names may resolve to: each range that one side alone denies, for what is open to names. */
  deniedAddresses(): void {
    const plainFirst = this.#open.toSorted((a, b) => lists(a.question) - lists(b.question));
    for (const { block, changes } of this.#denied) {
      this.#addressesIn(block).some((address) => {
        const { subjects } = addressCell(this.#sides, address);
        return plainFirst.some(({ cell, question }) => {
          this.#asker.spend(1);
          const points = pointsAt(this.#sides, question, address);
          const causes = points.flatMap((point) =>
            this.#add({ host: cell.host, subjects: [...cell.subjects, ...subjects] }, point),
          );
          return causes.some((cause) => changes.includes(cause));
        });
      });
    }
  }

  /** Stand-ins of the block and all within it; of IPv4 also as IPv6 embeds it, where rules list IPv6. */
  #addressesIn(block: Block): readonly IpAddress[] {
    const within = standsWithin(this.#stands, block);
    const listed = this.#listed.filter(({ family }) => family === 6);
    if (block.family === 6) {
      const inner = listed.filter((one) => isWithin(one, block));
      return [...within, ...[block, ...inner].flatMap(embeddingsIn)];
    }
    return [...within, ...within.flatMap((address) => listed.flatMap((list) => embeddingsOf(address, list)))];
  }

  #add(cell: HostCell, point: Point): readonly Cause[] {
    const causes = this.#causesOf(cell, point);
    for (const cause of causes) {
      const aspect = aspectOf(cause, point);
      const mark = this.#marks.get(cause) ?? this.#marks.size;
      this.#marks.set(cause, mark);
      const key = `${mark} ${point.direction} ${aspect} ${point.limit?.field ?? ''}`;
      if (this.#findings.has(key)) continue;
      this.#findings.set(key, { cause, direction: point.direction, aspect, host: cell.host, point });
    }
    return causes;
  }

  #causesOf({ subjects }: HostCell, point: Point): readonly Cause[] {
    const changes = subjects.flatMap((text) => this.#byText.get(text) ?? []);
    const causes = changes.filter((change) => makes(change, point));
    if (causes.length > 0) return causes;
    if (this.#sides.modesDiffer) return ['mode'];
    if (this.#sides.ceilingsDiffer) return ['ceiling'];
    // Fail closed: what cannot be put down to one change is put down to all that are about this host.
    return changes;
  }
}

/** Whether without this change the difference would not be, or not by this rule. */
function makes({ verb, added, removed }: SubjectChange, { direction, limit, before, after }: Point): boolean {
  if (verb === 'deny') {
    const refuses = (keys: SubjectChange['added']): boolean => keys.some(({ rule }) => rule.report !== true);
    return direction === 'widens' ? before.isDenied && refuses(removed) : after.isDenied && refuses(added);
  }
  const grantsNow = added.some(({ key }) => after.grants.includes(key));
  const granted = removed.some(({ key }) => before.grants.includes(key));
  if (limit !== null) return grantsNow || granted;
  return direction === 'widens' ? grantsNow : granted;
}

function lists({ before, after }: OpenQuestion): number {
  return [...before.grants, ...after.grants].some(({ addresses }) => addresses !== null) ? 1 : 0;
}

function plainAddresses(guarded: readonly Block[], avoided: readonly Block[]): readonly IpAddress[] {
  const roots = standIns([...guarded], avoided).filter(({ block }) =>
    block.family === 4 ? block.last - block.first === 0xffff_ffffn : block.first === 0x2000n << 112n,
  );
  return roots.map(({ address }) => address);
}

/** Stand-ins are sorted as their blocks are, so those within a block stand together. */
function standsWithin(stands: readonly Stand[], outer: Block): readonly IpAddress[] {
  let low = 0;
  let high = stands.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const block = stands[middle]?.block;
    if (block === undefined) break;
    const isBefore =
      block.family < outer.family || (block.family === outer.family && block.first < outer.first);
    if (isBefore) low = middle + 1;
    else high = middle;
  }
  const found: IpAddress[] = [];
  for (let at = low; at < stands.length; at += 1) {
    const stand = stands[at];
    if (stand === undefined || stand.block.family !== outer.family || stand.block.first > outer.last) break;
    if (isWithin(stand.block, outer)) found.push(stand.address);
  }
  return found;
}

/** A range that one side alone denies, and what a difference in it is put down to. */
interface DeniedRange {
  readonly block: Block;
  readonly changes: readonly Cause[];
}

/** What one side alone refuses, and what both do; what only reports decides nothing. */
function deniedBlocks(sides: Sides): {
  readonly changed: readonly DeniedRange[];
  readonly always: readonly Block[];
} {
  const { before, after, changes, ceilingsDiffer } = sides;
  const changed = new Map<IpRange, readonly Cause[]>();
  for (const change of changes) {
    if (change.verb === 'deny' && change.subject.kind === 'range')
      changed.set(change.subject.range, [change]);
  }
  const refused = rangesOf(before, (rule) => rule.verb === 'deny' && rule.report !== true);
  const kept = refused.filter((range) => !changed.has(range));
  const always = [...kept, ...(ceilingsDiffer ? [] : ceilingDenials(before))];
  if (ceilingsDiffer) {
    for (const range of [...ceilingDenials(before), ...ceilingDenials(after)])
      changed.set(range, [...(changed.get(range) ?? []), 'ceiling']);
  }
  return {
    changed: [...changed].map(([range, causes]) => ({ block: blockOf(rangeBits(range)), changes: causes })),
    always: always.map((range) => blockOf(rangeBits(range))),
  };
}

function rangesOf({ inForce }: Side, isWanted: (rule: Rule) => boolean): readonly IpRange[] {
  return inForce.policy.rules.filter(isWanted).flatMap(subjectRanges);
}

function ceilingDenials({ inForce }: Side): readonly IpRange[] {
  return inForce.ceilings.flatMap(({ rules }) =>
    rules.filter(({ verb }) => verb === 'deny').flatMap(subjectRanges),
  );
}

function subjectRanges({ subjects }: Rule): readonly IpRange[] {
  return subjects.flatMap((subject) => (subject.kind === 'range' ? [subject.range] : []));
}

/** Everything that an allow rule lists, as its subject or as what a name may resolve to. */
function listedRanges({ before, after }: Sides): readonly RangeBits[] {
  const rules = [before, after].flatMap(({ inForce }) =>
    [inForce.policy, ...inForce.ceilings].flatMap((policy) =>
      policy.rules.filter(({ verb }) => verb === 'allow'),
    ),
  );
  const ranges = rules.flatMap((rule) => [...subjectRanges(rule), ...(rule.addresses ?? [])]);
  return [...new Set(ranges)].map((range) => rangeBits(range));
}
