import { describe, expect, it } from 'vitest';
import { isPowerful, planHandover } from '../../action/handover.ts';
import { LIMITS } from '../../action/limits.ts';

const EMPTY = { env: '', path: '', output: '', summary: '' };
const CLOSED = { hostEnv: [], hostPath: false, reservedOutputs: ['denied'] };

describe('what a guest writes for later steps', () => {
  it('reaches the host only where the workflow names it, and later guests anyway', () => {
    const files = { ...EMPTY, env: 'VERSION=1\nOTHER=2\n', path: '/project/bin\n' };
    const closed = planHandover(files, CLOSED);
    expect([closed.hostEnv, closed.hostPath]).toEqual([[], []]);
    expect(closed.guestEnv.map(({ name }) => name)).toEqual(['VERSION', 'OTHER']);
    expect(closed.guestPath).toEqual(['/project/bin']);
    expect(closed.heldBack.map(({ what }) => what)).toEqual(['VERSION', 'OTHER', '/project/bin']);
    const open = planHandover(files, { ...CLOSED, hostEnv: ['VERSION'], hostPath: true });
    expect([open.hostEnv, open.hostPath]).toEqual([[{ name: 'VERSION', value: '1' }], ['/project/bin']]);
  });

  it.each([
    ...['LD_PRELOAD', 'LD_LIBRARY_PATH', 'DYLD_INSERT_LIBRARIES', 'GLIBC_TUNABLES', 'GCONV_PATH', 'LOCPATH'],
    ...[
      'PATH',
      'ENV',
      'BASH_ENV',
      'SHELLOPTS',
      'PS4',
      'IFS',
      'PROMPT_COMMAND',
      'CDPATH',
      'HOME',
      'TMPDIR',
      'XDG_CONFIG_HOME',
    ],
    ...[
      'NODE_OPTIONS',
      'NODE_PATH',
      'NODE_EXTRA_CA_CERTS',
      'npm_config_script_shell',
      'NPM_CONFIG_REGISTRY',
      'YARN_RC_FILENAME',
    ],
    ...[
      'PYTHONSTARTUP',
      'PYTHONPATH',
      'PIP_INDEX_URL',
      'UV_INDEX_URL',
      'PERL5OPT',
      'PERL5LIB',
      'RUBYOPT',
      'RUBYLIB',
      'GEM_HOME',
    ],
    ...[
      'JAVA_TOOL_OPTIONS',
      '_JAVA_OPTIONS',
      'JDK_JAVA_OPTIONS',
      'JAVA_HOME',
      'CLASSPATH',
      'MAVEN_OPTS',
      'GRADLE_USER_HOME',
    ],
    ...[
      'GOFLAGS',
      'GOPROXY',
      'GOROOT',
      'CARGO_HOME',
      'RUSTC_WRAPPER',
      'RUSTFLAGS',
      'DOTNET_STARTUP_HOOKS',
      'CORECLR_PROFILER',
    ],
    ...[
      'GIT_SSH_COMMAND',
      'GIT_CONFIG_COUNT',
      'GIT_EXEC_PATH',
      'GIT_ASKPASS',
      'SSH_ASKPASS',
      'SSH_AUTH_SOCK',
      'GPG_TTY',
    ],
    ...[
      'CC',
      'CXX',
      'CFLAGS',
      'MAKEFLAGS',
      'CMAKE_TOOLCHAIN_FILE',
      'PKG_CONFIG_PATH',
      'TAR_OPTIONS',
      'LESSOPEN',
      'EDITOR',
      'PAGER',
    ],
    ...[
      'DOCKER_HOST',
      'DOCKER_CONFIG',
      'KUBECONFIG',
      'AWS_PROFILE',
      'AWS_CONFIG_FILE',
      'GOOGLE_APPLICATION_CREDENTIALS',
      'TF_CLI_CONFIG_FILE',
    ],
    ...[
      'https_proxy',
      'HTTP_PROXY',
      'ALL_PROXY',
      'NO_PROXY',
      'SSL_CERT_FILE',
      'CURL_CA_BUNDLE',
      'REQUESTS_CA_BUNDLE',
      'AWS_CA_BUNDLE',
    ],
    ...[
      'GITHUB_TOKEN',
      'GITHUB_ENV',
      'RUNNER_TEMP',
      'ACTIONS_RUNTIME_TOKEN',
      'ACTIONS_ALLOW_UNSECURE_COMMANDS',
      'INPUT_RUN',
    ],
    ...['SAND', 'SAND_TOOL_PATH', 'SAND_CEILING', 'STATE_folder', 'CI', 'OPENSSL_CONF', 'ld_preload'],
  ])('never reaches the host as %s', (name) => {
    expect(isPowerful(name)).toBe(true);
    const { hostEnv } = planHandover({ ...EMPTY, env: `${name}=x\n` }, { ...CLOSED, hostEnv: ['*', name] });
    expect(hostEnv).toEqual([]);
  });

  it.each(['VERSION', 'BUILD_ID', 'ARTIFACT', 'COMMIT', 'RELEASE_NOTES', 'DEPLOY_ENV', 'CACHE_KEY'])(
    'is let through as %s where the workflow opens all that is harmless',
    (name) => {
      const { hostEnv } = planHandover({ ...EMPTY, env: `${name}=x\n` }, { ...CLOSED, hostEnv: ['*'] });
      expect(hostEnv).toEqual([{ name, value: 'x' }]);
    },
  );

  it.each([
    ['BASH_FUNC_ls%%=() { :; }\n', []],
    ['A B=1\n', []],
    ['NUL=a\0b\n', []],
    [`BIG=${'x'.repeat(LIMITS.guestVariableBytes + 1)}\n`, []],
    ['GITHUB_WORKSPACE=/etc\nSAND_TOOL_PATH=/project\n', []],
  ])('is given to later guests neither, where it is %j', (env, kept) => {
    expect(planHandover({ ...EMPTY, env }, { ...CLOSED, hostEnv: ['*'] }).guestEnv).toEqual(kept);
  });

  it('is a fault where it does not parse or is too large, and counts in no part', () => {
    const { hostEnv, outputs, heldBack } = planHandover(
      { env: 'FINE=1\nA<<E\n', path: null, output: null, summary: 'x'.repeat(LIMITS.guestSummaryBytes + 1) },
      { ...CLOSED, hostEnv: ['*'] },
    );
    expect([hostEnv, outputs]).toEqual([[], []]);
    expect(heldBack.map(({ file, isFault }) => [file, isFault])).toEqual([
      ['GITHUB_ENV', true],
      ['GITHUB_PATH', true],
      ['GITHUB_OUTPUT', true],
      ['GITHUB_STEP_SUMMARY', false],
    ]);
  });

  it('sets no output that is the action’s own, in any case of its letters', () => {
    const output = 'digest=1\nDenied=0\nno name=2\n';
    const { outputs, heldBack } = planHandover({ ...EMPTY, output }, CLOSED);
    expect(outputs).toEqual([{ name: 'digest', value: '1' }]);
    expect(heldBack).toHaveLength(2);
  });

  it.each(['relative/bin', '/a:/evil', '/a\r'])('is no search path where it is %j', (path) => {
    const plan = planHandover({ ...EMPTY, path: `${path}\n` }, { ...CLOSED, hostPath: true });
    expect([plan.hostPath, plan.guestPath]).toEqual([[], []]);
  });
});
