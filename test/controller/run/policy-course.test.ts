import { describe, expect, it } from 'vitest';
import { PolicyCourse } from '../../../controller/run/policy-course.ts';
import { policyOf } from './policies.ts';

const TEXT =
  'version: 1\nphases:\n  setup: {rules: [allow: a.example]}\n  run: {rules: [allow: b.example]}\n';
const allowed = (course: PolicyCourse) => course.inForce.policy.rules.map(({ id }) => id);
const reread = (text: string) => ({ ok: true, inForce: policyOf(text) }) as const;

describe('the course of a run through its policy', () => {
  it('begins in the first phase and only goes forward, to the last and no further', () => {
    const course = new PolicyCourse(policyOf(TEXT));
    expect(course.position).toEqual({ phases: ['setup', 'run'], phase: 'setup', next: 'run' });
    expect(allowed(course)).toEqual(['policy/setup/allow:a.example']);
    expect([course.advance(), course.number]).toEqual([true, 2]);
    expect(allowed(course)).toEqual(['policy/run/allow:b.example']);
    expect([course.advance(), course.advance(), course.number]).toEqual([false, false, 2]);
    expect(course.position).toMatchObject({ phase: 'run', next: null });
  });

  it('without phases has nowhere to go', () => {
    const course = new PolicyCourse(policyOf('version: 1\nrules: [allow: a.example]\n'));
    expect(course.position).toEqual({ phases: [], phase: null, next: null });
    expect(course.advance()).toBe(false);
    expect(allowed(course)).toEqual(['policy/allow:a.example']);
  });

  it('keeps its phase when the policy is read again, and may get a later one', () => {
    const course = new PolicyCourse(policyOf(TEXT));
    course.advance();
    const next = course.reload(reread(`${TEXT.replace('b.example', 'c.example')}  after: {}\n`));
    expect(next).toEqual({ ok: true, inForce: course.inForce });
    expect(allowed(course)).toEqual(['policy/run/allow:c.example']);
    expect(course.position.next).toBe('after');
  });

  it.each([
    [
      'in another order',
      'version: 1\nphases: {run: {rules: [allow: b.example]}, setup: {rules: [allow: a.example]}}\n',
    ],
    ['renamed', TEXT.replace('setup', 'install')],
    ['gone', 'version: 1\nrules: [allow: a.example]\n'],
    ['fewer', 'version: 1\nphases: {setup: {rules: [allow: a.example]}}\n'],
  ])('stays as it is where the phases so far are %s', (_, text) => {
    const course = new PolicyCourse(policyOf(TEXT));
    course.advance();
    const before = course.inForce;
    expect(course.reload(reread(text))).toMatchObject({ ok: false });
    expect(course.inForce).toBe(before);
  });

  it('that has no phases gets none while the guest lives', () => {
    const course = new PolicyCourse(policyOf('version: 1\n'));
    expect(course.reload(reread(TEXT))).toMatchObject({ ok: false });
    expect(course.reload({ ok: false, problem: 'broken' })).toEqual({ ok: false, problem: 'broken' });
  });
});
