/** Below which names a policy allows anything, for whoever has to tell a guest's own resolver; what is allowed is for `evaluate.ts`. */
import type { HostPattern, PolicyInForce } from './model.ts';

/** Each the part of a pattern behind its last `*`, sorted, none of them below another; at most `most`, the first of them. */
export function allowedDomains({ policy }: PolicyInForce, most: number): readonly string[] {
  const rules = [policy, ...(policy.phases ?? []).map((phase) => phase.policy)].flatMap((one) => one.rules);
  const patterns = rules
    .filter(({ verb }) => verb === 'allow')
    .flatMap(({ subjects }) => subjects.flatMap((one) => (one.kind === 'names' ? [one.pattern] : [])));
  const domains = new Set(patterns.map(fixedPart).filter((domain) => domain !== ''));
  const isBelow = (domain: string) => {
    for (let at = domain.indexOf('.'); at >= 0; at = domain.indexOf('.', at + 1))
      if (domains.has(domain.slice(at + 1))) return true;
    return false;
  };
  return [...domains]
    .filter((domain) => !isBelow(domain))
    .sort()
    .slice(0, most);
}

function fixedPart({ labels }: HostPattern): string {
  return labels.slice(labels.findLastIndex((label) => label.includes('*')) + 1).join('.');
}
