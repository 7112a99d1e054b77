/** Which links a guest of Tart may be given, and under which policies: what each is said to be, and what is refused. */
import { describe, expect, it } from 'vitest';
import { planRun } from '../../../../controller/backends/tart/argv.ts';
import { createTartBackend } from '../../../../controller/backends/tart/backend.ts';
import { explainLists, parseTarget } from '../../../../controller/backends/tart/softnet-model.ts';
import { SandError } from '../../../../controller/errors.ts';
import { describeReach, requireLink, requireOffer } from '../../../../controller/run/run-facts.ts';
import type { PolicyInForce } from '../../../../policies/model.ts';
import { policyOf } from '../../run/policies.ts';

const RULES = 'rules:\n  - allow: example.com\n';
const ENFORCING = policyOf(`version: 1\n${RULES}`);
const WATCHING = policyOf(`version: 1\nmode: report\n${RULES}`);
const REQUIRING = policyOf(`version: 1\nmode: report\nrequires: {confinement: enforced}\n${RULES}`);

function refusalOf(link: string, inForce: PolicyInForce): SandError | null {
  try {
    requireOffer(inForce, { backend: createTartBackend(link), isolation: 'namespaces' });
    return null;
  } catch (error) {
    if (error instanceof SandError) return error;
    throw error;
  }
}

describe('the links of a guest of Tart', () => {
  it('are what they are said to be', () => {
    const said = ['ethernet', 'softnet', 'nat', 'no-such'].map((link) => {
      const { capabilities } = createTartBackend(link);
      return `${capabilities.link} ${capabilities.confinement} ${capabilities.transparent}`;
    });
    expect(said).toEqual([
      'ethernet enforced true',
      'softnet cooperative false',
      'nat cooperative false',
      'ethernet enforced true',
    ]);
    expect(describeReach(createTartBackend())).toBeNull();
    expect(describeReach(createTartBackend('softnet'))).toContain(
      'every port of the host, among them the host\u2019s SSH server',
    );
    expect(describeReach(createTartBackend('nat'))).toContain('every address');
  });

  it('softnet-requires-enforced: a policy that wants enforcement is refused with what is in reach', () => {
    const refusal = refusalOf('softnet', REQUIRING);
    expect(refusal).toMatchObject({ code: 'confinement-required' });
    expect(refusal?.message).toContain('every port of the host');
    expect(refusalOf('ethernet', REQUIRING)).toBeNull();
  });

  it('nat-requires-enforced: also one that only watches', () => {
    expect(refusalOf('nat', REQUIRING)?.message).toContain('requires enforced confinement');
  });

  it('softnet-block-all: everything but the host is blocked, before anything is allowed', () => {
    const words = planRun({ name: 'sand-1', card: 'softnet', vnc: false, shares: [] });
    expect(words).toContain('--net-softnet-block=0.0.0.0/0');
    const listOf = (option: string) =>
      (
        words
          .find((word) => word.startsWith(`${option}=`))
          ?.slice(option.length + 1)
          .split(',') ?? []
      ).flatMap((text) => parseTarget(text) ?? expect.fail(text));
    const reached = explainLists({
      allow: listOf('--net-softnet-allow'),
      block: listOf('--net-softnet-block'),
    });
    expect(reached.length).toBeGreaterThan(0);
    expect(reached.filter((what) => !what.includes('host'))).toEqual([]);
  });

  it('nat-enforce: NAT is refused under a policy that is there to refuse', () => {
    expect(refusalOf('nat', ENFORCING)).toMatchObject({
      code: 'confinement-required',
      hint: expect.stringContaining('--learn'),
    });
    expect(refusalOf('nat', WATCHING)).toBeNull();
    expect(refusalOf('softnet', ENFORCING)).toBeNull();
  });

  it('nat-phase-enforce: no phase of it may be', () => {
    const [phase] =
      policyOf(`version: 1\n${RULES}phases:\n  one: {}\n  two: {}\n`).policy.phases ?? expect.fail();
    const policy = { ...WATCHING.policy, phases: phase === undefined ? [] : [phase] };
    expect(refusalOf('nat', { policy, ceilings: [] })).toMatchObject({ code: 'confinement-required' });
  });

  it('nat-ceiling: nor may the ceiling of the machine\u2019s owner', () => {
    expect(refusalOf('nat', { ...WATCHING, ceilings: [ENFORCING.policy] })).toMatchObject({
      code: 'confinement-required',
    });
  });

  it('have no others beside them', () => {
    const refusal = () => requireLink({ backend: createTartBackend('bridge'), link: 'bridge' });
    expect(refusal).toThrow(/--link bridge: guests of the tart backend are not given it/);
  });
});
