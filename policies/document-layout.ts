/** Where the values of a policy file stand in its text: what `document.ts` finds and an edit works on. */

/** Offsets count UTF-16 units; an end is after the last character of the value, without a comment beside it. */
export type Layout = MapLayout | ListLayout | ScalarLayout;

export interface MapLayout {
  readonly kind: 'map';
  readonly start: number;
  readonly end: number;
  /** Written in braces. */
  readonly isFlow: boolean;
  readonly entries: readonly EntryLayout[];
}

export interface EntryLayout {
  readonly key: string;
  readonly start: number;
  /** After the key, before its colon. */
  readonly keyEnd: number;
  readonly end: number;
  /** Null where nothing follows the key. */
  readonly value: Layout | null;
}

export interface ListLayout {
  readonly kind: 'list';
  readonly start: number;
  readonly end: number;
  /** Written in brackets. */
  readonly isFlow: boolean;
  readonly items: readonly ItemLayout[];
}

export interface ItemLayout {
  /** Of its dash, where the list has dashes. */
  readonly start: number;
  readonly end: number;
  readonly value: Layout;
}

export interface ScalarLayout {
  readonly kind: 'scalar';
  readonly start: number;
  readonly end: number;
}

export const EMPTY_LAYOUT: ScalarLayout = { kind: 'scalar', start: 0, end: 0 };
