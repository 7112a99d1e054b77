import { describe, expect, it } from 'vitest';
import { inputVariable, parseInputs } from '../../action/inputs.ts';

function parse(inputs: Readonly<Record<string, string>>) {
  const variables = Object.entries(inputs).map(([name, value]) => [inputVariable(name), value]);
  return parseInputs(Object.fromEntries(variables), 'sand-egress@1.0.0');
}

describe('inputs', () => {
  it('are read under the runner’s own names', () => {
    expect(inputVariable('github-token')).toBe('INPUT_GITHUB-TOKEN');
    expect(inputVariable('a b')).toBe('INPUT_A_B');
  });

  it('have a meaning where they are not given', () => {
    const parsed = parse({ run: 'npm test' });
    expect(parsed).toMatchObject({
      ok: true,
      inputs: {
        mode: 'run',
        shell: 'bash --noprofile --norc -eo pipefail {0}',
        failOn: ['denied', 'drift'],
        sand: 'sand-egress@1.0.0',
        setup: false,
        hostEnv: [],
        env: [],
      },
    });
    expect(parse({ mode: 'diff' })).toMatchObject({ inputs: { failOn: ['widen'] } });
  });

  it.each([
    [{}, '`run` is empty'],
    [{ mode: 'walk', run: 'x' }, '`mode: walk`'],
    [{ mode: 'shell', run: 'x' }, '`run` has no meaning'],
    [{ run: 'x', setup: 'yes' }, '`setup: yes`'],
    [{ run: 'x', 'fail-on': 'widen' }, '`fail-on: widen`'],
    [{ mode: 'diff', 'fail-on': 'denied' }, '`fail-on: denied`'],
    [{ run: 'x', 'fail-on': 'none,denied' }, 'none stands alone'],
    [{ mode: 'shell', baseline: 'x.json' }, '`baseline` is of one command'],
    [{ run: 'x', shell: 'zsh' }, '`shell: zsh`'],
    [{ run: 'x', shell: 'toString' }, '`shell: toString`'],
    [{ run: 'x', env: 'A-B' }, '`env`: A-B'],
    [{ run: 'x', env: '*' }, '`env`: *'],
    [{ run: 'x', 'host-env': 'GITHUB_TOKEN' }, 'never taken from a guest'],
    [{ run: 'x', flags: '--verbose\n--' }, '`flags`: --'],
    [{ run: 'x', flags: 'npm test' }, '`flags`: npm test'],
    [{ run: 'x', name: '<!-- x' }, '`name`'],
  ])('are refused with what to write: %j', (inputs, said) => {
    const parsed = parse(inputs);
    expect(parsed.ok ? [] : parsed.issues.join('\n')).toContain(said);
  });
});
