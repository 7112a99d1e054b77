import fc from 'fast-check';
import { expect, test } from 'vitest';
import { classifyName } from '../../dns/subject.ts';

test('no name is judged under another spelling than the one on the wire', () => {
  const label = fc.stringMatching(/^(xn--)?[A-Za-z0-9_-]{1,20}$/);
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 5 }), (labels) => {
      const text = labels.join('.');
      const subject = classifyName(text);
      if ('name' in subject) expect(subject.name).toBe(text.toLowerCase());
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  ['host.sand', 'host'],
  ['HOST.SAND', 'host'],
  ['x.host.sand', 'reserved'],
  ['n.probe.sand', 'probe'],
  ['probe.sand', 'reserved'],
  ['notsand', 'name'],
  ['x.notsand', 'name'],
  ['mylocalhost', 'name'],
  ['localhost.example', 'name'],
  ['onion.example', 'name'],
  ['arpa', 'name'],
  ['', 'root'],
])('%j is %s', (text, kind) => {
  expect(classifyName(text).kind).toBe(kind);
});

test.each([
  ['4.3.2.1.in-addr.arpa', '1.2.3.4'],
  ['3.2.1.in-addr.arpa', null],
  ['256.3.2.1.in-addr.arpa', null],
  ['04.3.2.1.in-addr.arpa', null],
  ['5.4.3.2.1.in-addr.arpa', null],
])('the reverse name %s spells %s', (text, address) => {
  expect(classifyName(text)).toEqual({ kind: 'reverse', address });
});
