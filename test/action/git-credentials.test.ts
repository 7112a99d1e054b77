import { describe, expect, it } from 'vitest';
import { holdsCredential } from '../../action/git-credentials.ts';

describe('a credential in git’s settings', () => {
  it.each([
    '[http "https://github.com/"]\n\textraheader = AUTHORIZATION: basic eC1h',
    '[http]\n\textraHeader = "Authorization: bearer x"',
    '[remote "origin"]\n\turl = https://x-access-token:ghs_abc@github.com/octo/project',
  ])('is found: %j', (text) => {
    expect(holdsCredential(text)).toBe(true);
  });

  it.each([
    '[remote "origin"]\n\turl = https://github.com/octo/project',
    '[remote "origin"]\n\turl = git@github.com:octo/project.git',
    '[remote "origin"]\n\turl = ssh://git@host.example:22/octo',
    '[includeIf "gitdir:/w/.git"]\n\tpath = /temp/git-credentials-1.config',
    '',
  ])('is not seen where there is none: %j', (text) => {
    expect(holdsCredential(text)).toBe(false);
  });
});
