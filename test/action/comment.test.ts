import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isOwn, markerOf, runComment } from '../../action/comment.ts';
import { createApi, type FakeApi } from './runner/api.ts';

let api: FakeApi;
beforeAll(async () => {
  api = await createApi();
});
afterAll(() => api.close());

const KEY = 'CI\nbuild\nrun\n';

function comment(body: string | null, more: { readonly key?: string; readonly number?: number } = {}) {
  const { key = KEY, number = 7 } = more;
  const pull = { apiUrl: api.url, repository: 'octo/project', number };
  return runComment({ pull, token: 'ghs_token', key, body, fetch });
}

describe('the comment on a pull request', () => {
  it('is made once, written anew, and removed', async () => {
    expect(await comment('first')).toEqual({ kind: 'created' });
    expect(await comment('second')).toEqual({ kind: 'updated' });
    expect(api.bodies()).toEqual([`${markerOf(KEY)}\nsecond`]);
    expect(await comment('other', { key: 'other' })).toEqual({ kind: 'created' });
    expect(await comment(null)).toEqual({ kind: 'removed' });
    expect(await comment(null)).toEqual({ kind: 'unneeded' });
    expect(api.bodies()).toEqual([`${markerOf('other')}\nother`]);
    expect(await comment(null, { key: 'other' })).toEqual({ kind: 'removed' });
    expect(new Set(api.authorizations())).toEqual(new Set(['Bearer ghs_token']));
  });

  it('is found behind a hundred others', async () => {
    for (let at = 0; at < 150; at += 1) api.plant({ body: 'x', user: { type: 'User' } });
    api.plant({ body: `${markerOf(KEY)}\nold`, user: { type: 'Bot' } });
    expect(await comment('new')).toEqual({ kind: 'updated' });
    await comment(null);
    api.clear();
  });

  it('is not somebody else’s that holds the marker', () => {
    const marker = markerOf(KEY);
    expect(isOwn({ body: marker, user: { type: 'User' }, author_association: 'CONTRIBUTOR' }, marker)).toBe(
      false,
    );
    expect(isOwn({ body: `quoted ${marker}`, user: { type: 'Bot' } }, marker)).toBe(false);
    expect(isOwn({ body: marker, user: { type: 'User' }, author_association: 'OWNER' }, marker)).toBe(true);
    expect(isOwn(null, marker)).toBe(false);
  });

  it.each([403, 404, 422, 500, 503])('fails as a value where the API answers %d', async (status) => {
    api.answer(status);
    expect(await comment('x')).toMatchObject({ kind: 'failed', why: `GET answered ${status}` });
    api.answer(null);
  });

  it('fails as a value where nobody listens, and takes the token nowhere that the API sends it on to', async () => {
    const asked: IncomingMessage[] = [];
    const other = createServer((request, response) => {
      asked.push(request);
      response.end('[]');
    });
    await new Promise<void>((done) => other.listen(0, '127.0.0.1', done));
    api.redirect(`http://127.0.0.1:${(other.address() as AddressInfo).port}/`);
    expect(await comment('x')).toMatchObject({ kind: 'failed' });
    expect(asked).toEqual([]);
    api.redirect(null);
    other.close();
    const pull = { apiUrl: 'http://127.0.0.1:9', repository: 'octo/project', number: 7 };
    expect(await runComment({ pull, token: 't', key: KEY, body: 'x', fetch })).toMatchObject({
      kind: 'failed',
    });
  });
});
