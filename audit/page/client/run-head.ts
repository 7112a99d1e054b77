/** What ran, under which policy, how it was shut in, how it ended, and whether its log is what was written. */
import type { PageChain, PageRun, PageSummary } from '../model.ts';
import { type Child, el, seen } from './dom.ts';
import { formatCommand, formatDuration, formatTime, plural } from './words.ts';

/** Runs whose heads stand open. */
const OPEN_RUNS = 1;

/** Facts that get a line of their own. */
const LONG: readonly string[] = ['Digest', 'Layers', 'Before'];

const CAUSE_TEXT: Readonly<Record<NonNullable<PageRun['end']>['cause'], string>> = {
  exit: 'the command ended',
  signal: 'ended by a signal',
  timeout: 'the time limit was reached',
  stop: 'stopped from the host',
  error: 'sand failed',
  probe: 'a start probe stopped it',
};

export function runHeads({ runs }: PageSummary): readonly Node[] {
  if (runs.length === 0) return [el('p', { class: 'empty' }, 'No run.')];
  return runs.map((run) =>
    runs.length <= OPEN_RUNS
      ? el('article', { class: 'run' }, ...headOf(run))
      : el(
          'details',
          { class: 'run' },
          el('summary', {}, el('code', { class: 'command' }, commandOf(run)), ...badges(run), idOf(run)),
          ...headOf(run).slice(1),
        ),
  );
}

function headOf(run: PageRun): readonly Child[] {
  return [
    el('div', { class: 'run-title' }, el('code', { class: 'command' }, commandOf(run)), ...badges(run)),
    el('dl', { class: 'facts' }, ...factsOf(run).map(([label, ...value]) => fact(label, value))),
    findings(run),
  ];
}

function commandOf(run: PageRun): string {
  return run.command.length === 0 ? '(the log does not say what ran)' : seen(formatCommand(run.command));
}

function idOf(run: PageRun): Child {
  return el('span', { class: 'dim' }, seen(run.id));
}

function badges(run: PageRun): readonly Child[] {
  const { chain, end, policy } = run;
  const report = policy !== null && policy.mode !== 'enforce';
  return [
    end === null
      ? el('span', { class: 'badge warn' }, 'no end')
      : el('span', { class: `badge ${end.exitCode === 0 ? 'good' : 'bad'}` }, `exit ${end.exitCode}`),
    policy === null ? null : el('span', { class: `badge ${report ? 'warn' : 'plain'}` }, seen(policy.mode)),
    run.confinement === null
      ? null
      : el(
          'span',
          { class: `badge ${run.confinement === 'enforced' ? 'plain' : 'warn'}` },
          seen(run.confinement),
        ),
    el('span', { class: `badge ${CHAIN_CLASS[chain.state]}` }, CHAIN_TEXT[chain.state]),
    el('span', { class: 'badge plain' }, run.signed ? 'signed' : 'not signed'),
  ];
}

const CHAIN_CLASS = { sealed: 'good', unsealed: 'warn', broken: 'bad' } as const;
const CHAIN_TEXT = {
  sealed: 'log intact, sealed',
  unsealed: 'log not sealed',
  broken: 'log broken',
} as const;

function factsOf(run: PageRun): readonly (readonly [string, ...Child[]])[] {
  const { policy, end } = run;
  const facts: (readonly [string, ...Child[]])[] = [];
  const put = (label: string, value: string | null) => {
    if (value !== null && value !== '') facts.push([label, seen(value)]);
  };
  put('Run', run.name === null ? run.id : `${run.id} (${run.name})`);
  put('Policy', policy === null ? null : `${policy.name}, mode ${policy.mode}`);
  put('Phases', policy === null ? null : policy.phases.join(', '));
  put('Guest', run.backend === null ? null : `${run.backend}, isolation ${run.isolation}`);
  put('Confinement', run.confinement);
  put('Image', run.image);
  put('In', run.workdir);
  put('Start', run.startMs === null ? null : formatTime(run.startMs));
  put('End', end === null ? 'no end in the log' : formatTime(end.atMs));
  if (end !== null) put('Took', formatDuration(end.durationMs));
  if (end !== null) put('Exit', `${end.exitCode}, ${CAUSE_TEXT[end.cause]}`);
  facts.push(['Log', describeChain(run.chain)]);
  put('Signature', describeSignature(run));
  put('Processes', run.attribution === 'process' ? 'told for each request' : 'not told by this backend');
  put('Made by', run.sand === null ? null : `sand ${run.sand}`);
  put('Before', run.before.join('; '));
  if (policy !== null) facts.push(['Digest', el('code', { class: 'digest' }, seen(policy.digest))]);
  put('Layers', policy === null ? null : policy.layers.join(', '));
  return facts;
}

function describeChain(chain: PageChain): string {
  switch (chain.state) {
    case 'sealed':
      return `${plural(chain.events, 'line')}, chain intact, sealed`;
    case 'unsealed':
      return `${plural(chain.events, 'line')}, chain intact, no seal: the run still goes on, was killed, or the log was cut`;
    case 'broken':
      return `broken at line ${chain.line}${chain.segment > 1 ? ` of file ${chain.segment}` : ''}: ${seen(chain.detail)}`;
  }
}

function describeSignature(run: PageRun): string {
  if (run.signed) return `by key ${run.key ?? 'unknown'}; checked by sand audit verify, not by this page`;
  return run.key === null ? 'none' : `none, though the log names the key ${run.key}`;
}

function findings(run: PageRun): Child {
  if (run.findingCount === 0) return null;
  const words = { probe: 'probe failed', notice: 'notice', line: 'unreadable' } as const;
  const more = run.findingCount - run.findings.length;
  return el(
    'ul',
    { class: 'findings', 'aria-label': 'Findings' },
    ...run.findings.map(({ kind, code, detail }) =>
      el('li', {}, el('strong', {}, `${words[kind]}: ${seen(code)}`), ` ${seen(detail)}`),
    ),
    more > 0 ? el('li', {}, `and ${plural(more, 'more finding')}`.replace('more findings', 'more')) : null,
  );
}

function fact(label: string, value: readonly Child[]): Child {
  return el(
    'div',
    { class: LONG.includes(label) ? 'long' : null },
    el('dt', {}, label),
    el('dd', {}, ...value),
  );
}
