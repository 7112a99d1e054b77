/** A policy file as plain values, each with its place: what `document.ts` makes and the decoders read. */
import type { Position } from './issue.ts';

export type PolicyNode = MapNode | ListNode | ScalarNode;

export interface MapNode {
  readonly kind: 'map';
  readonly at: Position;
  readonly entries: readonly MapEntry[];
}

export interface MapEntry {
  readonly key: string;
  readonly at: Position;
  readonly value: PolicyNode;
}

export interface ListNode {
  readonly kind: 'list';
  readonly at: Position;
  readonly items: readonly PolicyNode[];
}

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly at: Position;
  readonly value: string | number | boolean | null;
  /** As written, without quotes: tells `0o17` from `15`. */
  readonly source: string;
}
