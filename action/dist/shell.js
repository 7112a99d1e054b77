// Made of the sources in action/ by `npm run build:action`.

// action/shell.ts
import { resolve } from "node:path";

// action/failure.ts
var EXITS = {
  usage: 2,
  "policy-missing": 2,
  "policy-invalid": 2,
  "tool-missing": 125,
  "tool-failed": 125,
  "backend-unavailable": 125,
  internal: 125
};
var ActionFailure = class extends Error {
  code;
  hint;
  constructor(code2, message, hint) {
    super(message);
    this.name = "ActionFailure";
    this.code = code2;
    this.hint = hint;
  }
};
function describeFailure(error) {
  if (error instanceof ActionFailure) {
    const { code: code2, message: message2, hint } = error;
    return { exit: EXITS[code2], title: `sand (${code2})`, message: `${message2}
${hint}` };
  }
  const message = error instanceof Error ? error.stack ?? error.message : String(error);
  return { exit: EXITS.internal, title: "sand (internal)", message };
}

// action/job-folder.ts
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

// action/limits.ts
var LIMITS = {
  /** The runner takes no more of a summary and of one output, and a guest decides how much it writes. */
  commandFileBytes: 1024 * 1024,
  /** A single argument of a program on Linux holds 128 KiB; a variable for a later guest travels as one. */
  guestVariableBytes: 64 * 1024,
  /** All of them together, well below what the kernel lets arguments hold. */
  guestVariablesBytes: 512 * 1024,
  /** The runner shows nothing of a step's summary above 1 MiB, and a guest must not push out what was denied. */
  guestSummaryBytes: 512 * 1024,
  /** A summary is read by people. The runner's own bound is 1 MiB for a step. */
  summaryCharacters: 6e4,
  /** GitHub refuses a comment of more than 65,536 characters. */
  commentCharacters: 6e4,
  /** GitHub shows ten annotations of a kind for a step. */
  annotations: 10,
  /** Rows of a table that people still read; the report has all. */
  rows: 50,
  /** A text from a guest in a cell or an annotation. */
  textCharacters: 300,
  /** What `sand ci` writes for a run of a million events stays far below. */
  reportBytes: 16 * 1024 * 1024,
  /** What a program that is asked something prints. */
  outputBytes: 16 * 1024 * 1024,
  /** The doctor gives a backend two minutes. */
  doctorMs: 15e4,
  /** A package mirror on a bad day. */
  installMs: 3e5,
  /** A setting of the kernel, a profile, a look at git. */
  toolMs: 3e4,
  /** Of the REST API, a request. A comment is never worth waiting for. */
  apiMs: 1e4,
  /** Pages of a hundred comments that are looked through for our own. */
  commentPages: 10,
  /** Policy files of the base commit that are laid out beside, for what a policy extends. */
  baseFiles: 2e3,
  /** Together. */
  baseBytes: 16 * 1024 * 1024,
  /** Reports of steps that the comment at the end of the job sums up. */
  steps: 500
};

// action/report.ts
function parseCiReport(text) {
  const value = parseObject(text);
  if (value === null || typeof value.run !== "string" || !Array.isArray(value.denied)) return null;
  const denied = value.denied.map(deniedRow);
  if (denied.some((row) => row === null) || typeof value.exitCode !== "number") return null;
  return {
    run: value.run,
    exitCode: value.exitCode,
    denied: denied.filter((row) => row !== null),
    drift: list(value.drift).map(driftText),
    cuts: list(objectOf(value.ceiling)?.cuts).map(cutText),
    policyFile: stringOrNull(objectOf(value.policy)?.file),
    auditLog: stringOrNull(value.auditLog)
  };
}
function deniedRow(value) {
  const row = objectOf(value);
  if (row === null || typeof row.host !== "string") return null;
  return {
    host: row.host,
    port: numberOrNull(row.port),
    protocol: stringOrNull(row.protocol),
    count: numberOrNull(row.count) ?? 1,
    reason: stringOrNull(row.reason) ?? "denied",
    file: stringOrNull(row.file),
    line: numberOrNull(row.line),
    suggestion: stringOrNull(row.suggestion)
  };
}
function driftText(value) {
  if (typeof value === "string") return value;
  const row = objectOf(value);
  return stringOrNull(row?.text) ?? JSON.stringify(value);
}
function cutText(value) {
  const { ceiling, witness } = objectOf(value) ?? {};
  const what = stringOrNull(witness) ?? "what could not be compared";
  return `${stringOrNull(ceiling) ?? "the ceiling"} does not allow ${what}`;
}
function parseObject(text) {
  try {
    return objectOf(JSON.parse(text));
  } catch {
    return null;
  }
}
function objectOf(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
}
function list(value) {
  return Array.isArray(value) ? value : [];
}
function stringOrNull(value) {
  return typeof value === "string" ? value : null;
}
function numberOrNull(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

// action/runner-files.ts
import { randomBytes } from "node:crypto";
import { appendFileSync, closeSync, constants, fstatSync, openSync, readSync } from "node:fs";

// action/command-file.ts
function parseEntries(text) {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const entries = [];
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    if (line === "") continue;
    const equals = line.indexOf("=");
    const heredoc = line.indexOf("<<");
    if (equals >= 0 && (heredoc < 0 || equals < heredoc)) {
      if (equals === 0) return wrong(at, "the name is empty");
      entries.push({ name: line.slice(0, equals), value: line.slice(equals + 1) });
      continue;
    }
    if (heredoc < 0) return wrong(at, "neither NAME=VALUE nor NAME<<DELIMITER");
    const delimiter = line.slice(heredoc + 2);
    if (heredoc === 0 || delimiter === "") return wrong(at, "the name or the delimiter is empty");
    const end = lines.indexOf(delimiter, at + 1);
    if (end < 0) return wrong(at, "the delimiter does not come again");
    entries.push({ name: line.slice(0, heredoc), value: lines.slice(at + 1, end).join("\n") });
    at = end;
  }
  return { ok: true, entries };
}
function wrong(at, message) {
  return { ok: false, line: at + 1, message };
}
function formatEntry({ name, value }, delimiter) {
  if (value.split("\n").includes(delimiter) || name.includes("<<") || /[=\r\n]/.test(name)) {
    throw new Error("a value that holds its own delimiter, or a name that is none");
  }
  return `${name}<<${delimiter}
${value}
${delimiter}
`;
}

// action/runner-files.ts
function appendEntries(path, entries) {
  if (path === void 0 || path === "" || entries.length === 0) return;
  appendFileSync(path, entries.map((entry) => formatEntry(entry, freshDelimiter())).join(""));
}
function appendLines(path, lines) {
  if (path === void 0 || path === "" || lines.length === 0) return;
  appendFileSync(path, lines.map((line) => `${line}
`).join(""));
}
function appendText(path, text) {
  if (path === void 0 || path === "" || text === "") return;
  appendFileSync(path, text);
}
function freshDelimiter() {
  return `sand_${freshToken()}`;
}
function freshToken() {
  return randomBytes(20).toString("hex");
}
function readBounded(path, limit) {
  let file;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch {
    return null;
  }
  try {
    const { size } = fstatSync(file);
    if (!fstatSync(file).isFile() || size > limit) return null;
    const bytes = Buffer.alloc(size);
    let read = 0;
    while (read < size) {
      const count = readSync(file, bytes, read, size - read, read);
      if (count === 0) break;
      read += count;
    }
    return bytes.subarray(0, read).toString("utf8");
  } finally {
    closeSync(file);
  }
}

// action/job-folder.ts
var KEPT_FILE = "guests.json";
function readKept(folder) {
  const value = parseObject(readBounded(join(folder, KEPT_FILE), LIMITS.reportBytes) ?? "");
  const guestEnv = list(value?.guestEnv).flatMap((entry) => {
    const { name, value: text } = objectOf(entry) ?? {};
    return typeof name === "string" && typeof text === "string" ? [{ name, value: text }] : [];
  });
  return { guestEnv, guestPath: list(value?.guestPath).filter((path) => typeof path === "string") };
}
function keep(folder, before, { guestEnv, guestPath }) {
  const entries = new Map([...before.guestEnv, ...guestEnv].map((entry) => [entry.name, entry]));
  let bytes = 0;
  const bounded = [...entries.values()].filter(({ value }) => {
    bytes += Buffer.byteLength(value);
    return bytes <= LIMITS.guestVariablesBytes;
  });
  const paths = [...new Set([...before.guestPath, ...guestPath].reverse())].reverse().slice(-100);
  const temporary = join(folder, `${KEPT_FILE}.new`);
  writeFileSync(temporary, JSON.stringify({ guestEnv: bounded, guestPath: paths }), { mode: 384 });
  renameSync(temporary, join(folder, KEPT_FILE));
}
var STEPS_FOLDER = "steps";
function recordStep(folder, result) {
  mkdirSync(join(folder, STEPS_FOLDER), { recursive: true });
  writeFileSync(join(folder, STEPS_FOLDER, `${Date.now()}-${freshToken()}.json`), JSON.stringify(result), {
    mode: 384
  });
}
function readConfig(path) {
  return JSON.parse(readFileSync(path, "utf8"));
}

// action/step.ts
import { mkdtempSync, writeFileSync as writeFileSync2 } from "node:fs";
import { join as join3 } from "node:path";

// action/annotation.ts
import { isAbsolute, relative } from "node:path";

// audit/escape.ts
var UNSAFE_IN_TERMINAL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}\p{Cn}]/gu;
var PRINTABLE_ASCII = /^[\x20-\x7e]*$/;
function escapeTerminal(text) {
  if (PRINTABLE_ASCII.test(text)) return text;
  return text.replace(UNSAFE_IN_TERMINAL, toVisibleEscape);
}
function clipText(text, limit) {
  if (text.length <= limit) return text;
  let end = limit - 1;
  const last = text.charCodeAt(end - 1);
  if (last >= 55296 && last <= 56319) end -= 1;
  return `${text.slice(0, end)}\u2026`;
}
function toVisibleEscape(character) {
  const code2 = character.codePointAt(0) ?? 0;
  if (code2 <= 255) return `\\x${code2.toString(16).padStart(2, "0")}`;
  if (code2 <= 65535) return `\\u${code2.toString(16).padStart(4, "0")}`;
  return `\\u{${code2.toString(16)}}`;
}

// action/annotation.ts
function annotateDenied({ denied, drift, cuts }, failOn, places) {
  const level = (what) => failOn.includes(what) ? "error" : "warning";
  const rows = denied.slice(0, LIMITS.annotations).map((row) => {
    const { file, line } = placeOf(row, places);
    return {
      level: level("denied"),
      title: `${destinationOf(row)} was denied`,
      message: messageOf(row),
      file,
      line
    };
  });
  const changes = drift.map(
    (text) => ({
      level: level("drift"),
      title: "egress drifted from the baseline",
      message: clipText(text, LIMITS.textCharacters)
    })
  );
  const widenings = cuts.map(
    (text) => ({
      level: level("ceiling"),
      title: "the policy asks for more than the ceiling of this machine",
      message: clipText(text, LIMITS.textCharacters)
    })
  );
  return [...widenings, ...rows, ...changes].slice(0, LIMITS.annotations);
}
function destinationOf({ host, port }) {
  const shown = clipText(host, LIMITS.textCharacters);
  if (port === null) return shown;
  return shown.includes(":") ? `[${shown}]:${port}` : `${shown}:${port}`;
}
function messageOf({ reason, count, suggestion }) {
  const times = count === 1 ? "once" : `${count} times`;
  const cure = suggestion === null ? "" : `
to allow it: ${clipText(suggestion, LIMITS.textCharacters)}`;
  return `${clipText(reason, LIMITS.textCharacters)}, ${times}${cure}`;
}
function placeOf({ file, line }, { workspace, folder, policyFile }) {
  for (const [path, at] of [
    [file, line],
    [policyFile, 1]
  ]) {
    if (path === null) continue;
    const absolute = isAbsolute(path) ? path : `${folder}/${path}`;
    const inside = relative(workspace, absolute);
    if (inside !== "" && !inside.startsWith("..") && !isAbsolute(inside))
      return { file: inside, line: Math.max(1, at ?? 1) };
  }
  return { file: void 0, line: void 0 };
}

// action/git-credentials.ts
import { readdirSync as readdirSync2, readFileSync as readFileSync2 } from "node:fs";
import { join as join2 } from "node:path";
var MOST_MODULES = 200;
function holdsCredential(config2) {
  return /extraheader\s*=\s*"?\s*authorization/i.test(config2) || /=\s*"?\w+:\/\/[^\s/@]*:[^\s/@]+@/.test(config2);
}
function findCredential(workspace) {
  const modules = names(join2(workspace, ".git/modules"));
  const files = [".git/config", ...modules.map((name) => `.git/modules/${name}/config`)];
  return files.find((file) => holdsCredential(textOf(join2(workspace, file)))) ?? null;
}
function names(folder) {
  try {
    return readdirSync2(folder).slice(0, MOST_MODULES);
  } catch {
    return [];
  }
}
function textOf(path) {
  try {
    return readFileSync2(path, "utf8");
  } catch {
    return "";
  }
}

// action/handover.ts
var RESERVED = /^(GITHUB_|RUNNER_|ACTIONS_|INPUT_|STATE_|SAND($|_)|CI$)/i;
var POWERFUL = [
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
  /^([A-Z_]*PROXY|SSL_.*|SSLKEYLOGFILE|REQUESTS_.*|NIX_.*|[A-Z_]*CA_BUNDLE|[A-Z_]*CA_CERTS?)$/
];
var VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
var OUTPUT = /^[A-Za-z_][A-Za-z0-9_-]*$/;
function isReserved(name) {
  return RESERVED.test(name);
}
function isPowerful(name) {
  const upper = name.toUpperCase();
  return RESERVED.test(upper) || POWERFUL.some((pattern) => pattern.test(upper));
}
function planHandover(files, rules) {
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
    heldBack: [...env.heldBack, ...path.heldBack, ...output.heldBack, ...summary.heldBack]
  };
}
function readEntries(file, text) {
  if (text === null) return { entries: [], heldBack: [tooLarge(file)] };
  const parsed = parseEntries(text);
  if (parsed.ok) return { entries: parsed.entries, heldBack: [] };
  const why = `line ${parsed.line}: ${parsed.message}`;
  return { entries: [], heldBack: [{ file, what: "the whole file", why, isFault: true }] };
}
function tooLarge(file) {
  const why = `is no plain file of at most ${LIMITS.commandFileBytes / 1024} KiB`;
  return { file, what: "the whole file", why, isFault: true };
}
function planEnvironment(text, hostEnv) {
  const file = "GITHUB_ENV";
  const { entries, heldBack } = readEntries(file, text);
  const host = [];
  const guest = [];
  const held = [...heldBack];
  let bytes = 0;
  for (const entry of entries) {
    const hold = (why) => held.push({ file, what: entry.name, why, isFault: false });
    if (!VARIABLE.test(entry.name) || entry.value.includes("\0")) {
      hold("is no name of a variable, or its value is none");
      continue;
    }
    if (isReserved(entry.name)) {
      hold("is a name of the runner\u2019s own or of sand\u2019s");
      continue;
    }
    const size = Buffer.byteLength(entry.value);
    if (size > LIMITS.guestVariableBytes || bytes + size > LIMITS.guestVariablesBytes) {
      hold("is larger than what later guests are given");
      continue;
    }
    bytes += size;
    guest.push(entry);
    const isNamed = hostEnv.includes("*") || hostEnv.includes(entry.name);
    if (isNamed && !isPowerful(entry.name)) host.push(entry);
    else if (isPowerful(entry.name)) hold("would change what later steps run or trust; later guests get it");
    else hold("is not named by `host-env`; later guests get it");
  }
  return { host, guest, heldBack: held };
}
function planPath(text, hostPath) {
  const file = "GITHUB_PATH";
  if (text === null) return { host: [], guest: [], heldBack: [tooLarge(file)] };
  const lines = text.split("\n").filter((line) => line !== "");
  const usable = lines.filter((line) => line.startsWith("/") && !/[:\0\r]/.test(line));
  const isFault = false;
  const wrong2 = lines.filter((line) => !usable.includes(line)).map((what) => ({ file, what, why: "is no absolute path", isFault }));
  const why = "would put a guest\u2019s programs before the host\u2019s; later guests get it (`host-path`)";
  const held = hostPath ? [] : usable.map((what) => ({ file, what, why, isFault }));
  return { host: hostPath ? usable : [], guest: usable, heldBack: [...wrong2, ...held] };
}
function planOutputs(text, reserved) {
  const file = "GITHUB_OUTPUT";
  const { entries, heldBack } = readEntries(file, text);
  const known = entries.filter(({ name }) => OUTPUT.test(name) && !isOneOf(name, reserved));
  const held = entries.filter((entry) => !known.includes(entry)).map(({ name }) => {
    const why = isOneOf(name, reserved) ? "is an output of the action itself" : "is no name of an output";
    return { file, what: name, why, isFault: false };
  });
  return { entries: known, heldBack: [...heldBack, ...held] };
}
function isOneOf(name, reserved) {
  return reserved.some((own) => own.toLowerCase() === name.toLowerCase());
}
function planSummary(text) {
  const file = "GITHUB_STEP_SUMMARY";
  if (text === null) return { text: "", heldBack: [tooLarge(file)] };
  const why = "is larger than what the runner shows beside what was denied";
  return Buffer.byteLength(text) > LIMITS.guestSummaryBytes ? { text: "", heldBack: [{ file, what: "the whole file", why, isFault: false }] } : { text, heldBack: [] };
}

// action/invocation.ts
var PASSED_VARIABLES = [
  ...[
    "GITHUB_ACTION",
    "GITHUB_ACTIONS",
    "GITHUB_ACTOR",
    "GITHUB_ACTOR_ID",
    "GITHUB_API_URL",
    "GITHUB_BASE_REF"
  ],
  ...[
    "GITHUB_EVENT_NAME",
    "GITHUB_EVENT_PATH",
    "GITHUB_GRAPHQL_URL",
    "GITHUB_HEAD_REF",
    "GITHUB_JOB",
    "GITHUB_REF"
  ],
  ...[
    "GITHUB_REF_NAME",
    "GITHUB_REF_PROTECTED",
    "GITHUB_REF_TYPE",
    "GITHUB_REPOSITORY",
    "GITHUB_REPOSITORY_ID"
  ],
  ...["GITHUB_REPOSITORY_OWNER", "GITHUB_REPOSITORY_OWNER_ID", "GITHUB_RETENTION_DAYS", "GITHUB_RUN_ATTEMPT"],
  ...["GITHUB_RUN_ID", "GITHUB_RUN_NUMBER", "GITHUB_SERVER_URL", "GITHUB_SHA", "GITHUB_TRIGGERING_ACTOR"],
  ...["GITHUB_WORKFLOW", "GITHUB_WORKFLOW_REF", "GITHUB_WORKFLOW_SHA", "GITHUB_WORKSPACE", "RUNNER_ARCH"],
  ...["RUNNER_DEBUG", "RUNNER_ENVIRONMENT", "RUNNER_NAME", "RUNNER_OS", "RUNNER_TOOL_CACHE"]
];
var COMMAND_FILES = ["env", "path", "output", "summary", "state"];
var COMMAND_VARIABLES = {
  env: "GITHUB_ENV",
  path: "GITHUB_PATH",
  output: "GITHUB_OUTPUT",
  summary: "GITHUB_STEP_SUMMARY",
  state: "GITHUB_STATE"
};
function planInvocation(inputs, place, environment) {
  const each = (flag, values) => values.flatMap((value) => [flag, value]);
  return [
    "ci",
    ...each("--policy", inputs.policy),
    ...each("--allow", inputs.allow),
    ...planBaseline(inputs),
    ...["--fail-on", inputs.failOn.join(",")],
    ...Object.entries(place.reports).flatMap(([format, path]) => ["--report", `${format}=${path}`]),
    ...each("--mount", planMounts(place, environment)),
    ...["--workdir", place.workdir],
    ...each("--env", planVariables(inputs, place, environment)),
    ...inputs.flags,
    "--",
    ...inputs.shell.split(/\s+/).filter((word) => word !== "").map((word) => word === "{0}" ? place.script : word)
  ];
}
function planBaseline({ mode, baseline }) {
  if (mode !== "run") return ["--no-baseline"];
  return baseline === null ? [] : ["--baseline", baseline];
}
function planMounts(place, environment) {
  const event = environment.GITHUB_EVENT_PATH;
  return [
    place.workspace,
    ...COMMAND_FILES.map((name) => place.commandFiles[name]),
    `${place.script}:${place.script}:ro`,
    ...event === void 0 || event === "" ? [] : [`${event}:${event}:ro`]
  ];
}
function planVariables(inputs, place, environment) {
  const path = [...place.guestPath].reverse();
  const own = environment.PATH === void 0 ? [] : [environment.PATH];
  return [
    ...PASSED_VARIABLES.filter((name) => environment[name] !== void 0),
    ...inputs.env.filter((name) => environment[name] !== void 0),
    ...place.guestEnv.map(({ name, value }) => `${name}=${value}`),
    ...path.length === 0 ? [] : [`PATH=${[...path, ...own].join(":")}`],
    ...COMMAND_FILES.map((name) => `${COMMAND_VARIABLES[name]}=${place.commandFiles[name]}`),
    "RUNNER_TEMP=/tmp"
  ];
}
var CREDENTIALS = /^(INPUT_|STATE_|ACTIONS_.*(TOKEN|URL)$|GITHUB_TOKEN$|GH_TOKEN$)/i;
function cleanEnvironment(environment, named) {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => named.includes(name) || !CREDENTIALS.test(name))
  );
}

// action/process.ts
import { spawn } from "node:child_process";
import { once } from "node:events";
var SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];
async function relay(program, out) {
  const [file = "", ...args] = program.argv;
  const child = spawn(file, args, {
    cwd: program.cwd,
    env: program.environment,
    stdio: ["ignore", "pipe", "pipe"]
  });
  const pass = SIGNALS.map((signal) => [signal, () => child.kill(signal)]);
  for (const [signal, send] of pass) process.on(signal, send);
  let endsLine = true;
  const pump = async (stream) => {
    for await (const chunk of stream) {
      endsLine = chunk.at(-1) === 10;
      if (!out.write(chunk)) await once(out, "drain");
    }
  };
  try {
    const ended = new Promise((resolve2, reject) => {
      child.on("error", reject);
      child.on("close", (code3) => resolve2(code3 ?? 125));
    });
    const [code2] = await Promise.all([ended, pump(child.stdout), pump(child.stderr)]);
    return { code: code2, endsLine };
  } finally {
    for (const [signal, send] of pass) process.off(signal, send);
  }
}

// action/markdown.ts
function code(text) {
  const shown = escapeTerminal(clipText(text, LIMITS.textCharacters));
  return shown === "" ? "" : `<code>${shown.replace(/[^\p{L}\p{N} ]/gu, toEntity)}</code>`;
}
function toEntity(character) {
  return `&#${character.codePointAt(0) ?? 32};`;
}
function table(head, rows, limit) {
  const line = (cells) => `| ${cells.join(" | ")} |
`;
  let text = line(head) + line(head.map(() => "---"));
  let shown = 0;
  for (const row of rows.slice(0, LIMITS.rows)) {
    const next = line(row);
    if (text.length + next.length > limit) break;
    text += next;
    shown += 1;
  }
  return shown === rows.length ? text : `${text}
and ${rows.length - shown} more, in the report.
`;
}
function folded(title, content) {
  return content === "" ? "" : `<details><summary>${title}</summary>

${content}
</details>
`;
}

// action/summary.ts
var PART = LIMITS.summaryCharacters / 6;
function summarizeRun(result, limit = LIMITS.summaryCharacters) {
  const { title, markdown, heldBack } = result;
  const head = title === null ? "" : `## ${code(title)}

`;
  return within(head, [markdown, heldBackTable(heldBack)], limit);
}
function isTelling({ report: { denied, drift, cuts } }) {
  return denied.length + drift.length + cuts.length > 0;
}
function heldBackTable(heldBack) {
  const rows = heldBack.map(({ file, what, why }) => [file, code(what), code(why)]);
  const content = rows.length === 0 ? "" : table(["file", "what", "why"], rows, PART);
  return folded(
    `${counted(heldBack.length, "thing")} held back that the guest wrote for later steps`,
    content
  );
}
function within(head, parts, limit) {
  let text = head;
  let isWhole = true;
  for (const part of parts) {
    if (text.length + part.length > limit - 100) isWhole = false;
    else if (part !== "") text += `${part}
`;
  }
  return isWhole ? text : `${text}There is more in the report.
`;
}
function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

// action/workflow-command.ts
function escapeData(text) {
  return text.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}
function escapeProperty(text) {
  return escapeData(text).replaceAll(":", "%3A").replaceAll(",", "%2C");
}
function formatCommand(name, properties, data) {
  const pairs = Object.entries(properties).flatMap(
    ([key, value]) => value === void 0 || value === "" ? [] : [`${key}=${escapeProperty(value)}`]
  );
  return `::${name}${pairs.length > 0 ? ` ${pairs.join(",")}` : ""}::${escapeData(data)}
`;
}
function formatAnnotation({ level, title, message, file, line }) {
  const properties = {
    title: escapeTerminal(title),
    file: file === void 0 ? void 0 : escapeTerminal(file),
    line: line === void 0 ? void 0 : String(line)
  };
  return formatCommand(level, properties, message.split("\n").map(escapeTerminal).join("\n"));
}
function formatLine(text) {
  const safe = escapeTerminal(text).replaceAll("##[", "# #[");
  return `${/^\s*::/.test(safe) ? "\xB7 " : ""}${safe}
`;
}
function stopCommands(token) {
  return `::stop-commands::${token}
`;
}
function resumeCommands(token) {
  return `::${token}::
`;
}

// action/step.ts
async function runStep(request) {
  const { config: config2, environment, out } = request;
  refuseCredential(config2);
  const kept = readKept(config2.folder);
  const place = createPlace(request, kept);
  const program = {
    argv: [...config2.sand, ...planInvocation(config2.inputs, place, environment)],
    cwd: config2.workspace,
    environment: cleanEnvironment(environment, config2.inputs.env)
  };
  const ended = await runGuest(program, out, config2.inputs.workflowCommands);
  const handover = takeOver(request, place, kept);
  const report = parseCiReport(readBounded(place.reports.json, LIMITS.reportBytes) ?? "");
  for (const { file, what, why, isFault } of handover.heldBack) {
    const message = `${file}: ${what} ${isFault ? "was not taken: it" : "stays in the guest: it"} ${why}`;
    out.write(
      formatAnnotation({ level: isFault ? "error" : "notice", title: "held back from later steps", message })
    );
  }
  const result = report === null ? null : show(request, report, place, handover);
  appendText(environment.GITHUB_STEP_SUMMARY, handover.summary);
  return { exitCode: exitCodeOf(ended, report, handover), result, reports: place.reports };
}
function refuseCredential({ workspace, inputs }) {
  const file = inputs.env.includes("GITHUB_TOKEN") ? null : findCredential(workspace);
  if (file === null) return;
  throw new ActionFailure(
    "usage",
    `${file} holds a credential, which every guest could read`,
    "give actions/checkout `persist-credentials: false`; or list GITHUB_TOKEN in `env`, where guests are meant to have it"
  );
}
function exitCodeOf(code2, report, { heldBack }) {
  if (code2 !== 0) return code2;
  if (report === null) return 125;
  return heldBack.some(({ isFault }) => isFault) ? 1 : 0;
}
async function runGuest(program, out, workflowCommands) {
  const token = freshToken();
  if (!workflowCommands) out.write(stopCommands(token));
  try {
    const { code: code2, endsLine } = await relay(program, out);
    if (!endsLine) out.write("\n");
    return code2;
  } finally {
    if (!workflowCommands) out.write(resumeCommands(token));
  }
}
function createPlace({ config: config2, script: script2, workdir }, kept) {
  const folder = mkdtempSync(join3(config2.folder, "step-"));
  const commandFiles = Object.fromEntries(
    COMMAND_FILES.map((name) => {
      const path = join3(folder, name);
      writeFileSync2(path, "", { flag: "wx", mode: 384 });
      return [name, path];
    })
  );
  const report = (name) => join3(folder, `report.${name}`);
  const reports = { json: report("json"), sarif: report("sarif"), markdown: report("md") };
  return { workspace: config2.workspace, workdir, script: script2, commandFiles, reports, ...kept };
}
function takeOver({ config: config2, environment, reservedOutputs }, place, kept) {
  const read = (name) => readBounded(place.commandFiles[name], LIMITS.commandFileBytes);
  const { hostEnv, hostPath } = config2.inputs;
  const handover = planHandover(
    { env: read("env"), path: read("path"), output: read("output"), summary: read("summary") },
    { hostEnv, hostPath, reservedOutputs }
  );
  appendEntries(environment.GITHUB_ENV, handover.hostEnv);
  appendLines(environment.GITHUB_PATH, handover.hostPath);
  appendEntries(environment.GITHUB_OUTPUT, handover.outputs);
  keep(config2.folder, kept, handover);
  return handover;
}
function show(request, report, place, { heldBack }) {
  const { config: config2, environment, out, title } = request;
  const { workspace, inputs } = config2;
  const places = { workspace, folder: workspace, policyFile: report.policyFile };
  for (const annotation of annotateDenied(report, inputs.failOn, places)) {
    out.write(formatAnnotation(annotation));
  }
  const markdown = readBounded(place.reports.markdown, LIMITS.reportBytes) ?? "";
  const result = { title, report, markdown, heldBack };
  const isShown = isTelling(result) || heldBack.length > 0;
  if (isShown || inputs.mode === "run") {
    appendText(environment.GITHUB_STEP_SUMMARY, `${summarizeRun(result)}
`);
  }
  if (isShown) out.write(formatLine(`sand: the log of this step is ${report.auditLog ?? report.run}`));
  return result;
}

// action/shell.ts
var [config = "", script = ""] = process.argv.slice(2);
try {
  process.exitCode = await run();
} catch (error) {
  const { exit, title, message } = describeFailure(error);
  process.stdout.write(formatAnnotation({ level: "error", title, message }));
  process.exitCode = exit;
}
async function run() {
  if (script === "")
    throw new ActionFailure("usage", "sand-shell got no script", "write `shell: sand-shell {0}`");
  const read = readConfig(config);
  const { exitCode, result } = await runStep({
    config: read,
    script: resolve(script),
    workdir: process.cwd(),
    environment: process.env,
    out: process.stdout,
    title: process.env.GITHUB_ACTION ?? "step",
    // A step of the job has outputs of its own alone.
    reservedOutputs: []
  });
  if (result !== null) recordStep(read.folder, result);
  return exitCode;
}
