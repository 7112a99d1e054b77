import { describe, expect, it } from 'vitest';
import { SandError } from '../../../controller/errors.ts';
import { requireIsolation } from '../../../controller/run/run-facts.ts';
import { ISOLATIONS, type Isolation } from '../../../policies/requirements.ts';
import { policyOf } from './policies.ts';

function refusal(inForce: ReturnType<typeof policyOf>, isolation: Isolation): SandError | null {
  try {
    requireIsolation(inForce, isolation);
    return null;
  } catch (error) {
    if (error instanceof SandError) return error;
    throw error;
  }
}

const requiring = (isolation: Isolation, name = 'vault') =>
  policyOf(`version: 1\nname: ${name}\nrequires: {isolation: ${isolation}}\n`);

describe('the isolation that a policy requires', () => {
  it('is had by guests of that kind and of stronger ones, and by no others', () => {
    const started = ISOLATIONS.map((wanted) =>
      ISOLATIONS.filter((isolation) => refusal(requiring(wanted), isolation) === null),
    );
    expect(started).toEqual([['namespaces', 'gvisor', 'vm'], ['gvisor', 'vm'], ['vm']]);
    expect(refusal(policyOf('version: 1\n'), 'namespaces')).toBeNull();
  });

  it('is told with the policy that requires most, what the guest has, and what to do', () => {
    const { policy } = requiring('gvisor', 'own');
    const inForce = { policy, ceilings: [requiring('vm', 'owner').policy] };
    expect(refusal(inForce, 'gvisor')).toMatchObject({
      code: 'isolation-required',
      message: 'the policy owner requires isolation vm at least, and the isolation of this guest is gvisor',
      hint: 'start the guest with `--isolation vm`, or under another policy',
    });
    expect(refusal({ policy, ceilings: [] }, 'namespaces')?.hint).toContain('`--isolation gvisor`');
  });
});
