/**
 * Resolves what was asked for (presets, groups, files, `--allow`) and everything it extends into layers of
 * rules. Reading is the caller's: this decides what is read, in which order, and when to stop.
 */
import path from 'node:path';
import { PLAIN_GRANT, PLAIN_MUTE, parseAllowFlag } from './allow-flag.ts';
import { decodeDocument, nameFromFile, type PolicyDocument } from './decode.ts';
import type { DraftRule } from './decode-rule.ts';
import { parseDocument } from './document.ts';
import { type GroupHosts, hostsOf, quietNames, splitGroupName } from './group-name.ts';
import { NO_LIMITS } from './guest-limits.ts';
import { IssueList, NOWHERE, type Position } from './issue.ts';
import {
  isFileName,
  type Layer,
  type LayerSet,
  type PhaseNames,
  type Resolved,
  type ShippedName,
  strictestMode,
} from './layer.ts';
import { POLICY_LIMITS } from './limits.ts';
import { LockSet } from './lock-set.ts';
import type { PolicyIssue } from './model.ts';
import type { FileReading, PolicyReader, PolicyRequest } from './policy-source.ts';
import { PRESET_NAMES, readGroups, readPreset } from './presets.ts';
import { closestWord } from './spelling.ts';
import { parseSubject } from './subject.ts';

/** `locks: false` reads no locks, for who makes one. */
export function resolveLayers(
  requests: readonly PolicyRequest[],
  reader: PolicyReader,
  options: { readonly locks?: boolean } = {},
): LayerSet {
  const resolution = new Resolution(reader);
  if (options.locks !== false) for (const request of requests) resolution.lock(request);
  const resolved = requests.map((request) => resolution.request(request));
  resolution.warnOfStaleLocks();
  return {
    layers: resolution.layers,
    shipped: resolution.shipped,
    phases: resolution.phases,
    resolved: resolved.filter((one) => one !== null),
    files: [...resolution.files].sort(),
    readings: resolution.readings,
    used: resolution.used,
    issues: resolution.issues,
  };
}

/** Where a name stands: what its relative files are relative to, and how issues about it are placed. */
interface Place {
  readonly directory: string;
  readonly at: Position;
  readonly issues: IssueList;
  readonly depth: number;
}

class Resolution {
  readonly layers: Layer[] = [];
  readonly shipped: ShippedName[] = [];
  phases: PhaseNames | null = null;
  readonly files = new Set<string>();
  readonly #reader: PolicyReader;
  readonly #lists: IssueList[] = [];
  /** By identity (real path, preset, group). What failed has been reported and is not tried again. */
  readonly #done = new Map<string, Resolved | 'open' | 'failed'>();
  readonly readings = new Map<string, FileReading>();
  readonly used: string[] = [];
  readonly #locks: LockSet;

  constructor(reader: PolicyReader) {
    this.#reader = reader;
    this.#locks = new LockSet(reader);
  }

  /** Reads the lock beside a file that is asked for; to be called for all before any is resolved. */
  lock(request: PolicyRequest): void {
    if (request.kind !== 'named' || !isFileName(request.name) || request.name.includes('\0')) return;
    const named = path.resolve(this.#reader.directory, request.name);
    this.#locks.load(
      named,
      (file) => this.#label(file),
      (file) => this.#list(file),
    );
    for (const file of this.#locks.files) this.files.add(file);
  }

  warnOfStaleLocks(): void {
    this.#locks.warnOfStale(this.readings, this.used);
  }

  get issues(): readonly PolicyIssue[] {
    return this.#lists.flatMap((list) => list.issues);
  }

  request(request: PolicyRequest): Resolved | null {
    if (request.kind === 'allow') return this.#allow(request.host);
    if (request.kind === 'text') {
      const issues = this.#list(request.file);
      return this.#text(request.text, request.file, request.directory, issues, 0);
    }
    const place = {
      directory: this.#reader.directory,
      at: NOWHERE,
      issues: this.#list('--policy'),
      depth: 0,
    };
    return this.#named(request.name, place);
  }

  #list(file: string): IssueList {
    const list = new IssueList(file);
    this.#lists.push(list);
    return list;
  }

  #named(text: string, place: Place): Resolved | null {
    if (place.depth > POLICY_LIMITS.extendsDepth) {
      const most = POLICY_LIMITS.extendsDepth;
      place.issues.error(place.at, `extends reaches more than ${most} levels deep`, 'Extend fewer levels.');
      return null;
    }
    if (isFileName(text)) return this.#file(text, place);
    const isShipped = /^(group|preset):/.test(text);
    const bare = PRESET_NAMES.includes(text) ? `preset:${text}` : `group:${text}`;
    return this.#shipped(isShipped ? text : bare, place);
  }

  #shipped(identity: string, place: Place): Resolved | null {
    const name = identity.slice(identity.indexOf(':') + 1);
    const isPreset = identity.startsWith('preset:');
    if (!/^(group|preset):/.test(place.issues.file)) {
      this.shipped.push({ text: identity, at: place.issues.origin(place.at) });
    }
    if (!this.used.includes(identity)) this.used.push(identity);
    return this.#once(identity, place, () =>
      isPreset ? this.#preset(name, place) : this.#group(name, place),
    );
  }

  /** Everything is united once, however many paths lead to it; a path back to where it began is refused. */
  #once(identity: string, place: Place, resolve: () => Resolved | null): Resolved | null {
    const known = this.#done.get(identity);
    if (known === 'failed') return null;
    if (known === 'open') {
      place.issues.error(place.at, 'extends leads back to the same policy', 'Remove one of the two extends.');
      return null;
    }
    if (known !== undefined) return known;
    this.#done.set(identity, 'open');
    const resolved = resolve();
    this.#done.set(identity, resolved ?? 'failed');
    return resolved;
  }

  #preset(name: string, place: Place): Resolved | null {
    const locked = this.#locks.contentOf(`preset:${name}`);
    if (locked?.content.kind === 'preset') {
      const { directory } = this.#reader;
      return this.#document(
        locked.content.document,
        locked.label,
        directory,
        this.#list(locked.label),
        place.depth,
      );
    }
    if (!PRESET_NAMES.includes(name)) return this.#unknown(name, PRESET_NAMES, place);
    const tree = readPreset(name, this.#reader.readData);
    if (tree === null) return this.#damaged(place);
    const file = `preset:${name}`;
    const issues = this.#list(file);
    const document = decodeDocument(tree, issues, true);
    return document === null
      ? null
      : this.#document(document, file, this.#reader.directory, issues, place.depth);
  }

  #group(text: string, place: Place): Resolved | null {
    const { name, part } = splitGroupName(text);
    const locked = this.#locks.contentOf(`group:${text}`);
    if (locked?.content.kind === 'group') return this.#hosts(text, name, locked.content, locked.label);
    const groups = readGroups(this.#reader.readData);
    if (groups === null) return this.#damaged(place);
    const group = groups.get(name);
    if (group === undefined) return this.#unknown(name, [...PRESET_NAMES, ...groups.keys()], place);
    const hosts = hostsOf(group, part);
    if (hosts === null) return this.#unknown(text, quietNames(groups), place);
    return this.#hosts(text, name, hosts, `group:${text}`);
  }

  #hosts(text: string, name: string, { verb, hosts }: GroupHosts, label: string): Resolved {
    const issues = this.#list(label);
    const rules = hosts.flatMap((host): DraftRule[] => {
      const subject = parseSubject(host);
      if (!subject.ok) {
        issues.error(NOWHERE, subject.message, 'Install sand anew.');
        return [];
      }
      return [{ ...(verb === 'allow' ? PLAIN_GRANT : PLAIN_MUTE), subjects: [subject.value] }];
    });
    this.layers.push({ name: text.replace('/', '-'), file: issues.file, rules });
    return { name, mode: null, limits: [], requires: [] };
  }

  #file(text: string, place: Place): Resolved | null {
    if (text.includes('\0')) {
      place.issues.error(place.at, 'a file name holds a NUL', 'Name a file.');
      return null;
    }
    const named = path.resolve(place.directory, text);
    const known = this.readings.get(named);
    if (known === undefined && this.readings.size >= POLICY_LIMITS.files) {
      place.issues.error(place.at, `a policy consists of at most ${POLICY_LIMITS.files} files`, 'Join some.');
      return null;
    }
    const reading = known ?? this.#reader.readFile(named);
    this.readings.set(named, reading);
    if (reading.kind === 'missing') return this.#missing(text, place);
    if (reading.kind === 'unreadable') {
      place.issues.error(place.at, `${text} cannot be read: ${reading.detail}`, 'Name a readable file.');
      return null;
    }
    // A link inside the working tree decides what is read as much as the file behind it does.
    this.files.add(named).add(reading.realPath);
    const label = this.#label(named);
    return this.#once(`file:${reading.realPath}`, place, () =>
      this.#text(reading.bytes, label, path.dirname(named), this.#list(label), place.depth),
    );
  }

  #text(
    text: Uint8Array | string,
    file: string,
    directory: string,
    issues: IssueList,
    depth: number,
  ): Resolved | null {
    const tree = parseDocument(text, file);
    if (!tree.ok) {
      for (const { at, message, hint } of tree.issues) issues.error(at, message, hint);
      return null;
    }
    const document = decodeDocument(tree.value, issues, false);
    return document === null ? null : this.#document(document, file, directory, issues, depth);
  }

  #document(
    document: PolicyDocument,
    file: string,
    directory: string,
    issues: IssueList,
    depth: number,
  ): Resolved {
    const name = document.name ?? nameFromFile(file);
    const bases = document.extends
      .map(({ text, at }) => this.#named(text, { directory, at, issues, depth: depth + 1 }))
      .filter((base) => base !== null);
    this.layers.push({ name, file, rules: document.rules, stated: document });
    this.#addPhases(document, name, file, issues);
    const inherited = strictestMode(bases.map((base) => base.mode));
    if (document.mode?.value === 'report' && inherited === 'enforce') {
      issues.warning(
        'mode-ignored',
        document.mode.at,
        'mode: report has no effect, since what this extends is enforced and the strictest holds',
        'Remove it, or extend groups and report policies only.',
      );
    }
    return {
      name,
      mode: strictestMode([document.mode?.value ?? null, inherited]) ?? 'enforce',
      limits: [document.limits, ...bases.flatMap((base) => base.limits)],
      requires: [document.requires, ...bases.flatMap((base) => base.requires)],
    };
  }

  /** Phases of several documents would have no order among them, so one document has them all. */
  #addPhases({ phases }: PolicyDocument, name: string, file: string, issues: IssueList): void {
    const [first] = phases;
    if (first === undefined) return;
    if (this.phases !== null) {
      const where = this.phases.at.file;
      issues.error(first.at, `the phases of this policy stand in ${where} already`, 'Keep them in one file.');
      return;
    }
    this.phases = { names: phases.map((phase) => phase.name), at: issues.origin(first.at) };
    for (const { name: phase, rules } of phases) {
      this.layers.push({ name: `${name}/${phase}`, file, rules, phase });
    }
  }

  #allow(host: string): Resolved | null {
    const issues = this.#list('--allow');
    const rule = parseAllowFlag(host, issues);
    if (rule === null) return null;
    this.layers.push({ name: 'command-line', file: issues.file, rules: [rule] });
    return { name: 'command-line', mode: null, limits: [NO_LIMITS], requires: [] };
  }

  #label(absolute: string): string {
    const relative = path.relative(this.#reader.directory, absolute);
    return relative === '' || relative.startsWith('..') ? absolute : relative;
  }

  #missing(text: string, place: Place): null {
    const name = path.basename(text).replace(/\.[^.]*$/, '');
    const hint = PRESET_NAMES.includes(name)
      ? `Write ${name} for the preset, or check the path.`
      : 'Check the path; relative files are relative to the policy that extends them.';
    place.issues.error(place.at, `there is no file ${text}`, hint, 'missing');
    return null;
  }

  #unknown(name: string, known: readonly string[], place: Place): null {
    const close = closestWord(name, known);
    const hint =
      close === null
        ? `Presets are ${PRESET_NAMES.join(', ')}; a file is named with its ending or a "/".`
        : `Did you mean "${close}"?`;
    place.issues.error(place.at, `there is no preset or group "${name}"`, hint, 'missing');
    return null;
  }

  #damaged(place: Place): null {
    place.issues.error(place.at, 'the data that comes with sand is missing or damaged', 'Install sand anew.');
    return null;
  }
}
