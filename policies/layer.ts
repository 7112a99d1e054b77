/** What a policy is put together of: layers of rules and what each states besides. `layers.ts` makes them. */
import type { PolicyDocument } from './decode.ts';
import type { DraftRule } from './decode-rule.ts';
import type { Mode, Origin, PolicyIssue, PolicyLimits, Requirements } from './model.ts';
import type { FileReading } from './policy-source.ts';

export interface Layer {
  /** First part of rule ids. */
  readonly name: string;
  readonly file: string;
  readonly rules: readonly DraftRule[];
  /** The phase that its rules hold in; absent: in every phase. */
  readonly phase?: string;
  /** What a document says besides rules; absent: nothing, as of groups, flags and phases. */
  readonly stated?: Pick<PolicyDocument, 'extends' | 'mode' | 'limits' | 'requires' | 'places'>;
}

/** A preset or group that a file of the user's, or the user, names. */
export interface ShippedName {
  /** As `extends` takes it: `preset:strict`, `group:npm/all`. */
  readonly text: string;
  readonly at: Origin;
}

/** What one request or extension came to, with everything it extends. */
export interface Resolved {
  readonly name: string;
  /** Null for what has no mode of its own: groups and flags. */
  readonly mode: Mode | null;
  readonly limits: readonly PolicyLimits[];
  readonly requires: readonly Requirements[];
}

export interface PhaseNames {
  readonly names: readonly string[];
  readonly at: Origin;
}

export interface LayerSet {
  readonly layers: readonly Layer[];
  readonly shipped: readonly ShippedName[];
  /** The phases that one of the documents names, in its order; null where none does. */
  readonly phases: PhaseNames | null;
  readonly resolved: readonly Resolved[];
  readonly files: readonly string[];
  /** What was read, by absolute path. */
  readonly readings: ReadonlyMap<string, FileReading>;
  /** Every preset and group, those that presets extend too. */
  readonly used: readonly string[];
  readonly issues: readonly PolicyIssue[];
}

/** Anything with a `/` or an ending is a file; `group:` and `preset:` say what is none. */
export function isFileName(text: string): boolean {
  return !/^(group|preset):/.test(text) && /[/\\.]/.test(text);
}

/** `enforce` over `report`; null where nothing says. */
export function strictestMode(modes: readonly (Mode | null)[]): Mode | null {
  if (modes.includes('enforce')) return 'enforce';
  return modes.includes('report') ? 'report' : null;
}
