import { describe, expect, it } from 'vitest';
import {
  explainPull,
  hostOf,
  withoutPlatform,
} from '../../../../controller/backends/apple-container/pull-failure.ts';

const NAME = 'ghcr.io/acme/app:1';
const why = (said: string) => explainPull(said, NAME, 'linux/arm64');

describe('explainPull', () => {
  it.each([
    [
      'HTTP request to https://ghcr.io/v2/acme/app/manifests/1 failed with response: 401 Unauthorized',
      'sign in: container registry login ghcr.io',
    ],
    [
      'HTTP request to https://ghcr.io/token failed with response: 403 Forbidden. Reason: denied',
      'sign in: container registry login ghcr.io',
    ],
    [
      'HTTP request to https://ghcr.io/v2/acme/app/manifests/1 failed with response: 404 Not Found. Reason: MANIFEST_UNKNOWN',
      'check its name and its tag',
    ],
    ['The Internet connection appears to be offline. (NSURLErrorDomain -1009)', 'this machine’s own network'],
    ['failed to resolve hostname ghcr.io', 'this machine’s own network'],
    ['HTTPClientError.connectTimeout', 'this machine’s own network'],
    ['something else', 'container image pull ghcr.io/acme/app:1'],
    ['', 'container image pull ghcr.io/acme/app:1'],
  ])('makes of %j what to do', (said, hint) => {
    const error = why(said);
    expect([error.code, error.hint]).toEqual(['image-missing', expect.stringContaining(hint)]);
    expect(error.message).toContain(said);
  });

  it('tells a name that does not parse, and a platform that is not there', () => {
    expect(why("cannot parse image reference 'x'").code).toBe('usage');
    expect(why('unsupported: platform linux/arm64/v8 not found')).toMatchObject({
      code: 'image-invalid',
      hint: expect.stringContaining('--platform linux/amd64'),
    });
  });
});

describe('withoutPlatform', () => {
  it('names what is there, and offers nothing that was refused', () => {
    expect(withoutPlatform(NAME, 'linux/arm64', ['linux/amd64']).message).toBe(
      'ghcr.io/acme/app:1 has nothing for linux/arm64, only for linux/amd64',
    );
    expect(withoutPlatform(NAME, 'linux/amd64', []).hint).toBe('name another image');
  });
});

describe('hostOf', () => {
  it.each([
    ['node', 'docker.io'],
    ['acme/app', 'docker.io'],
    ['localhost/app', 'localhost'],
    ['127.0.0.1:5000/app', '127.0.0.1:5000'],
    [NAME, 'ghcr.io'],
  ])('of %s is %s', (reference, host) => expect(hostOf(reference)).toBe(host));
});
