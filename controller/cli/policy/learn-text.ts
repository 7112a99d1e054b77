/** What was learnt, as lines for a person and as JSON. Everything in it came from logs: whoever prints it escapes it. */
import type { LeftOut, NeededHost } from '../../../audit/needs.ts';
import { pasteLine } from '../../../policies/edit/rule-text.ts';
import { formatHost } from '../../../policies/hostname.ts';
import type { Learnt } from '../../../policies/learn/learn.ts';
import { REASONS } from '../../../policies/reasons.ts';

export interface LearnReport {
  readonly needs: readonly NeededHost[];
  readonly leftOut: readonly LeftOut[];
  readonly learnt: Learnt;
  readonly runs: number;
  /** Lines of the logs that are no events. */
  readonly faults: number;
}

const LEFT_OUT: Readonly<Record<string, string>> = {
  muted: 'a mute rule covers it',
  'looked-up-only': 'it was looked up and never connected to, so its port is not known',
  'no-name': 'it is no name and no address',
  'private-address': 'it is no public address; an address rule opens it',
  'own-name': 'a name of sand itself',
  'too-many': 'more than a policy should hold',
};

/** Lists that are told to a person. */
const SHOWN = 20;

export function formatLearnt(report: LearnReport): readonly string[] {
  const { needs, leftOut, learnt, runs, faults } = report;
  const hosts = new Set(learnt.hosts.map(formatHost));
  const lacking = needs.filter(({ host }) => hosts.has(formatHost(host)));
  const head = `${count(runs, 'run')} needed ${count(needs.length, 'host')}, of which the policy lacks ${lacking.length}`;
  const others = [
    ...leftOut.map(({ host, port, reason, count: times }) => ({ host, port, why: whyOf(reason), times })),
    ...learnt.refused.map(({ host, port, reason }) => {
      return { host: formatHost(host), port, why: whyOf(reason), times: 1 };
    }),
  ];
  return [
    head,
    ...cut(lacking.map(formatNeed)),
    ...(others.length === 0 ? [] : ['left out:']),
    ...cut(others.map(({ host, port, why }) => `  ${host}${port === null ? '' : `:${port}`}: ${why}`)),
    ...(faults === 0 ? [] : [`${count(faults, 'line')} of the logs could not be read`]),
    ...formatProposals(learnt),
    '',
  ];
}

function formatNeed({ host, uses, count: times, runs, first }: NeededHost): string {
  const ports = uses.map(({ protocol, port }) => `${protocol} ${port}`).join(', ');
  const inRuns = runs > 1 ? ` in ${runs} runs` : '';
  return `  ${formatHost(host)} (${ports}): ${count(times, 'time')}${inRuns}, first by ${first.command} (${first.run})`;
}

function formatProposals({ groups, wildcards }: Learnt): readonly string[] {
  return [
    ...(groups.length === 0 ? [] : ['groups that hold several of them:']),
    ...groups.slice(0, 5).map(({ name, covers, opens }) => {
      const more =
        opens.length === 0 ? 'nothing besides' : `${opens.length} more: ${opens.slice(0, 5).join(', ')}`;
      const rest = opens.length > 5 ? ', ...' : '';
      return `  --extend ${name} holds ${covers.join(', ')} and opens ${more}${rest}`;
    }),
    ...wildcards.map(
      ({ pattern, replaces }) =>
        `wildcard: ${pattern} for ${replaces.join(', ')} opens every other name there`,
    ),
  ];
}

function whyOf(reason: LeftOut['reason']): string {
  return LEFT_OUT[reason] ?? REASONS[reason as keyof typeof REASONS] ?? reason;
}

function cut(lines: readonly string[]): readonly string[] {
  const more = lines.length - SHOWN;
  return more > 0 ? [...lines.slice(0, SHOWN), `  and ${more} more`] : lines;
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`;
}

export function describeLearnt({ needs, leftOut, learnt, runs, faults }: LearnReport) {
  const hosts = new Set(learnt.hosts.map(formatHost));
  const refused = learnt.refused.map(({ host, port, reason }) => ({
    host: formatHost(host),
    port,
    reason,
    count: 1,
  }));
  return {
    runs,
    faults,
    needs: needs.map(({ host, ...need }) => ({
      host: formatHost(host),
      ...need,
      isLearnt: hosts.has(formatHost(host)),
    })),
    leftOut: [...leftOut, ...refused],
    rules: learnt.rules.map(pasteLine),
    groups: learnt.groups,
    wildcards: learnt.wildcards,
  };
}
