import fc from 'fast-check';
import { expect, test } from 'vitest';
import { REDACTED, redactCommand, redactText } from '../../audit/redact.ts';

const SECRET = 'hunter2';
const RANDOM = 'x7Kq2mZ9vB4tR8wL1pN6sD3f';

test.each<readonly [string, readonly string[]]>([
  ['a flag and its value', ['tool', '--token', SECRET]],
  ['a flag joined to its value', ['tool', `--password=${SECRET}`]],
  ['a flag with a secret word in it', ['tool', '--npm-auth-token', SECRET]],
  ['a camel-case flag', ['tool', '--authToken', SECRET]],
  ['an old-style long flag', ['tool', '-password', SECRET]],
  ['an old-style joined flag', ['tool', `-password=${SECRET}`]],
  ['-p and its value', ['tool', '-p', SECRET]],
  ['-p joined, for programs that read it so', ['mysql', '-uroot', `-p${SECRET}`]],
  ['-p joined, behind sudo and a path', ['sudo', '/usr/bin/mysqldump', `-p${SECRET}`]],
  ['-p that looks like a file, where it is a password', ['sshpass', '-p', `${SECRET}.txt`, 'ssh', 'host']],
  ['-a of redis-cli', ['redis-cli', '-a', SECRET, 'ping']],
  ['a user with a password', ['curl', '-u', `me:${SECRET}`, 'https://a.example']],
  ['a user with a password, long', ['curl', '--user', `me:${SECRET}`]],
  ['an assignment', ['env', `GITHUB_TOKEN=${SECRET}`, 'make']],
  ['an assignment of another kind', ['env', `PGPASSWORD=${SECRET}`, `MYSQL_PWD=${SECRET}`, 'psql']],
  ['an assignment behind a flag', ['docker', 'run', '-e', `DB_PASS=${SECRET}`, 'alpine']],
  ['an assignment in a script', ['sh', '-c', `API_KEY=${SECRET} make; SECRET="${SECRET} b" x`]],
  ['a flag in a script', ['sh', '-c', `login --password ${SECRET} && login --token='${SECRET}'`]],
  ['a URL with a user part', ['git', 'clone', `https://me:${SECRET}@git.example/x.git`]],
  ['a URL with a token as user', ['git', 'clone', `https://${SECRET}@git.example/x.git`]],
  ['a URL with an @ in its password', ['git', 'clone', `https://me:a@${SECRET}@git.example/x.git`]],
  ['a URL with a query', ['curl', `https://a.example/x?sig=${SECRET}&b=1`]],
  ['a URL with a fragment', ['open', `https://a.example/x#access_token=${SECRET}`]],
  ['a database URL', ['psql', `postgres://app:${SECRET}@db.example:5432/app?sslmode=require`]],
  ['a URL in a script', ['bash', '-c', `curl 'https://me:${SECRET}@a.example/?k=${SECRET}' | sh`]],
  ['a user part without a scheme', ['scp', `me:${SECRET}@host.example:/x`, '.']],
  ['an authorization header', ['curl', '-H', `Authorization: Bearer ${SECRET}`, 'https://a.example']],
  ['a header in lower case', ['curl', '-H', `authorization:${SECRET}`]],
  ['a header joined to its flag', ['curl', `--header=X-Api-Key: ${SECRET}`]],
  ['a cookie header', ['curl', '-H', `Cookie: session=${SECRET}`]],
  ['a cookie flag', ['curl', '-b', `session=${SECRET}`]],
  ['a header in a script', ['sh', '-c', `curl -H "Authorization: token ${SECRET}" https://a.example`]],
  ['a header that ends the script', ['sh', '-c', `curl -H 'X-Auth-Token: ${SECRET}'`]],
  [
    'a private key',
    ['sh', '-c', `echo "-----BEGIN RSA PRIVATE KEY-----\n${SECRET}\n-----END RSA PRIVATE KEY-----"`],
  ],
  ['a private key that is cut', ['tool', `-----BEGIN PRIVATE KEY-----\n${SECRET}`]],
])('takes out %s', (_, command) => {
  const redacted = redactCommand(command);
  expect(redacted.join(' ')).not.toContain(SECRET);
  expect(redacted.join(' ')).toContain(REDACTED);
  expect(redacted).toHaveLength(command.length);
  expect(redacted[0]).toBe(command[0]);
});

test.each([
  `ghp_${RANDOM}`,
  `github_pat_${RANDOM}`,
  `glpat-${RANDOM}`,
  'sk-proj-abcdefghijklmnopqrstuvwxyz',
  'sk_live_abcdefghijkl',
  'xoxb-123456789012-abcdefgh',
  'AKIAIOSFODNN7EXAMPLE',
  'AIzaSyA-abcdefghijklmnopqrstuvwxyz12345',
  'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.abc-def_ghi',
  'npm_abcdefghijklmnop',
  'hf_abcdefghijklmnop',
  RANDOM,
  '0123456789abcdef0123456789abcdef01234567',
  'd41d8cd98f00b204e980',
])('takes out the token %s wherever it stands', (token) => {
  for (const argument of [
    token,
    `x:${token}`,
    `"${token}"`,
    `a ${token} b`,
    `--name=${token}`,
    `echo ${token}|x`,
  ]) {
    const [, redacted] = redactCommand(['echo', argument]);
    expect(redacted).not.toContain(token.slice(8));
    expect(redacted).toContain(REDACTED);
  }
});

test.each<readonly (readonly string[])[]>([
  [['npm', 'ci', '--no-audit', '--prefix', './packages/a-long-package-name-with-many-words-2']],
  [['npm', 'install', 'left-pad@1.3.0', '@scope/pkg@^2.0.0', 'alias@npm:other@1.2.3']],
  [['docker', 'run', '-p', '8080:80', '-p', '127.0.0.1:53:53/udp', 'alpine:3.20@sha256:abc']],
  [['ssh', '-p', '2222', 'me@host.example']],
  [['tsc', '-p', 'tsconfig.build.json']],
  [['mkdir', '-p', './a/b']],
  [['tool', '--token-file', '/run/secrets-file']],
  [['docker', 'login', '--password-stdin']],
  [['curl', '-fsSL', 'https://a.example/install.sh']],
  [['git', 'commit', '-m', 'Monkey patches the keyboard, authors rewritten']],
  [['pytest', '-k', 'test_it_survives_any_bytes_whatever_they_are']],
  [['make', 'CFLAGS=-O2 -g', 'PREFIX=/usr/local']],
  [['sh', '-c', 'for i in 1 2 3; do echo "$i"; done']],
  [['node', '--max-old-space-size=4096', 'internationalizationsupport.js']],
])('leaves %j as it is', (command) => {
  expect(redactCommand(command)).toEqual(command);
});

test('keeps what is not secret beside what is', () => {
  expect(redactCommand(['curl', `https://me:${SECRET}@a.example:8443/x/y?k=v#f`])[1]).toBe(
    `https://${REDACTED}@a.example:8443/x/y?${REDACTED}`,
  );
  expect(redactCommand(['curl', '-u', `me:${SECRET}`])[2]).toBe(`me:${REDACTED}`);
  expect(redactCommand(['curl', '-H', `Authorization: Bearer ${SECRET}`])[2]).toBe(
    `Authorization: ${REDACTED}`,
  );
  expect(redactCommand(['env', `A_TOKEN=${SECRET}`])[1]).toBe(`A_TOKEN=${REDACTED}`);
});

test('any command is survived, and a secret in a known place never comes through, nor on a second pass', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '--token',
      '-p',
      '-u',
      'mysql',
      'curl',
      'a:b',
      '=',
      'KEY=',
      ' ',
      "'",
      '"',
      'https://',
      '@',
      '?',
    ),
    fc.constantFrom(
      '#',
      'Authorization: ',
      'bearer ',
      'ghp_',
      RANDOM,
      REDACTED,
      '-----BEGIN PRIVATE KEY-----',
    ),
    fc.string({ unit: 'binary', maxLength: 6 }),
  );
  const argument = fc.array(piece, { maxLength: 6 }).map((parts) => parts.join(''));
  const command = fc.array(argument, { maxLength: 5 });
  const planted = fc.constantFrom(
    ['--password', SECRET],
    [`--password=${SECRET}`],
    [`SECRET=${SECRET}`],
    [`https://me:${SECRET}@a.example/`],
    [`Authorization: ${SECRET}`],
  );
  fc.assert(
    fc.property(command, planted, command, (before, secret, after) => {
      const whole = [...before, ...secret, ...after];
      const once = redactCommand(whole);
      expect(once).toHaveLength(whole.length);
      expect(once.join('\n')).not.toContain(SECRET);
      expect(redactCommand(once).join('\n')).not.toContain(SECRET);
    }),
    { numRuns: 300 },
  );
});

test('a long argument costs no more than its length', () => {
  const long = 'a='.repeat(50_000) + 'https://'.repeat(5_000) + '-'.repeat(50_000) + 'x:'.repeat(50_000);
  expect(redactText(long).length).toBeGreaterThan(0);
});
