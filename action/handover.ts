/**
 * What of a guest's command files goes on: to later steps of the host, to later guests, or nowhere. A variable or a search
 * path that a guest writes would else run its code outside, in the next step that is not in a guest. Pure.
 */
import { type Entry, parseEntries } from './command-file.ts';
import { LIMITS } from './limits.ts';

/** What the guest wrote; null where more was written than is read. */
export interface CommandFiles {
  readonly env: string | null;
  readonly path: string | null;
  readonly output: string | null;
  readonly summary: string | null;
}

export interface HandoverRules {
  /** Names that may reach the host, or `*` for all that are not powerful. */
  readonly hostEnv: readonly string[];
  readonly hostPath: boolean;
  /** Outputs that are the action's own to set. */
  readonly reservedOutputs: readonly string[];
}

export interface HeldBack {
  readonly file: 'GITHUB_ENV' | 'GITHUB_PATH' | 'GITHUB_OUTPUT' | 'GITHUB_STEP_SUMMARY';
  /** What the guest wrote, shortened and not escaped. */
  readonly what: string;
  readonly why: string;
  /** The runner would fail a step for this. */
  readonly isFault: boolean;
}

export interface Handover {
  readonly hostEnv: readonly Entry[];
  readonly hostPath: readonly string[];
  readonly guestEnv: readonly Entry[];
  readonly guestPath: readonly string[];
  readonly outputs: readonly Entry[];
  readonly summary: string;
  readonly heldBack: readonly HeldBack[];
}

/** The runner's and the action's own names, also in a guest. */
const RESERVED = /^(GITHUB_|RUNNER_|ACTIONS_|INPUT_|STATE_|SAND($|_)|CI$)/i;

/**
 * Variables that make a program on the host load, run, trust or ask something else. There is no end to such names, which is why
 * nothing goes to the host that the workflow does not name; this list is what not even `*` opens.
 */
const POWERFUL: readonly RegExp[] = [
  // Loaders, shells and the search for programs.
  /^(LD|DYLD|GLIBC|MALLOC|GCONV|LOCPATH|NLSPATH|RES|HOSTALIASES|LOCALDOMAIN|GETCONF)(_|$)/,
  /^(PATH|ENV|BASH_.*|BASHOPTS|SHELLOPTS|SHELL|IFS|CDPATH|GLOBIGNORE|FPATH|ZDOTDIR|PS[0-4]|PROMPT_COMMAND|EXECIGNORE)$/,
  /^(HOME|USER|LOGNAME|PWD|OLDPWD|TMPDIR|TMP|TEMP|TERMINFO.*|TERMCAP|INPUTRC|XDG_.*)$/,
  // Languages and their tools.
  /^(NODE|NPM|YARN|PNPM|COREPACK|BUN|DENO|ELECTRON|TS_NODE|ESBUILD)_/,
  /^(PYTHON|PIP|UV|POETRY|PDM|CONDA|MAMBA|VIRTUAL_ENV|PERL|RUBY|GEM|BUNDLE|RAKE|PHP|COMPOSER|LUA|TCL|JULIA)[A-Z0-9_]*$|^R_/,
  /^(JAVA|_JAVA|JDK|JVM|CLASSPATH|MAVEN|MVN|M2|GRADLE|ANT|SBT|SCALA|KOTLIN|GROOVY|CLOJURE|LEIN)(_|$)/,
  /^(GO[A-Z]*|CGO_.*|CARGO.*|RUST.*|SCCACHE_.*|CCACHE_.*|DOTNET_.*|COMPLUS_.*|CORECLR_.*|COR_.*|NUGET_.*|MSBUILD.*|MONO_.*)$/,
  /^(CC|CXX|CPP|LD|AR|AS|NM|RANLIB|STRIP|MAKE|MAKEFLAGS|GNUMAKEFLAGS|MAKEFILES|MFLAGS|CMAKE_.*|PKG_CONFIG.*|.*FLAGS)$/,
  // Programs that are called by other programs, and where settings and credentials are looked for.
  /^(GIT|SSH|GPG|GNUPG|SVN|HG|CVS|RSYNC|CURL|WGET|OPENSSL|DOCKER|BUILDKIT|CONTAINERS|PODMAN|KUBE|HELM|TF|TERRAFORM|ANSIBLE|VAULT|PACKER|PULUMI)[A-Z0-9_]*$/,
  /^(AWS|AZURE|ARM|GOOGLE|GCLOUD|CLOUDSDK|BOTO|GH|GITLAB|HUB|SENTRY|SONAR|CODECOV|SNYK|PLAYWRIGHT|PUPPETEER|CYPRESS|ANDROID)_/,
  /^(EDITOR|VISUAL|PAGER|MANPAGER|LESS.*|BROWSER|SUDO_.*|DISPLAY|DBUS_.*|SYSTEMD_.*|TAR_OPTIONS|GREP_OPTIONS|XZ_.*|ZSTD_.*|GZIP|UNZIP)$/,
  // Where the network and its authorities are.
  /^([A-Z_]*PROXY|SSL_.*|SSLKEYLOGFILE|REQUESTS_.*|NIX_.*|[A-Z_]*CA_BUNDLE|[A-Z_]*CA_CERTS?)$/,
];

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
const OUTPUT = /^[A-Za-z_][A-Za-z0-9_-]*$/;

export function isReserved(name: string): boolean {
  return RESERVED.test(name);
}

/** Whatever its case: some tools read either. */
export function isPowerful(name: string): boolean {
  const upper = name.toUpperCase();
  return RESERVED.test(upper) || POWERFUL.some((pattern) => pattern.test(upper));
}

export function planHandover(files: CommandFiles, rules: HandoverRules): Handover {
  const env = planEnvironment(files.env, rules.hostEnv);
  const path = planPath(files.path, rules.hostPath);
  const output = planOutputs(files.output, rules.reservedOutputs);
  const summary = planSummary(files.summary);
  return {
    hostEnv: env.host,
    guestEnv: env.guest,
    hostPath: path.host,
    guestPath: path.guest,
    outputs: output.entries,
    summary: summary.text,
    heldBack: [...env.heldBack, ...path.heldBack, ...output.heldBack, ...summary.heldBack],
  };
}

/** Fail closed: what is too large or does not parse goes nowhere, in whole. */
function readEntries(
  file: HeldBack['file'],
  text: string | null,
): { readonly entries: readonly Entry[]; readonly heldBack: readonly HeldBack[] } {
  if (text === null) return { entries: [], heldBack: [tooLarge(file)] };
  const parsed = parseEntries(text);
  if (parsed.ok) return { entries: parsed.entries, heldBack: [] };
  const why = `line ${parsed.line}: ${parsed.message}`;
  return { entries: [], heldBack: [{ file, what: 'the whole file', why, isFault: true }] };
}

function tooLarge(file: HeldBack['file']): HeldBack {
  const why = `is no plain file of at most ${LIMITS.commandFileBytes / 1024} KiB`;
  return { file, what: 'the whole file', why, isFault: true };
}

function planEnvironment(text: string | null, hostEnv: readonly string[]) {
  const file = 'GITHUB_ENV';
  const { entries, heldBack } = readEntries(file, text);
  const host: Entry[] = [];
  const guest: Entry[] = [];
  const held: HeldBack[] = [...heldBack];
  let bytes = 0;
  for (const entry of entries) {
    const hold = (why: string) => held.push({ file, what: entry.name, why, isFault: false });
    if (!VARIABLE.test(entry.name) || entry.value.includes('\0')) {
      hold('is no name of a variable, or its value is none');
      continue;
    }
    if (isReserved(entry.name)) {
      hold('is a name of the runner’s own or of sand’s');
      continue;
    }
    const size = Buffer.byteLength(entry.value);
    if (size > LIMITS.guestVariableBytes || bytes + size > LIMITS.guestVariablesBytes) {
      hold('is larger than what later guests are given');
      continue;
    }
    bytes += size;
    guest.push(entry);
    const isNamed = hostEnv.includes('*') || hostEnv.includes(entry.name);
    if (isNamed && !isPowerful(entry.name)) host.push(entry);
    else if (isPowerful(entry.name)) hold('would change what later steps run or trust; later guests get it');
    else hold('is not named by `host-env`; later guests get it');
  }
  return { host, guest, heldBack: held };
}

function planPath(text: string | null, hostPath: boolean) {
  const file = 'GITHUB_PATH';
  if (text === null) return { host: [], guest: [], heldBack: [tooLarge(file)] };
  const lines = text.split('\n').filter((line) => line !== '');
  const usable = lines.filter((line) => line.startsWith('/') && !/[:\0\r]/.test(line));
  const isFault = false;
  const wrong = lines
    .filter((line) => !usable.includes(line))
    .map((what): HeldBack => ({ file, what, why: 'is no absolute path', isFault }));
  const why = 'would put a guest’s programs before the host’s; later guests get it (`host-path`)';
  const held = hostPath ? [] : usable.map((what): HeldBack => ({ file, what, why, isFault }));
  return { host: hostPath ? usable : [], guest: usable, heldBack: [...wrong, ...held] };
}

function planOutputs(text: string | null, reserved: readonly string[]) {
  const file = 'GITHUB_OUTPUT';
  const { entries, heldBack } = readEntries(file, text);
  const known = entries.filter(({ name }) => OUTPUT.test(name) && !isOneOf(name, reserved));
  const held = entries
    .filter((entry) => !known.includes(entry))
    .map(({ name }): HeldBack => {
      const why = isOneOf(name, reserved) ? 'is an output of the action itself' : 'is no name of an output';
      return { file, what: name, why, isFault: false };
    });
  return { entries: known, heldBack: [...heldBack, ...held] };
}

/** The runner knows outputs in any case. */
function isOneOf(name: string, reserved: readonly string[]): boolean {
  return reserved.some((own) => own.toLowerCase() === name.toLowerCase());
}

function planSummary(text: string | null) {
  const file = 'GITHUB_STEP_SUMMARY';
  if (text === null) return { text: '', heldBack: [tooLarge(file)] };
  const why = 'is larger than what the runner shows beside what was denied';
  return Buffer.byteLength(text) > LIMITS.guestSummaryBytes
    ? { text: '', heldBack: [{ file, what: 'the whole file', why, isFault: false } satisfies HeldBack] }
    : { text, heldBack: [] };
}
