import { rootCertificates } from 'node:tls';
import { describe, expect, it } from 'vitest';
import {
  CERTIFICATE_VARIABLES,
  planAuthorities,
  planProxyVariables,
  TOOLS,
} from '../../../controller/guest/tools.ts';

const [system = '', added = ''] = rootCertificates;
const proxy = planProxyVariables('http://192.0.2.1:3128');
const authorities = planAuthorities([`${added}\n`], `${system}\n`);
const contentOf = (path: string | undefined) =>
  authorities.files.find((file) => file.path === path)?.content.toString() ?? '';

describe('the table of tools', () => {
  it('has every tool once, and no variable that no tool reads', () => {
    const names = TOOLS.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const read = new Set<string>(TOOLS.flatMap((tool) => [...tool.proxy, ...tool.authorities]));
    const exceptions = ['no_proxy', 'NO_PROXY', 'HTTP_PROXY', 'ALL_PROXY'];
    const unread = [...Object.keys(proxy), ...Object.keys(authorities.environment)].filter(
      (name) => !read.has(name),
    );
    expect(unread.toSorted()).toEqual(exceptions.toSorted());
  });

  it('says of a tool that reads no proxy variable why none is set', () => {
    for (const tool of TOOLS) if (tool.proxy.length === 0) expect(tool.remark).not.toBe('');
  });
});

describe('the variables and files', () => {
  it('name the proxy, and leave the guest\u2019s own loopback out', () => {
    expect(proxy).toMatchObject({
      https_proxy: 'http://192.0.2.1:3128',
      NO_PROXY: 'localhost,127.0.0.1,::1',
    });
  });

  it('leave alone what makes every JVM print a line, and options that are the caller\u2019s', () => {
    const harmful = ['JAVA_TOOL_OPTIONS', 'JDK_JAVA_OPTIONS', 'MAVEN_OPTS', 'GRADLE_OPTS', 'YARN_HTTP_PROXY'];
    const names = [...Object.keys(proxy), ...Object.keys(authorities.environment)];
    expect(names.filter((name) => harmful.includes(name))).toEqual([]);
  });

  it('name a file with the system\u2019s authorities where it replaces a tool\u2019s own list, else without', () => {
    const { environment } = authorities;
    expect(contentOf(environment.SSL_CERT_FILE)).toBe(`${system}\n${added}\n`);
    expect(contentOf(environment.NODE_EXTRA_CA_CERTS)).toBe(`${added}\n`);
    const files = authorities.files.map(({ path }) => path);
    expect(Object.values(environment).filter((path) => !files.includes(path))).toEqual([]);
  });

  it('hold the further authorities alone where the system has none', () => {
    expect(planAuthorities([`${added}\n`], null).bundle).toBe(`${added}\n`);
  });

  it('are the certificate variables that a caller\u2019s own may be', () => {
    expect(CERTIFICATE_VARIABLES).toEqual(expect.arrayContaining(Object.keys(authorities.environment)));
  });
});
