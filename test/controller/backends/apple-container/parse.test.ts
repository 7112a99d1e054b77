import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  parseComplaint,
  parseContainers,
  parseImages,
  parseSystemStatus,
  parseSystemVersions,
} from '../../../../controller/backends/apple-container/parse.ts';

function recorded(name: string): string {
  return readFileSync(join(import.meta.dirname, 'recorded', name), 'utf8');
}

describe('a container, as the tool tells of it', () => {
  it('reads in the shape of 1.x', () => {
    expect(parseContainers(recorded('inspect-1.2.2.json'))).toEqual([
      {
        volumes: [],
        id: 'sand-20261128-201500-k3f9',
        state: 'running',
        networks: 0,
        publishedPorts: 0,
        publishedSockets: 0,
        nameservers: ['127.0.0.1'],
        labels: { 'dev.sand.run': '20261128-201500-k3f9' },
        imageDigest: 'sha256:11',
        architecture: 'arm64',
        ssh: false,
      },
    ]);
  });

  it('reads in the shape of 0.x', () => {
    expect(parseContainers(recorded('ls-0.12.3.json'))).toMatchObject([
      { id: 'web', state: 'running', networks: 1, publishedPorts: 1, nameservers: [], ssh: true },
    ]);
  });

  it('has the networks of its status too, whatever its configuration says', () => {
    const [whole] = JSON.parse(recorded('inspect-1.2.2.json'));
    whole.status.networks = [{ network: 'default' }];
    expect(parseContainers(JSON.stringify([whole]))?.[0]?.networks).toBe(1);
  });

  it('without a list of networks does not read: nothing is taken for none', () => {
    const [whole] = JSON.parse(recorded('inspect-1.2.2.json'));
    delete whole.configuration.networks;
    expect(parseContainers(JSON.stringify([whole]))).toBeNull();
  });

  it('whose agent is anything but a plain no is told with one', () => {
    const [whole] = JSON.parse(recorded('inspect-1.2.2.json'));
    whole.configuration.ssh = 'maybe';
    expect(parseContainers(JSON.stringify([whole]))?.[0]?.ssh).toBe(true);
  });

  it.each(['', 'null', '{}', '[1]', '[{"configuration":{}}]', '[{"id":"x"}', 'Error: what'])(
    'is not read from %j',
    (text) => {
      expect(parseContainers(text)).toBeNull();
    },
  );

  it('survives any text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        parseContainers(text);
        parseImages(text);
        parseSystemStatus(text);
        parseSystemVersions(text);
        parseComplaint(text);
      }),
    );
  });
});

describe('what the tool says of itself', () => {
  it('has the versions of both its halves', () => {
    const text =
      '[{"appName":"container","buildType":"release","commit":"0190097d","version":"1.2.2"},' +
      '{"appName":"container-apiserver","buildType":"release","commit":"0190097d","version":"container-apiserver version 1.2.1 (build: release, commit: 0190097)"}]';
    expect(parseSystemVersions(text)).toEqual({
      tool: { major: 1, minor: 2, patch: 2 },
      server: { major: 1, minor: 2, patch: 1 },
    });
  });

  it('has one where the server is down', () => {
    expect(parseSystemVersions('[{"appName":"container","version":"1.2.2"}]')?.server).toBeNull();
  });

  it('has a status, also with exit code 1', () => {
    expect(parseSystemStatus('{"status":"not running"}')).toEqual({ status: 'not running' });
  });

  it.each([
    ['Error: container not found: x\n', 'container not found: x'],
    ['warning first\nError: then this\n', 'then this'],
    ['no prefix at all\n', 'no prefix at all'],
    ['', ''],
  ])('complains in %j of %j', (stderr, said) => {
    expect(parseComplaint(stderr)).toBe(said);
  });
});

describe('an image, as the tool tells of it', () => {
  it('has its variants for Linux, and no attestation', () => {
    const text = JSON.stringify([
      {
        id: '33',
        configuration: {
          name: 'docker.io/library/debian:stable-slim',
          creationDate: '2026-08-05T05:41:02Z',
          descriptor: { digest: 'sha256:33', mediaType: 'x', size: 1 },
        },
        variants: [
          {
            platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
            digest: 'sha256:44',
            size: 2,
            config: { architecture: 'arm64', os: 'linux', config: { Cmd: ['bash'] } },
          },
          { platform: { os: 'unknown', architecture: 'unknown' }, digest: 'sha256:55', size: 3, config: {} },
        ],
      },
    ]);
    expect(parseImages(text)).toEqual([
      {
        date: '2026-08-05T05:41:02Z',
        name: 'docker.io/library/debian:stable-slim',
        digest: 'sha256:33',
        variants: [
          {
            architecture: 'arm64',
            config: '{"architecture":"arm64","os":"linux","config":{"Cmd":["bash"]}}',
          },
        ],
      },
    ]);
  });
});
