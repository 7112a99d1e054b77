/**
 * Asks the evaluator of both policies about the requests to one host, and tells in which they differ. Which hosts and
 * requests stand for all is `name-cells.ts`, `address-cells.ts` and `request-cells.ts`.
 */
import { type AddressBits, addressBits, classifyAddress, rangeBits } from '../address.ts';
import { evaluate, evaluateAddress } from '../evaluate.ts';
import { LIMIT_KEYS, RULE_LIMIT_FIELDS } from '../guest-limits.ts';
import type { Host, IpAddress, Rule, RuleLimits, Verdict } from '../model.ts';
import { type Block, blockOf, embeddings, holds, standIns } from './address-cells.ts';
import { type Asked, firstOfEach, requestsTo } from './request-cells.ts';
import type { Side, Sides } from './sides.ts';

/** One request that one side allows and the other does not, or that they allow to different amounts. */
export interface Point {
  readonly direction: 'widens' | 'narrows';
  readonly asked: Asked;
  readonly address: IpAddress;
  /** Null: the request itself. */
  readonly limit: { readonly field: keyof RuleLimits; readonly amount: number } | null;
  readonly before: Standing;
  readonly after: Standing;
}

/** How one side comes to its verdict. */
export interface Standing {
  readonly isDenied: boolean;
  /** Keys of the statements that grant it. */
  readonly grants: readonly number[];
}

/** A request that one side at least allows, before the address is known. */
export interface OpenQuestion {
  readonly asked: Asked;
  readonly before: Verdict;
  readonly after: Verdict;
}

export interface Comparison {
  readonly points: readonly Point[];
  /** Of requests with the same grants, the first. */
  readonly open: readonly OpenQuestion[];
}

export interface Asker {
  readonly sides: Sides;
  /** What is denied on one side at least, and what on both alike. */
  readonly denied: readonly Block[];
  readonly alwaysDenied: readonly Block[];
  /** What the address guard and what is known of IPv6 tell apart. */
  readonly guarded: readonly Block[];
  /** An IPv4 address and an IPv6 address, where there are such: that nothing denies, and that one side at most does. */
  readonly plain: readonly (readonly IpAddress[])[];
  readonly spend: (questions: number) => void;
  /** Filled as addresses are met; one for each, and they are bounded by the ranges of the policies. */
  readonly known: Map<IpAddress, KnownAddress>;
}

/** `rules`: all allow rules that cover the host on either side. */
export function compareRequests(asker: Asker, host: Host, rules: readonly Rule[]): Comparison {
  const { sides, spend } = asker;
  const addresses = host.kind === 'address' ? [host.address] : addressesFor(asker, rules);
  const points: Point[] = [];
  const open = new Map<string, OpenQuestion>();
  for (const asked of requestsTo(rules, sides.nowMs)) {
    spend(2 + addresses.length);
    const question = { asked, before: ask(sides.before, host, asked), after: ask(sides.after, host, asked) };
    if (question.before.decision === 'deny' && question.after.decision === 'deny') continue;
    const mark = [question.before, question.after].map((verdict) => markOf(sides, verdict)).join('|');
    if (!open.has(mark)) open.set(mark, question);
    for (const address of addresses) points.push(...pointsAt(sides, question, address));
  }
  return { points, open: [...open.values()] };
}

export function ask({ inForce }: Side, host: Host, { port, protocol, request, atMs }: Asked): Verdict {
  const question = { authority: { host, port }, protocol };
  return evaluate(inForce, request === null ? question : { ...question, http: request.http }, atMs);
}

/** Of an open question with its address: whether the sides differ. */
export function pointsAt(
  { before, after }: Sides,
  question: OpenQuestion,
  address: IpAddress,
): readonly Point[] {
  const was = evaluateAddress(before.inForce, question.before, address, []).decision === 'allow';
  const is = evaluateAddress(after.inForce, question.after, address, []).decision === 'allow';
  if (!was && !is) return [];
  const { asked } = question;
  const standings = {
    before: standingOf(before, question.before, was),
    after: standingOf(after, question.after, is),
  };
  if (was !== is) {
    return [{ direction: is ? 'widens' : 'narrows', asked, address, limit: null, ...standings }];
  }
  return RULE_LIMIT_FIELDS.flatMap((field): readonly Point[] => {
    const least = leastAmount(question.before, field);
    const now = leastAmount(question.after, field);
    if (least === now) return [];
    const direction = now > least ? 'widens' : 'narrows';
    const limit = { field, amount: Math.min(least, now) + 1 };
    return [{ direction, asked, address, limit, ...standings }];
  });
}

/** Every rule with a limit counts, of the policy and of each ceiling. */
function leastAmount({ grants, ceilingGrants }: Verdict, field: keyof RuleLimits): number {
  return [...grants, ...(ceilingGrants ?? []).flat()].reduce(
    (least, { limits }) => Math.min(least, limits?.[field] ?? Number.POSITIVE_INFINITY),
    Number.POSITIVE_INFINITY,
  );
}

function standingOf({ keys }: Side, verdict: Verdict, isAllowed: boolean): Standing {
  const grants = [...new Set(verdict.grants.flatMap((rule) => keys.get(rule) ?? []))];
  return { isDenied: verdict.reason === 'deny-rule' || (verdict.decision === 'allow' && !isAllowed), grants };
}

/** Verdicts with the same mark are of one mind about every address. */
function markOf({ before, after }: Sides, { decision, grants, ceilingGrants }: Verdict): string {
  const keysOf = (rules: readonly Rule[]): string =>
    [...new Set(rules.map((rule) => before.keys.get(rule) ?? after.keys.get(rule)))].sort().join(',');
  return [decision, keysOf(grants), ...(ceilingGrants ?? []).map(keysOf)].join(';');
}

const LOOPBACK = '127.0.0.1' as IpAddress;
const NEUTRAL = addressBits('192.0.2.1' as IpAddress);
/** What IPv6 addresses may embed that the guard tells apart: nothing special, a private and a metadata address. */
const EMBEDDED = [NEUTRAL, addressBits('10.0.0.1' as IpAddress), addressBits('169.254.169.254' as IpAddress)];

/** For each set of the rules that opens some address, one; outside what both sides deny. */
function addressesFor(asker: Asker, rules: readonly Rule[]): readonly IpAddress[] {
  const { denied, alwaysDenied, guarded, plain } = asker;
  const loopback = rules.some(({ subjects }) => subjects.some(({ kind }) => kind === 'host-loopback'));
  if (loopback) return [LOOPBACK];
  const lists = [...new Set(rules.flatMap(({ addresses }) => addresses ?? []))];
  if (lists.length === 0) return plain.flat().slice(0, 1);
  const blocks = lists.map((list) => blockOf(rangeBits(list)));
  // What nothing denies comes first: of addresses that the lists do not tell apart, one that is denied says nothing.
  const stands = [denied, alwaysDenied].flatMap((avoided, at) => [
    ...(plain[at] ?? []),
    ...standIns([...guarded, ...blocks], avoided).map(({ address }) => address),
  ]);
  const embedding = blocks.filter(({ family }) => family === 6).flatMap(embeddingsIn);
  const known = [...stands, ...embedding].map((address) => knowAddress(asker, address));
  const lister = rules.map(({ addresses }) => (addresses ?? []).map((list) => blockOf(rangeBits(list))));
  const told = firstOfEach(known, ({ bits, kind }) => [
    kind,
    ...lister.map((own) => Number(own.some((block) => holds(block, bits)))),
  ]);
  return told.map(({ address }) => address);
}

interface KnownAddress {
  readonly address: IpAddress;
  readonly bits: AddressBits;
  readonly kind: 'ordinary' | 'metadata' | 'guarded';
}

/** The same few addresses are asked about for every host. */
export function knowAddress({ known }: Asker, address: IpAddress): KnownAddress {
  const before = known.get(address);
  if (before !== undefined) return before;
  const kind = classifyAddress(address, []);
  const one: KnownAddress = {
    address,
    bits: addressBits(address),
    kind: kind === 'metadata' || kind === 'ordinary' ? kind : 'guarded',
  };
  known.set(address, one);
  return one;
}

export function embeddingsIn(block: Block): readonly IpAddress[] {
  return EMBEDDED.flatMap((quad) => embeddings(quad, NEUTRAL, block));
}

export function embeddingsOf(address: IpAddress, block: Block): readonly IpAddress[] {
  return embeddings(addressBits(address), NEUTRAL, block);
}

/** As it is written in a policy. */
export function limitKey(field: keyof RuleLimits): string {
  return LIMIT_KEYS.find((one) => one.field === field)?.key ?? field;
}
