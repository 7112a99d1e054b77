import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { setEmulator } from './container/emulation.ts';
import { createEmulated, type Emulated, WITHOUT_GUESTS } from './container-call.ts';

const DATE = /"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"/g;

describe('what the emulated container prints', () => {
  let emulated: Emulated;
  beforeAll(async () => {
    emulated = createEmulated();
    const names = [
      '--dns',
      '127.0.0.1',
      '--label',
      'dev.sand.run=x',
      '-v',
      '/usr/share:/data:ro',
      '--cap-drop',
      'all',
      '--cap-add',
      'net_admin',
    ];
    await emulated.call(
      'create',
      '--name',
      'shown',
      '--network',
      'none',
      ...names,
      '--user',
      '0:0',
      '-e',
      'A=/b',
      '--',
      'host',
      'sleep',
      '100',
    );
  });
  afterAll(() => emulated.end());

  const shown = (text: string) =>
    text
      .replace(DATE, '"DATE"')
      .replace(/"(amd64|arm64)"/g, '"ARCH"')
      .replace(/,"variant":"v8"/g, '');

  it('is on one line with sorted keys and escaped slashes in ls', async () => {
    const { stdout } = await emulated.call('ls', '-a', '--format', 'json');
    expect(shown(stdout)).toBe(
      '[{"configuration":{"capAdd":["CAP_NET_ADMIN"],"capDrop":["ALL"],"creationDate":"DATE","dns":{"nameservers":["127.0.0.1"],"options":[],"searchDomains":[]},' +
        '"id":"shown","image":{"descriptor":{"digest":"sha256:51a76fbd874f49f5b55e30d3150937d5cb4b2f68fbab1983f71d296a79a19de9","mediaType":"application\\/vnd.oci.image.index.v1+json","size":4096},' +
        '"reference":"docker.io\\/library\\/host:latest"},"initProcess":{"arguments":["100"],"environment":["PATH=\\/usr\\/local\\/bin:\\/usr\\/bin:\\/bin","A=\\/b"],"executable":"sleep",' +
        '"rlimits":[],"supplementalGroups":[],"terminal":false,"user":{"raw":{"userString":"0:0"}},"workingDirectory":"\\/"},"labels":{"dev.sand.run":"x"},' +
        '"mounts":[{"destination":"\\/data","options":["ro"],"source":"\\/usr\\/share","type":{"virtiofs":{}}}],"networks":[],"platform":{"architecture":"ARCH","os":"linux"},' +
        '"publishedPorts":[],"publishedSockets":[],"readOnly":false,"resources":{"cpuOverhead":1,"cpus":4,"memoryInBytes":1073741824},"rosetta":false,' +
        '"runtimeHandler":"container-runtime-linux","ssh":false,"sysctls":{},"useInit":false,"virtualization":false},"id":"shown","status":{"networks":[],"state":"stopped"}}]\n',
    );
  });

  it('is pretty in inspect, and the same value', async () => {
    const listed = await emulated.call('ls', '-a', '--format', 'json');
    const inspected = await emulated.call('inspect', 'shown');
    expect(JSON.parse(inspected.stdout)).toEqual(JSON.parse(listed.stdout));
    expect(inspected.stdout).toMatch(
      /^\[\n {2}\{\n {4}"configuration" : \{\n {6}"capAdd" : \[\n {8}"CAP_NET_ADMIN"\n {6}\],\n/,
    );
    expect(inspected.stdout).toContain('"publishedPorts" : [\n\n      ],');
  });

  it('prints nothing of the known where one is unknown', async () => {
    expect(await emulated.call('inspect', 'shown', 'other')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'Error: container not found: other\n',
    });
  });

  it('tells of images', async () => {
    const { stdout } = await emulated.call('image', 'inspect', 'host');
    const [image] = JSON.parse(stdout);
    expect(Object.keys(image)).toEqual(['configuration', 'id', 'variants']);
    expect(image.configuration.name).toBe('docker.io/library/host:latest');
    expect(image.variants[0].config.config.Cmd).toEqual(['true']);
    expect(await emulated.call('image', 'ls', '-q')).toMatchObject({ stdout: 'host:latest\n' });
  });

  it('refuses a pull of what is not there as a registry does', async () => {
    const { status, stderr } = await emulated.call('image', 'pull', 'ghcr.io/a/b:1');
    expect([status, stderr]).toEqual([
      1,
      'Error: HTTP request to https://ghcr.io/v2/a/b/manifests/1 failed with response: 404 Not Found. Reason: MANIFEST_UNKNOWN\n',
    ]);
  });

  it('tells of the server', async () => {
    const { status, stdout } = await emulated.call('system', 'status', '--format', 'json');
    expect([status, JSON.parse(stdout).status]).toEqual([0, 'running']);
    const version = JSON.parse((await emulated.call('system', 'version', '--format', 'json')).stdout);
    expect(version[0]).toMatchObject({ appName: 'container', version: '1.2.2' });
    expect(version[1].version).toMatch(/^container-apiserver version 1\.2\.2 /);
    expect((await emulated.call('--version')).stdout).toBe(
      'container CLI version 1.2.2 (build: release, commit: 0190097)\n',
    );
  });

  it('tells of networks and volumes', async () => {
    await emulated.call('network', 'create', '--internal', '--subnet', '192.168.231.0/24', 'inner');
    const [network] = JSON.parse((await emulated.call('network', 'inspect', 'inner')).stdout);
    expect(network).toMatchObject({
      id: 'inner',
      configuration: { mode: 'hostOnly' },
      status: { ipv4Gateway: '192.168.231.1' },
    });
    expect((await emulated.call('network', 'create', '--subnet', '192.168.231.128/25', 'other')).status).toBe(
      1,
    );
    await emulated.call('volume', 'create', '-s', '1G', 'kept');
    const [volume] = JSON.parse((await emulated.call('volume', 'inspect', 'kept')).stdout);
    expect(volume).toMatchObject({ id: 'kept', configuration: { driver: 'local', sizeInBytes: 1024 ** 3 } });
  });

  it('refuses at once what the tool refuses with 1', async () => {
    for (const words of [
      ['run', '--network', 'a,foo=1', 'host'],
      ['run', '--network', 'none', '--label', 'a=b=c', 'host'],
      ['create', '--name', 'x', '--network', 'none', 'host'],
      ['create', '--network', 'none', '--memory', '100M', 'host'],
      ['create', '--network', 'none', '-v', '/not/there:/x', 'host'],
      ['create', '--network', 'none', '--cap-add', 'NO_SUCH', 'host'],
      ['create', 'host'],
      ['stop'],
      ['stop', '--all', 'shown'],
      ['machine', 'ls'],
    ]) {
      const { status, stderr } = await emulated.call(...words);
      expect([words.join(' '), status, stderr.slice(0, 7)]).toEqual([words.join(' '), 1, 'Error: ']);
    }
  });

  it('has the older shape in 0.12.3', async () => {
    setEmulator(emulated.home, { version: '0.12.3' });
    const [container] = JSON.parse((await emulated.call('ls', '-a', '--format', 'json')).stdout);
    expect(Object.keys(container)).toEqual(['configuration', 'networks', 'status']);
    expect(container.status).toBe('stopped');
    expect(container.configuration.creationDate).toBeTypeOf('number');
    expect(await emulated.call('inspect', 'shown', 'other')).toMatchObject({ status: 0 });
    const [network] = JSON.parse((await emulated.call('network', 'inspect', 'inner')).stdout);
    expect(network).toMatchObject({
      id: 'inner',
      state: 'running',
      status: { ipv4Gateway: '192.168.231.1' },
    });
    setEmulator(emulated.home, {});
  });

  it.skipIf(WITHOUT_GUESTS)('tells when a container was started (needs root on Linux)', async () => {
    await emulated.call('start', 'shown');
    const [container] = JSON.parse((await emulated.call('inspect', 'shown')).stdout);
    expect(container.status).toEqual({
      networks: [],
      startedDate: expect.stringMatching(/Z$/),
      state: 'running',
    });
    const [usage] = JSON.parse((await emulated.call('stats', '--format', 'json', 'shown')).stdout);
    expect(usage).toMatchObject({ id: 'shown', numProcesses: 1, networkTxBytes: 0 });
  });
});
