import { expect, it } from 'vitest';
import { adviceAfter } from '../../../controller/audit-ui/next-step.ts';

const start = (...layers: readonly string[]) => ({
  policy: { name: 'p', digest: 'sha256:0', mode: 'enforce', layers },
});
const web = { name: 'web' };

it.each([
  [{ plan: { file: 'sand.policy.yaml' }, start: null, state: null, inForce: false }, 'sand run -- COMMAND'],
  [
    { plan: { file: "it's.yaml" }, start: null, state: null, inForce: false },
    "sand run --policy 'it'\\''s.yaml' -- COMMAND",
  ],
  [{ plan: { file: 'p.yaml' }, start: start('p.yaml'), state: web, inForce: true }, null],
  [
    {
      plan: { file: 'p.yaml' },
      start: start('strict', 'group:github-core', './p.yaml', '--allow x.example'),
      state: web,
      inForce: false,
    },
    'sand policy set web strict group:github-core p.yaml',
  ],
])('names the command that is left to type: %#', (written, command) => {
  expect(adviceAfter(written).command).toBe(command);
});
