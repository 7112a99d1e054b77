/** Which rules, and which groups that are extended, allow hosts that something is known against. */
import type { Extension } from '../decode.ts';
import { hostsOf, splitGroupName } from '../group-name.ts';
import type { Rule } from '../model.ts';
import { type DataReader, readGroups } from '../presets.ts';
import { type HostRisk, takesRisk } from '../risks.ts';
import type { RuleIndex } from '../rule-index.ts';
import { formatSubject } from '../subject.ts';
import { candidates, coversSubject } from './coverage.ts';
import { advise, type PolicyFinding } from './finding.ts';
import { CHECK_LIMITS } from './limits.ts';

/** A low note is for who chooses, not for who checks. A rule over single methods or paths has heeded it. */
export function riskyHosts(
  rule: Rule,
  index: RuleIndex,
  risks: readonly HostRisk[],
): readonly PolicyFinding[] {
  if (rule.verb !== 'allow' || rule.methods !== undefined || rule.paths !== undefined) return [];
  return rule.subjects.flatMap((subject) => {
    if (subject.kind !== 'names') return [];
    const taken = risks.filter(
      (risk) => !risk.note.startsWith('low') && takesRisk(subject.pattern, risk) && !isDenied(index, risk),
    );
    const [first] = taken;
    if (first === undefined) return [];
    const text = formatSubject(subject);
    const others = taken.length - 1;
    const more = others === 0 ? '' : ` and ${others} more with a risk note`;
    return [
      advise(
        first.isUserContent ? 'user-content' : 'risky-host',
        rule,
        `${text === first.pattern.text ? text : `${text} allows ${first.pattern.text}`}${more}: ${first.note.replace(/\.$/, '')}`,
        'Remove it, narrow it, or say with because: why the guest needs it.',
      ),
    ];
  });
}

function isDenied(index: RuleIndex, { pattern }: HostRisk): boolean {
  const subject = { kind: 'names', pattern } as const;
  return candidates(index.deny, subject).some(
    ({ report, subjects }) => report !== true && subjects.some((outer) => coversSubject(outer, subject)),
  );
}

/** Notes, since who names a group has been told by `sand policy groups` what is in it. */
export function riskyGroups(
  extensions: readonly Extension[],
  file: string,
  index: RuleIndex,
  risks: readonly HostRisk[],
  read: DataReader,
): readonly PolicyFinding[] {
  const groups = readGroups(read);
  return extensions.flatMap(({ text, at }) => {
    const { name, part } = splitGroupName(text.replace(/^group:/, ''));
    const group = groups?.get(name);
    const said = group === undefined ? null : hostsOf(group, part);
    if (said === null || said.verb !== 'allow') return [];
    const { hosts } = said;
    const high = risks.filter(
      (risk) => hosts.includes(risk.pattern.text) && risk.note.startsWith('high') && !isDenied(index, risk),
    );
    if (high.length === 0) return [];
    const names = high.slice(0, CHECK_LIMITS.names).map(({ pattern }) => pattern.text);
    const more = high.length > names.length ? ` and ${high.length - names.length} more` : '';
    const code = high.every(({ isUserContent }) => isUserContent) ? 'user-content' : 'risky-host';
    return [
      {
        severity: 'note',
        code,
        message: `${text} allows ${names.join(', ')}${more}, with a high risk note`,
        hint: `Read what sand policy groups ${name} says of it.`,
        at: { file, ...at },
      } as const,
    ];
  });
}
