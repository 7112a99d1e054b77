import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PageBuilder } from '../../../audit/page/data.ts';
import { packEvents, unpackEvents } from '../../../audit/page/packing.ts';
import { contentPolicy, embedJson, renderPage } from '../../../audit/page/render.ts';
import { connection, eventsOf, FULL_ENTRIES, runStart } from '../samples.ts';

const ASSETS = { script: 'start()', style: 'p{color:red}' };
const HOSTILE = '</script><script>alert(1)</script><!--\u2028\u202e<img src=x onerror=alert(1)>&"\'';

function pageOf(entries: Parameters<typeof eventsOf>[0]) {
  const builder = new PageBuilder({ sand: HOSTILE, madeAt: '2026-11-28T12:00:00.000Z' });
  builder.beginRun('20261121-201500-k3f9');
  for (const event of eventsOf(entries)) builder.add(event);
  return builder.data();
}

describe('a page', () => {
  it('holds texts of guests as JSON that neither ends nor begins an element', () => {
    const entries = [
      runStart({ command: [HOSTILE], policy: { name: HOSTILE, digest: HOSTILE, mode: HOSTILE, layers: [] } }),
      connection({
        host: HOSTILE,
        path: HOSTILE,
        suggestion: HOSTILE,
        process: { pid: 1, command: HOSTILE },
      }),
    ];
    const page = [...renderPage({ ...pageOf(entries), assets: ASSETS })].join('');
    expect(page.match(/<script/g)).toHaveLength(3);
    expect(page.match(/<\/script>/g)).toHaveLength(3);
    expect(page).not.toMatch(/<img|alert\(1\)<|<!--|\u2028|\u202e/);
    const [, json = ''] = /data-page="events">(.*)<\/script>/.exec(page) ?? [];
    expect(unpackEvents(JSON.parse(json))[1]?.host).toBe(HOSTILE);
  });

  it('lets run its own script alone, and load nothing', () => {
    const policy = contentPolicy(ASSETS);
    const hash = createHash('sha256').update(ASSETS.script).digest('base64');
    expect(policy).toContain("default-src 'none'; ");
    expect(policy).toContain(`script-src 'sha256-${hash}'; `);
    expect(policy).toContain("require-trusted-types-for 'script'");
    expect(policy).not.toMatch(/unsafe|https?:|\*|'self'/);
    expect([...renderPage({ ...pageOf([]), assets: ASSETS })].join('')).not.toMatch(
      /\b(?:src|href)="(?!#)|https?:|url\(/,
    );
  });
});

describe('embedded JSON', () => {
  it('has no character that HTML gives a meaning to, and means the same', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...HOSTILE) })),
        (text) => {
          const json = embedJson({ text });
          expect(json).not.toMatch(/[<>&\u2028\u2029\u202e]/);
          expect(JSON.parse(json)).toEqual({ text });
        },
      ),
    );
  });
});

describe('packing', () => {
  it('gives back every event as it was', () => {
    const { events } = pageOf(FULL_ENTRIES);
    expect(events.length).toBeGreaterThan(10);
    expect(unpackEvents(JSON.parse(JSON.stringify(packEvents(events))))).toEqual(events);
  });
});
