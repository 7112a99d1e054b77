import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createNamespaceLink, type NamespaceLink } from '../../../../controller/links/namespace/link.ts';

/** Without user namespaces, or the tools of the link, there is none. */
const CAN_LINK =
  spawnSync('unshare', ['--user', '--map-root-user', '--net', '--', 'ip', 'link', 'set', 'lo', 'up'])
    .status === 0 && spawnSync('nft', ['--version']).status === 0;

const SERVER = `import('node:net').then(({ createServer }) => {
  for (const port of [8001, 8002])
    createServer((socket) => socket.on('error', () => {}).end('from ' + port)).listen(port, '127.0.0.1', () => console.log(port));
});`;

async function createLink(): Promise<NamespaceLink> {
  const consumer = { stream() {}, datagram() {}, lost() {} };
  const link = await createNamespaceLink([], consumer, new AbortController().signal);
  onTestFinished(() => link.close());
  const namespaces = ['user', 'net'].map((kind) => `--${kind}=/proc/${link.holderPid}/ns/${kind}`);
  const server = spawn(
    'nsenter',
    [...namespaces, '--preserve-credentials', '--', process.execPath, '-e', SERVER],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  onTestFinished(() => void server.kill('SIGKILL'));
  let said = '';
  while (said.split('\n').length < 3) said += String((await once(server.stdout, 'data'))[0]);
  return link;
}

describe.skipIf(!CAN_LINK)('the way in of the namespace link', () => {
  it('reaches the ports that it was opened for, and no others', async () => {
    const dial = (await createLink()).openWayIn([8001, 8003]);
    const dialled = await dial(8001);
    if (!dialled.ok) throw new Error(dialled.detail);
    expect(await text(dialled.socket)).toBe('from 8001');
    expect(await dial(8002)).toEqual({ ok: false, detail: 'it is not published' });
    expect(await dial(8003)).toMatchObject({ ok: false, detail: expect.stringContaining('ECONNREFUSED') });
  });

  it('ends with the link, and with it what came by it', async () => {
    const link = await createLink();
    const dial = link.openWayIn([8001]);
    const dialled = await dial(8001);
    if (!dialled.ok) throw new Error(dialled.detail);
    const closed = once(dialled.socket, 'close');
    await link.close();
    await closed;
    expect(await dial(8001)).toMatchObject({ ok: false });
  });
});
