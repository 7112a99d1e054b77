import { describe, expect, it } from 'vitest';
import { type PathKind, parseImageReference } from '../../../controller/images/reference.ts';

const THERE: Readonly<Record<string, PathKind>> = {
  '/w/root': 'folder',
  '/w/layout': 'oci-layout',
  '/w/a.tar': 'oci-archive',
  '/w/d.tar': 'docker-archive',
  '/w/x': 'file',
  '/w/a:b.tar': 'oci-archive',
};
const parse = (text: string) => parseImageReference(text, '/w', (path) => THERE[path] ?? 'absent');

describe('parseImageReference', () => {
  it.each<readonly [string, unknown]>([
    ['./root', { kind: 'directory', path: '/w/root' }],
    ['/w/root', { kind: 'directory', path: '/w/root' }],
    ['./layout', { kind: 'oci-layout', path: '/w/layout', name: null }],
    ['./a.tar', { kind: 'oci-archive', path: '/w/a.tar', name: null }],
    ['./d.tar', { kind: 'docker-archive', path: '/w/d.tar', name: null }],
    ['oci:layout:1.2', { kind: 'oci-layout', path: '/w/layout', name: '1.2' }],
    ['oci-archive:a.tar', { kind: 'oci-archive', path: '/w/a.tar', name: null }],
    ['docker-archive:d.tar:app:v1', { kind: 'docker-archive', path: '/w/d.tar', name: 'app:v1' }],
    ['alpine', { kind: 'store', name: 'alpine' }],
    ['localhost/app:v1', { kind: 'store', name: 'localhost/app:v1' }],
    ['registry.example:5000/a/b:c', { kind: 'store', name: 'registry.example:5000/a/b:c' }],
    ['containers-storage:alpine', { kind: 'store', name: 'alpine' }],
  ])('reads %s', (text, expected) => {
    expect(parse(text)).toEqual(expected);
  });

  it.each([
    ['', 'usage'],
    ['a\0b', 'usage'],
    ['./x', 'usage'],
    ['./a:b.tar', 'usage'],
    ['~/root', 'usage'],
    ['./none', 'image-missing'],
    ['oci-archive:none.tar', 'image-missing'],
    ['oci-archive:', 'usage'],
    ['oci:layout:', 'usage'],
    ['oci:layout:a b', 'usage'],
    ['-v', 'usage'],
    ['--help', 'usage'],
    ['a b', 'usage'],
    ['docker://alpine', 'usage'],
    ['docker-daemon:alpine', 'usage'],
    [`a${'b'.repeat(600)}`, 'usage'],
  ])('refuses %j', (text, code) => {
    expect(() => parse(text)).toThrow(expect.objectContaining({ code, hint: expect.stringMatching(/\S/) }));
  });

  it('pulls nothing, and says what to run instead', () => {
    expect(() => parse('docker://alpine:3')).toThrow(
      expect.objectContaining({ hint: expect.stringContaining('podman pull alpine:3') }),
    );
  });
});
