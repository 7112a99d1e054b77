// Made of the sources in action/ by `npm run build:action`.

// action/main.ts
import { mkdirSync as mkdirSync5, writeFileSync as writeFileSync5 } from "node:fs";
import { dirname as dirname2, join as join8, resolve as resolve3 } from "node:path";
import { fileURLToPath } from "node:url";

// action/diff.ts
import { existsSync } from "node:fs";
import { join as join3, posix as posix2 } from "node:path";

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
function annotateDiff({ changes }, failOn, places) {
  const level = failOn.includes("widen") || failOn.includes("any") ? "error" : "warning";
  return changes.filter(({ direction }) => direction === "widens").slice(0, LIMITS.annotations).map(({ text, witness, file, line }) => {
    const place = placeOf({ file, line }, places);
    const message = witness === null ? text : `${text}
now allowed: ${witness}`;
    return { level, title: "the egress policy widens", message, ...place };
  });
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

// action/base-policy.ts
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";

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

// action/process.ts
import { spawn } from "node:child_process";
import { once } from "node:events";
function ask(program, timeoutMs, input = "") {
  const [file = "", ...args] = program.argv;
  const child = spawn(file, args, { cwd: program.cwd, env: program.environment, stdio: "pipe" });
  const stdout = collect(child.stdout);
  const stderr = collect(child.stderr);
  child.stdin.on("error", () => {
  });
  child.stdin.end(input);
  let isLate = false;
  const deadline = setTimeout(() => {
    isLate = true;
    child.kill("SIGKILL");
  }, timeoutMs);
  return new Promise((resolve4) => {
    const end = (code2, why = "") => {
      clearTimeout(deadline);
      resolve4({ code: code2, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() + why });
    };
    child.on("error", (error) => end(127, error.message));
    child.on("close", (code2) => end(isLate ? 124 : code2 ?? 125));
  });
}
function collect(stream) {
  const chunks = [];
  let bytes = 0;
  stream.on("data", (chunk) => {
    if (bytes >= LIMITS.outputBytes) return;
    bytes += chunk.length;
    chunks.push(chunk);
  });
  return chunks;
}
var SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];
async function relay(program, out2) {
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
      if (!out2.write(chunk)) await once(out2, "drain");
    }
  };
  try {
    const ended = new Promise((resolve4, reject) => {
      child.on("error", reject);
      child.on("close", (code3) => resolve4(code3 ?? 125));
    });
    const [code2] = await Promise.all([ended, pump(child.stdout), pump(child.stderr)]);
    return { code: code2, endsLine };
  } finally {
    for (const [signal, send] of pass) process.off(signal, send);
  }
}

// action/base-policy.ts
var SHA = /^[0-9a-f]{40}([0-9a-f]{24})?$/;
var POLICY_FILE = /\.(ya?ml|lock)$/;
async function createBaseFolder(request) {
  const { sha, folder } = request;
  if (!SHA.test(sha)) throw missing(sha, "is no commit");
  if ((await git(request, ["cat-file", "-e", `${sha}^{commit}`])).code !== 0) {
    await git(request, ["fetch", "--no-tags", "--quiet", "--depth=1", "origin", sha]);
  }
  const listed = await git(request, ["ls-tree", "-r", "-z", "--full-tree", sha]);
  if (listed.code !== 0) throw missing(sha, "is not in this checkout and could not be fetched");
  const files = parseTree(listed.stdout.toString());
  if (files.length > LIMITS.baseFiles) throw missing(sha, `has more than ${LIMITS.baseFiles} YAML files`);
  mkdirSync(folder);
  const wanted = files.map(({ object }) => `${object}
`).join("");
  const objects = await git(request, ["cat-file", "--batch"], wanted);
  if (objects.code !== 0) throw missing(sha, "could not be read");
  const contents = parseBatch(objects.stdout, files.length);
  files.forEach(({ path }, at) => {
    const content = contents[at];
    if (content === void 0) throw missing(sha, "has policy files that are too large together");
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content, { flag: "wx" });
  });
}
function parseTree(text) {
  return text.split("\0").flatMap((line) => {
    const [, object = "", path = ""] = /^100\d{3} blob ([0-9a-f]+)\t(.+)$/s.exec(line) ?? [];
    const isPlain = path !== "" && posix.normalize(path) === path && !/^(\/|\.\.(\/|$))/.test(path);
    return isPlain && POLICY_FILE.test(path) ? [{ path, object }] : [];
  });
}
function parseBatch(bytes, count) {
  const contents = [];
  let at = 0;
  while (contents.length < count) {
    const end = bytes.indexOf(10, at);
    const size = end < 0 ? null : / blob (\d+)$/.exec(bytes.subarray(at, end).toString())?.[1];
    if (size === null || size === void 0 || end + 1 + Number(size) > bytes.length) break;
    contents.push(bytes.subarray(end + 1, end + 1 + Number(size)));
    at = end + 1 + Number(size) + 1;
  }
  return contents;
}
function git({ workspace, environment }, args, input = "") {
  const argv = ["git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", ...args];
  return ask({ argv, cwd: workspace, environment }, LIMITS.toolMs, input);
}
function missing(sha, why) {
  return new ActionFailure(
    "policy-missing",
    `the commit ${sha.slice(0, 64)} ${why}`,
    "check out with `fetch-depth: 0`, or let the action fetch the base commit"
  );
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
function planInvocation(inputs2, place, environment) {
  const each = (flag, values) => values.flatMap((value) => [flag, value]);
  return [
    "ci",
    ...each("--policy", inputs2.policy),
    ...each("--allow", inputs2.allow),
    ...planBaseline(inputs2),
    ...["--fail-on", inputs2.failOn.join(",")],
    ...Object.entries(place.reports).flatMap(([format, path]) => ["--report", `${format}=${path}`]),
    ...each("--mount", planMounts(place, environment)),
    ...["--workdir", place.workdir],
    ...each("--env", planVariables(inputs2, place, environment)),
    ...inputs2.flags,
    "--",
    ...inputs2.shell.split(/\s+/).filter((word) => word !== "").map((word) => word === "{0}" ? place.script : word)
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
function planVariables(inputs2, place, environment) {
  const path = [...place.guestPath].reverse();
  const own = environment.PATH === void 0 ? [] : [environment.PATH];
  return [
    ...PASSED_VARIABLES.filter((name) => environment[name] !== void 0),
    ...inputs2.env.filter((name) => environment[name] !== void 0),
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

// action/job.ts
import { mkdirSync as mkdirSync2, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join as join2, resolve } from "node:path";

// action/comment.ts
import { createHash } from "node:crypto";

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
function parsePolicyDiff(text) {
  const value = parseObject(text);
  if (value === null || typeof value.widens !== "number" || typeof value.narrows !== "number") return null;
  const changes = list(value.changes).flatMap((entry) => {
    const change = objectOf(entry);
    if (change === null || typeof change.direction !== "string" || typeof change.text !== "string") return [];
    const place = objectOf(list(change.after)[0]);
    return [
      {
        direction: change.direction,
        text: change.text,
        witness: stringOrNull(objectOf(change.witness)?.text),
        file: stringOrNull(place?.file),
        line: numberOrNull(place?.line)
      }
    ];
  });
  return { widens: value.widens, narrows: value.narrows, changes };
}
function parseDoctorReport(text) {
  const value = parseObject(text);
  if (value === null || typeof value.ok !== "boolean" || !Array.isArray(value.findings)) return null;
  const failed = value.findings.flatMap((entry) => {
    const finding = objectOf(entry);
    if (finding?.state !== "failed" || typeof finding.check !== "string") return [];
    const message = stringOrNull(finding.message) ?? "";
    return [{ check: finding.check, message, remedy: stringOrNull(finding.remedy) }];
  });
  return { ok: value.ok, failed };
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

// action/comment.ts
function markerOf(key) {
  return `<!-- sand-egress ${createHash("sha256").update(key).digest("hex").slice(0, 32)} -->`;
}
async function runComment(request) {
  try {
    return await writeComment(request);
  } catch (error) {
    return { kind: "failed", why: error instanceof Error ? error.message : String(error) };
  }
}
async function writeComment(request) {
  const { pull, key, body } = request;
  const marker = markerOf(key);
  const issue = `/repos/${pull.repository}/issues/${pull.number}/comments`;
  const own = await findOwn(request, issue, marker);
  if (body === null) {
    if (own === null) return { kind: "unneeded" };
    await callApi(request, "DELETE", commentPath(pull, own));
    return { kind: "removed" };
  }
  const text = { body: `${marker}
${body}` };
  if (own === null) await callApi(request, "POST", issue, text);
  else await callApi(request, "PATCH", commentPath(pull, own), text);
  return { kind: own === null ? "created" : "updated" };
}
function commentPath({ repository }, id) {
  return `/repos/${repository}/issues/comments/${id}`;
}
async function findOwn(request, issue, marker) {
  for (let page = 1; page <= LIMITS.commentPages; page += 1) {
    const comments = list(await callApi(request, "GET", `${issue}?per_page=100&page=${page}`));
    const own = comments.find((comment2) => isOwn(comment2, marker));
    if (own !== void 0) return numberOrNull(objectOf(own)?.id);
    if (comments.length < 100) break;
  }
  return null;
}
function isOwn(value, marker) {
  const comment2 = objectOf(value);
  const isTrusted = objectOf(comment2?.user)?.type === "Bot" || ["OWNER", "MEMBER", "COLLABORATOR"].includes(stringOrNull(comment2?.author_association) ?? "");
  return isTrusted && (stringOrNull(comment2?.body) ?? "").startsWith(marker);
}
async function callApi({ pull, token, fetch: send }, method, path, body) {
  const response = await send(`${pull.apiUrl}${path}`, {
    method,
    headers: {
      accept: "application/vnd.github+json",
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      "user-agent": "sand-egress",
      "x-github-api-version": "2022-11-28"
    },
    ...body === void 0 ? {} : { body: JSON.stringify(body) },
    // The token goes to the API that the runner names, and nowhere that one sends it on to.
    redirect: "error",
    signal: AbortSignal.timeout(LIMITS.apiMs)
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} answered ${response.status}`);
  return text === "" ? null : JSON.parse(text);
}

// action/event.ts
var NOTHING = /^0+$/;
function parseEvent(text) {
  const event = parseObject(text);
  const pull = objectOf(event?.pull_request);
  const group = objectOf(event?.merge_group);
  const before = stringOrNull(event?.before);
  const base = stringOrNull(objectOf(pull?.base)?.sha) ?? stringOrNull(group?.base_sha) ?? // A new branch comes from nothing.
  (before === null || NOTHING.test(before) ? null : before);
  return { pullRequest: numberOrNull(pull?.number), base };
}

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

// action/inputs.ts
var MODES = ["run", "shell", "diff"];
var FAIL_ON = {
  run: ["denied", "drift", "ceiling", "none"],
  shell: ["denied", "ceiling", "none"],
  diff: ["widen", "any", "none"]
};
var SHELLS = {
  bash: "bash --noprofile --norc -eo pipefail {0}",
  sh: "sh -e {0}",
  python: "python3 {0}",
  node: "node {0}"
};
function inputVariable(name) {
  return `INPUT_${name.replaceAll(" ", "_").toUpperCase()}`;
}
function parseInputs(environment, defaultSand) {
  const issues = [];
  const text = (name) => (environment[inputVariable(name)] ?? "").trim();
  const flag = (name) => parseBoolean(name, text(name), issues);
  const mode = parseMode(text("mode"), issues);
  const run2 = (environment[inputVariable("run")] ?? "").trimEnd();
  const baseline = text("baseline");
  const inputs2 = {
    mode,
    run: run2,
    shell: parseShell(text("shell"), issues),
    policy: words(text("policy")),
    allow: words(text("allow")),
    baseline: baseline === "" ? null : baseline,
    failOn: parseFailOn(mode, text("fail-on"), issues),
    workingDirectory: text("working-directory"),
    env: parseNames("env", text("env"), issues),
    hostEnv: parseNames("host-env", text("host-env"), issues),
    hostPath: flag("host-path"),
    workflowCommands: flag("workflow-commands"),
    flags: text("flags").split("\n").map((line) => line.trim()).filter((line) => line !== ""),
    comment: flag("comment"),
    token: text("github-token"),
    name: text("name"),
    sand: text("sand") === "" ? defaultSand : text("sand"),
    setup: flag("setup")
  };
  issues.push(...findContradictions(inputs2));
  return issues.length === 0 ? { ok: true, inputs: inputs2 } : { ok: false, issues };
}
function findContradictions(inputs2) {
  const { mode, run: run2, baseline, flags, name } = inputs2;
  return [
    ...mode === "run" && run2 === "" ? ["`run` is empty: write the command, or `mode: shell`"] : [],
    ...mode !== "run" && run2 !== "" ? [`\`run\` has no meaning with \`mode: ${mode}\`: leave it out`] : [],
    ...mode !== "run" && baseline !== null ? ["`baseline` is of one command: use it with `mode: run`"] : [],
    ...flags.filter((line) => !/^-{1,2}[a-z]/i.test(line) || line === "--").map((line) => `\`flags\`: ${line} is no flag: write one a line, with \`=\` before its value`),
    .../^[\w .,/()+-]{0,80}$/.test(name) ? [] : ["`name`: write letters, digits, blanks and . , / ( ) + - _, at most 80"]
  ];
}
function parseMode(text, issues) {
  const mode = MODES.find((known) => known === (text === "" ? "run" : text));
  if (mode !== void 0) return mode;
  issues.push(`\`mode: ${text}\`: write one of ${MODES.join(", ")}`);
  return "run";
}
function parseBoolean(name, text, issues) {
  if (/^true$/i.test(text)) return true;
  if (text !== "" && !/^false$/i.test(text)) issues.push(`\`${name}: ${text}\`: write true or false`);
  return false;
}
function parseShell(text, issues) {
  if (text === "") return SHELLS.bash ?? "";
  const known = Object.hasOwn(SHELLS, text) ? SHELLS[text] : void 0;
  if (known !== void 0) return known;
  if (!text.split(/\s+/).includes("{0}")) {
    issues.push(`\`shell: ${text}\`: write ${Object.keys(SHELLS).join(", ")}, or a command with {0}`);
  }
  return text;
}
var DEFAULT_FAIL_ON = {
  run: ["denied", "drift"],
  shell: ["denied"],
  diff: ["widen"]
};
function parseFailOn(mode, text, issues) {
  const given = words(text);
  if (given.length === 0) return DEFAULT_FAIL_ON[mode];
  const known = FAIL_ON[mode];
  const wrong2 = given.filter((word) => !known.includes(word));
  issues.push(
    ...wrong2.map((word) => `\`fail-on: ${word}\`: with \`mode: ${mode}\` write ${known.join(", ")}`)
  );
  if (given.includes("none") && given.length > 1) issues.push("`fail-on`: none stands alone");
  return given;
}
function parseNames(input, text, issues) {
  const names2 = words(text);
  for (const name of names2) {
    if (name === "*" && input === "host-env") continue;
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) issues.push(`\`${input}\`: ${name} is no name of a variable`);
    else if (input === "host-env" && isReserved(name))
      issues.push(`\`${input}\`: ${name} is never taken from a guest`);
  }
  return names2;
}
function words(text) {
  return text.split(/[\s,]+/).filter((word) => word !== "");
}

// action/masking.ts
var SECRET_LENGTH = 6;
function maskSecrets(text, secrets) {
  const values = secrets.flatMap((secret) => secret.split("\n")).map((line) => line.trim());
  const forms = values.filter((value) => value.length >= SECRET_LENGTH).flatMap((value) => [value, asEntities(value, /[^A-Za-z0-9 ]/gu), asEntities(value, /[^\p{L}\p{N} ]/gu)]).sort((a, b) => b.length - a.length);
  return forms.reduce((shown, form) => shown.replace(new RegExp(literal(form), "giu"), "***"), text);
}
function asEntities(text, pattern) {
  return text.replace(pattern, (character) => `&#${character.codePointAt(0) ?? 0};`);
}
function literal(text) {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

// action/runner-files.ts
import { randomBytes } from "node:crypto";
import { appendFileSync, closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
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
    let read2 = 0;
    while (read2 < size) {
      const count = readSync(file, bytes, read2, size - read2, read2);
      if (count === 0) break;
      read2 += count;
    }
    return bytes.subarray(0, read2).toString("utf8");
  } finally {
    closeSync(file);
  }
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

// action/job.ts
function readJob(environment, out2) {
  const event = environment.GITHUB_EVENT_PATH ?? "";
  return {
    environment,
    workspace: resolve(environment.GITHUB_WORKSPACE ?? process.cwd()),
    temp: resolve(environment.RUNNER_TEMP ?? tmpdir()),
    event: parseEvent(event === "" ? "" : textOr(event)),
    say: (text) => void out2.write(formatLine(text)),
    notice: (title, message) => void out2.write(formatAnnotation({ level: "notice", title, message }))
  };
}
function textOr(path) {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
function createFolder({ temp }) {
  mkdirSync2(temp, { recursive: true });
  return mkdtempSync(join2(temp, "sand-egress-"));
}
function setOutputs({ environment }, outputs) {
  appendEntries(
    environment.GITHUB_OUTPUT,
    Object.entries(outputs).map(([name, value]) => ({ name, value }))
  );
}
function saveState({ environment }, name, value) {
  appendEntries(environment.GITHUB_STATE, [{ name, value }]);
}
async function comment(job2, inputs2, body) {
  const { environment, event } = job2;
  if (!inputs2.comment || event.pullRequest === null) return;
  const { GITHUB_API_URL: apiUrl, GITHUB_REPOSITORY: repository } = environment;
  if (apiUrl === void 0 || repository === void 0 || inputs2.token === "") return;
  const key = [environment.GITHUB_WORKFLOW, environment.GITHUB_JOB, inputs2.mode, inputs2.name].join("\n");
  const outcome = await runComment({
    pull: { apiUrl, repository, number: event.pullRequest },
    token: inputs2.token,
    key,
    body: body === null ? null : masked(job2, inputs2, body),
    fetch
  });
  tell(job2, outcome);
}
function tell({ say, notice }, outcome) {
  if (outcome.kind === "failed") {
    const hint = "The token wants pull-requests: write, which pull requests from forks never get. The summary has it all.";
    notice("sand: no comment on the pull request", `${outcome.why}. ${hint}`);
  } else if (outcome.kind !== "unneeded") {
    say(`the comment on the pull request was ${outcome.kind}`);
  }
}
function masked({ environment }, inputs2, body) {
  const text = maskSecrets(body, [inputs2.token, ...inputs2.env.map((name) => environment[name] ?? "")]);
  return text.length <= LIMITS.commentCharacters ? text : "There is too much for a comment: see the summary of the job.";
}
function readInputs({ environment }, out2, defaultSand) {
  const parsed = parseInputs(environment, defaultSand);
  if (parsed.ok) return parsed.inputs;
  for (const message of parsed.issues) {
    out2.write(formatAnnotation({ level: "error", title: "sand (usage)", message }));
  }
  return null;
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
function summarizeDiff(results) {
  const widens = results.reduce((sum, { diff }) => sum + diff.widens, 0);
  const narrows = results.reduce((sum, { diff }) => sum + diff.narrows, 0);
  const parts = results.map(({ before, after, diff }) => {
    const rows = diff.changes.map(({ direction, text, witness, file, line }) => [
      direction === "widens" ? `**${direction}**` : code(direction),
      code(text),
      witness === null ? "" : code(witness),
      file === null ? "" : code(line === null ? file : `${file}:${line}`)
    ]);
    const changes = rows.length === 0 ? "No request is judged otherwise.\n" : table(["", "change", "a request that shows it", "rule"], rows, PART * 2);
    return `${code(before)} \u2192 ${code(after)}

${changes}`;
  });
  const title = `### sand: the egress policy has ${counted(widens, "widening")}, ${counted(narrows, "narrowing")}

`;
  return within(title, parts, LIMITS.summaryCharacters);
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

// action/diff.ts
var FOUND = "sand.policy.yaml";
var WITHOUT_FILE = "strict";
async function runDiff({ job: job2, inputs: inputs2, sand, folder, out: out2 }) {
  const { base } = job2.event;
  if (base === null) {
    job2.notice(
      "sand: no policy to compare with",
      "The event names no commit before this one, so nothing was compared."
    );
    setOutputs(job2, { widens: "0", narrows: "0" });
    return 0;
  }
  const environment = cleanEnvironment(job2.environment, []);
  const baseFolder = join3(folder, "base");
  await createBaseFolder({ workspace: job2.workspace, environment, sha: base, folder: baseFolder });
  const files = inputs2.policy.length === 0 ? [FOUND] : inputs2.policy.map(plainPath);
  const results = [];
  for (const file of files) results.push(await compare({ job: job2, sand, environment, baseFolder, file }));
  const sum = (of) => results.reduce((total, { diff }) => total + diff[of], 0);
  const places = { workspace: job2.workspace, folder: job2.workspace, policyFile: files[0] ?? null };
  for (const annotation of results.flatMap(({ diff }) => annotateDiff(diff, inputs2.failOn, places))) {
    out2.write(formatAnnotation(annotation));
  }
  const summary = summarizeDiff(results);
  appendText(job2.environment.GITHUB_STEP_SUMMARY, summary);
  const isChanged = results.some(({ diff }) => diff.changes.length > 0);
  await comment(job2, inputs2, isChanged ? summary : null);
  setOutputs(job2, { widens: String(sum("widens")), narrows: String(sum("narrows")) });
  job2.say(
    `sand: ${sum("widens")} widening and ${sum("narrows")} narrowing changes since ${base.slice(0, 12)}`
  );
  const isWider = sum("widens") > 0;
  const fails = inputs2.failOn.includes("any") ? isWider || sum("narrows") > 0 : isWider;
  return fails && !inputs2.failOn.includes("none") ? 1 : 0;
}
function plainPath(name) {
  const path = posix2.normalize(name);
  if (/^(\/|\.\.(\/|$))/.test(path) || !/[./]/.test(path))
    throw new ActionFailure(
      "usage",
      `\`policy: ${name}\` is no file of the repository`,
      "name a policy file by its path"
    );
  return path;
}
async function compare(request) {
  const { job: job2, sand, environment, baseFolder, file } = request;
  const place = (folder) => existsSync(join3(folder, file)) ? join3(folder, file) : WITHOUT_FILE;
  const before = place(baseFolder);
  const after = place(job2.workspace);
  const argv = [...sand, "policy", "diff", "--format", "json", before, after];
  const { code: code2, stdout, stderr } = await ask({ argv, cwd: job2.workspace, environment }, LIMITS.toolMs);
  const diff = code2 === 0 ? parsePolicyDiff(stdout.toString()) : null;
  if (diff === null)
    throw new ActionFailure(
      "policy-invalid",
      `${file} cannot be compared with its earlier version: ${stderr.trim().slice(0, 2e3)}`,
      "mend the policy; `sand policy check` tells what is wrong"
    );
  const name = (path, label) => path === WITHOUT_FILE ? `${WITHOUT_FILE} (no file)` : label;
  return { before: name(before, `${file} before`), after: name(after, file), diff };
}

// action/outputs.ts
var OUTPUTS = [
  ...["denied", "drift", "run", "exit-code", "audit-log", "report-json", "report-sarif", "report-markdown"],
  ...["shell", "widens", "narrows"]
];

// action/sand-program.ts
import { mkdirSync as mkdirSync3, realpathSync, statSync, writeFileSync as writeFileSync2 } from "node:fs";
import { isAbsolute as isAbsolute2, join as join4, resolve as resolve2 } from "node:path";
var PACKAGE = /^(@[a-z0-9][\w.-]*\/)?[a-z0-9][\w.-]*(@[\w.^~*-]+)?$/i;
async function createSandProgram(request) {
  const { spec, workspace } = request;
  if (spec.endsWith(".tgz")) return install({ ...request, spec: resolve2(workspace, spec) });
  if (!spec.includes("/") || spec.startsWith("@")) return install(request);
  const path = resolve2(workspace, spec);
  if (!isExecutable(path))
    throw new ActionFailure(
      "tool-missing",
      `there is no program ${spec}`,
      "name an executable, or a package of npm"
    );
  return start(outside(path, workspace));
}
function outside(path, workspace) {
  const real = realpathSync.native(path);
  if (!real.startsWith(`${realpathSync.native(workspace)}/`)) return real;
  throw new ActionFailure(
    "usage",
    `${path} lies in the workspace, which guests can write`,
    "put sand elsewhere, or name a package of npm"
  );
}
async function install({ spec, folder, environment }) {
  if (!isAbsolute2(spec) && !PACKAGE.test(spec))
    throw new ActionFailure(
      "usage",
      `\`sand: ${spec}\` is no package`,
      "write NAME@VERSION, or the path of an executable"
    );
  const place = join4(folder, "package");
  mkdirSync3(place);
  writeFileSync2(join4(place, "package.json"), '{"private": true}\n');
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
  const npm = { argv: ["npm", "install", ...flags, spec], cwd: place, environment };
  const { code: code2, stderr } = await ask(npm, LIMITS.installMs);
  const path = join4(place, "node_modules/.bin/sand");
  if (code2 === 0 && isExecutable(path)) return start(realpathSync.native(path));
  throw new ActionFailure(
    "tool-failed",
    `npm did not install ${spec}: ${stderr.trim().slice(0, 1e3)}`,
    "look at what npm says, or name an executable with `sand`"
  );
}
function start(path) {
  return /\.[cm]?js$/.test(path) ? [process.execPath, path] : [path];
}
function isExecutable(path) {
  try {
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

// action/setup.ts
import { readFileSync as readFileSync2 } from "node:fs";

// action/setup-plan.ts
var PACKAGES = [
  [/^bubblewrap$/, "bubblewrap"],
  [/^nftables$/, "nftables"],
  [/^iproute2$/, "iproute2"],
  [/^util-linux$/, "util-linux"]
];
var SYSCTL = "kernel.apparmor_restrict_unprivileged_userns";
var APPARMOR_PROFILE = `abi <abi/4.0>,
include <tunables/global>

profile sand-egress-bwrap /usr/bin/bwrap flags=(unconfined) {
  userns,
}

profile sand-egress-unshare /usr/bin/unshare flags=(unconfined) {
  userns,
}
`;
function planSetup(facts) {
  const { doctor, apparmorRestricts, isRoot, mayAct, hasApt } = facts;
  const missing2 = PACKAGES.filter(([pattern]) => doctor.failed.some(({ check }) => pattern.test(check))).map(
    ([, name]) => name
  );
  const apparmor = apparmorRestricts === "1" && !isRoot && blocksNamespaces(doctor);
  return {
    packages: mayAct && hasApt ? missing2 : [],
    apparmor: apparmor && mayAct,
    advice: [
      ...missing2.length > 0 && !(mayAct && hasApt) ? [`sudo apt-get install ${missing2.join(" ")}`] : [],
      ...apparmor && !mayAct ? [`sudo sysctl -w ${SYSCTL}=0`] : []
    ]
  };
}
function blocksNamespaces({ failed }) {
  return failed.some(
    ({ check }) => /^(user namespaces|bubblewrap( start)?|veth|nftables ruleset)$/.test(check)
  );
}
function explainFailure({ failed }, advice) {
  const checks = failed.map(
    ({ check, message, remedy }) => `${check}: ${message}${remedy === null ? "" : ` \u2192 ${remedy}`}`
  );
  const todo = advice.length === 0 ? [] : [`an administrator of this runner has to: ${advice.join("; ")}`];
  return [...checks, ...todo].join("\n");
}

// action/setup.ts
async function runSetup(request) {
  const { say } = request;
  let doctor = await examine(request);
  if (doctor.ok) return say("sand doctor: this runner can run guests; nothing was changed");
  let plan = await planFor(request, doctor);
  if (plan.packages.length > 0) {
    await installPackages(request, plan.packages);
    doctor = await examine(request);
    plan = await planFor(request, doctor);
  }
  if (!doctor.ok && plan.apparmor) doctor = await admitNamespaces(request, doctor);
  if (doctor.ok) return say("sand doctor: this runner can run guests now");
  throw new ActionFailure(
    "backend-unavailable",
    `this runner cannot run guests
${explainFailure(doctor, plan.advice)}`,
    request.allowed ? "change the runner as said above" : "set `setup: true`, or change the runner as said above"
  );
}
async function planFor(request, doctor) {
  const isRoot = process.getuid?.() === 0;
  const hasSudo = !isRoot && await isFine(request, ["sudo", "-n", "true"]);
  if (request.allowed && !isRoot && !hasSudo) request.say("sudo asks for a password here, or is not there");
  return planSetup({
    doctor,
    apparmorRestricts: await restriction(request),
    isRoot,
    mayAct: request.allowed && (isRoot || hasSudo),
    hasApt: await isFine(request, ["apt-get", "--version"])
  });
}
async function examine({ sand, cwd, environment }) {
  const answer = await ask({ argv: [...sand, "doctor", "--json"], cwd, environment }, LIMITS.doctorMs);
  const report = parseDoctorReport(answer.stdout.toString());
  if (report !== null) return report;
  throw new ActionFailure(
    "backend-unavailable",
    `sand doctor said nothing that can be read: ${answer.stderr.trim().slice(0, 500)}`,
    "look at what `sand` names"
  );
}
async function restriction(request) {
  const answer = await run(request, ["sysctl", "-n", SYSCTL]);
  if (answer.code === 0) return answer.stdout.toString().trim();
  try {
    return readFileSync2(`/proc/sys/${SYSCTL.replaceAll(".", "/")}`, "utf8").trim();
  } catch {
    return null;
  }
}
async function installPackages(request, packages) {
  request.say(`setup: installs ${packages.join(", ")} with apt-get`);
  await run(request, asRoot(["apt-get", "update", "-qq"]), LIMITS.installMs);
  const command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", ...packages];
  const { code: code2, stderr } = await run(
    request,
    asRoot(["env", "DEBIAN_FRONTEND=noninteractive", ...command]),
    LIMITS.installMs
  );
  if (code2 !== 0) request.say(`setup: apt-get failed: ${stderr.trim().slice(0, 300)}`);
}
async function admitNamespaces(request, before) {
  const { say, remember } = request;
  remember("profile", true);
  const loaded = await run(
    request,
    asRoot(["apparmor_parser", "--replace"]),
    LIMITS.toolMs,
    APPARMOR_PROFILE
  );
  let doctor = before;
  if (loaded.code === 0) {
    say(
      "setup: loaded an AppArmor profile that lets bwrap and unshare make user namespaces; removed when the job ends"
    );
    doctor = await examine(request);
    if (doctor.ok) return doctor;
    if (await restoreSetup("profile", request)) remember("profile", false);
  }
  say("setup: an AppArmor profile for bwrap and unshare does not suffice here");
  remember("sysctl", true);
  const switched = await run(request, asRoot(["sysctl", "-w", `${SYSCTL}=0`]));
  if (switched.code !== 0) return doctor;
  say(`setup: set ${SYSCTL} from 1 to 0, for all programs; set back when the job ends`);
  return examine(request);
}
async function restoreSetup(change, request) {
  const { code: code2, stderr } = change === "profile" ? await run(request, asRoot(["apparmor_parser", "--remove"]), LIMITS.toolMs, APPARMOR_PROFILE) : await run(request, asRoot(["sysctl", "-w", `${SYSCTL}=1`]));
  const what = change === "profile" ? "the AppArmor profile was removed" : `${SYSCTL} is 1 again`;
  request.say(code2 === 0 ? `setup: ${what}` : `setup: could not be undone: ${stderr.trim().slice(0, 300)}`);
  return code2 === 0;
}
function asRoot(argv) {
  return process.getuid?.() === 0 ? argv : ["sudo", "-n", ...argv];
}
async function isFine(request, argv) {
  return (await run(request, argv)).code === 0;
}
function run({ cwd, environment }, argv, timeoutMs = LIMITS.toolMs, input = "") {
  return ask({ argv, cwd, environment }, timeoutMs, input);
}

// action/step.ts
import { mkdtempSync as mkdtempSync2, writeFileSync as writeFileSync4 } from "node:fs";
import { join as join7 } from "node:path";

// action/git-credentials.ts
import { readdirSync, readFileSync as readFileSync3 } from "node:fs";
import { join as join5 } from "node:path";
var MOST_MODULES = 200;
function holdsCredential(config) {
  return /extraheader\s*=\s*"?\s*authorization/i.test(config) || /=\s*"?\w+:\/\/[^\s/@]*:[^\s/@]+@/.test(config);
}
function findCredential(workspace) {
  const modules = names(join5(workspace, ".git/modules"));
  const files = [".git/config", ...modules.map((name) => `.git/modules/${name}/config`)];
  return files.find((file) => holdsCredential(textOf(join5(workspace, file)))) ?? null;
}
function names(folder) {
  try {
    return readdirSync(folder).slice(0, MOST_MODULES);
  } catch {
    return [];
  }
}
function textOf(path) {
  try {
    return readFileSync3(path, "utf8");
  } catch {
    return "";
  }
}

// action/job-folder.ts
import { existsSync as existsSync2, mkdirSync as mkdirSync4, readdirSync as readdirSync2, readFileSync as readFileSync4, renameSync, writeFileSync as writeFileSync3 } from "node:fs";
import { join as join6 } from "node:path";
var KEPT_FILE = "guests.json";
function readKept(folder) {
  const value = parseObject(readBounded(join6(folder, KEPT_FILE), LIMITS.reportBytes) ?? "");
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
  const temporary = join6(folder, `${KEPT_FILE}.new`);
  writeFileSync3(temporary, JSON.stringify({ guestEnv: bounded, guestPath: paths }), { mode: 384 });
  renameSync(temporary, join6(folder, KEPT_FILE));
}

// action/step.ts
async function runStep(request) {
  const { config, environment, out: out2 } = request;
  refuseCredential(config);
  const kept = readKept(config.folder);
  const place = createPlace(request, kept);
  const program = {
    argv: [...config.sand, ...planInvocation(config.inputs, place, environment)],
    cwd: config.workspace,
    environment: cleanEnvironment(environment, config.inputs.env)
  };
  const ended = await runGuest(program, out2, config.inputs.workflowCommands);
  const handover = takeOver(request, place, kept);
  const report = parseCiReport(readBounded(place.reports.json, LIMITS.reportBytes) ?? "");
  for (const { file, what, why, isFault } of handover.heldBack) {
    const message = `${file}: ${what} ${isFault ? "was not taken: it" : "stays in the guest: it"} ${why}`;
    out2.write(
      formatAnnotation({ level: isFault ? "error" : "notice", title: "held back from later steps", message })
    );
  }
  const result = report === null ? null : show(request, report, place, handover);
  appendText(environment.GITHUB_STEP_SUMMARY, handover.summary);
  return { exitCode: exitCodeOf(ended, report, handover), result, reports: place.reports };
}
function refuseCredential({ workspace, inputs: inputs2 }) {
  const file = inputs2.env.includes("GITHUB_TOKEN") ? null : findCredential(workspace);
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
async function runGuest(program, out2, workflowCommands) {
  const token = freshToken();
  if (!workflowCommands) out2.write(stopCommands(token));
  try {
    const { code: code2, endsLine } = await relay(program, out2);
    if (!endsLine) out2.write("\n");
    return code2;
  } finally {
    if (!workflowCommands) out2.write(resumeCommands(token));
  }
}
function createPlace({ config, script, workdir }, kept) {
  const folder = mkdtempSync2(join7(config.folder, "step-"));
  const commandFiles = Object.fromEntries(
    COMMAND_FILES.map((name) => {
      const path = join7(folder, name);
      writeFileSync4(path, "", { flag: "wx", mode: 384 });
      return [name, path];
    })
  );
  const report = (name) => join7(folder, `report.${name}`);
  const reports = { json: report("json"), sarif: report("sarif"), markdown: report("md") };
  return { workspace: config.workspace, workdir, script, commandFiles, reports, ...kept };
}
function takeOver({ config, environment, reservedOutputs }, place, kept) {
  const read2 = (name) => readBounded(place.commandFiles[name], LIMITS.commandFileBytes);
  const { hostEnv, hostPath } = config.inputs;
  const handover = planHandover(
    { env: read2("env"), path: read2("path"), output: read2("output"), summary: read2("summary") },
    { hostEnv, hostPath, reservedOutputs }
  );
  appendEntries(environment.GITHUB_ENV, handover.hostEnv);
  appendLines(environment.GITHUB_PATH, handover.hostPath);
  appendEntries(environment.GITHUB_OUTPUT, handover.outputs);
  keep(config.folder, kept, handover);
  return handover;
}
function show(request, report, place, { heldBack }) {
  const { config, environment, out: out2, title } = request;
  const { workspace, inputs: inputs2 } = config;
  const places = { workspace, folder: workspace, policyFile: report.policyFile };
  for (const annotation of annotateDenied(report, inputs2.failOn, places)) {
    out2.write(formatAnnotation(annotation));
  }
  const markdown = readBounded(place.reports.markdown, LIMITS.reportBytes) ?? "";
  const result = { title, report, markdown, heldBack };
  const isShown = isTelling(result) || heldBack.length > 0;
  if (isShown || inputs2.mode === "run") {
    appendText(environment.GITHUB_STEP_SUMMARY, `${summarizeRun(result)}
`);
  }
  if (isShown) out2.write(formatLine(`sand: the log of this step is ${report.auditLog ?? report.run}`));
  return result;
}

// action/version.ts
import { readFileSync as readFileSync5 } from "node:fs";
function readVersion() {
  for (const place of ["../package.json", "../../package.json"]) {
    const manifest = read(new URL(place, import.meta.url));
    if (manifest?.name === "sand-egress") return stringOrNull(manifest.version) ?? "latest";
  }
  return "latest";
}
function read(place) {
  try {
    return parseObject(readFileSync5(place, "utf8"));
  } catch {
    return null;
  }
}

// action/main.ts
var SHELL_NAME = "sand-shell";
var SHELL_LINE = `${SHELL_NAME} {0}`;
var out = process.stdout;
async function act(job2, inputs2) {
  const folder = createFolder(job2);
  const environment = cleanEnvironment(job2.environment, []);
  const { workspace } = job2;
  const sand = await createSandProgram({ spec: inputs2.sand, workspace, folder, environment });
  if (inputs2.mode === "diff") return runDiff({ job: job2, inputs: inputs2, sand, folder, out });
  await runSetup({
    sand,
    cwd: workspace,
    environment,
    allowed: inputs2.setup,
    say: job2.say,
    remember: (change, isMade) => saveState(job2, `apparmor_${change}`, String(isMade))
  });
  const { token: _, ...rest } = inputs2;
  const config = { sand, inputs: rest, workspace, folder };
  return inputs2.mode === "shell" ? offerShell(job2, config) : runCommand(job2, inputs2, config);
}
function offerShell(job2, config) {
  const { folder } = config;
  const place = join8(folder, "config.json");
  writeFileSync5(place, JSON.stringify(config), { mode: 384 });
  const program = join8(dirname2(fileURLToPath(import.meta.url)), "shell.js");
  const words2 = [process.execPath, program, place].map(quote).join(" ");
  const bin = join8(folder, "bin");
  mkdirSync5(bin);
  writeFileSync5(join8(bin, SHELL_NAME), `#!/bin/sh
exec ${words2} "$@"
`, { mode: 448 });
  appendLines(job2.environment.GITHUB_PATH, [bin]);
  saveState(job2, "folder", folder);
  setOutputs(job2, { shell: SHELL_LINE });
  job2.say(`every run: step with this line is in a guest: shell: ${SHELL_LINE}`);
  job2.say('for all of a job: defaults: {run: {shell: "sand-shell {0}"}}; steps with uses: stay outside');
  return 0;
}
function quote(word) {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
async function runCommand(job2, inputs2, config) {
  const { workspace, environment } = job2;
  const script = join8(config.folder, "script");
  writeFileSync5(script, `${inputs2.run}
`, { mode: 384 });
  const workdir = resolve3(workspace, inputs2.workingDirectory);
  const title = inputs2.name === "" ? null : inputs2.name;
  const request = { config, script, workdir, environment, out, title, reservedOutputs: OUTPUTS };
  const { exitCode, result, reports } = await runStep(request);
  const report = result?.report ?? null;
  setOutputs(job2, {
    "exit-code": String(exitCode),
    denied: String(report?.denied.length ?? 0),
    drift: String(report?.drift.length ?? 0),
    run: report?.run ?? "",
    "audit-log": report?.auditLog ?? "",
    "report-json": reports.json,
    "report-sarif": reports.sarif,
    "report-markdown": reports.markdown
  });
  await comment(job2, inputs2, result !== null && isTelling(result) ? summarizeRun(result) : null);
  return exitCode;
}
var job = readJob(process.env, out);
var inputs = readInputs(job, out, `sand-egress@${readVersion()}`);
try {
  process.exitCode = inputs === null ? EXITS.usage : await act(job, inputs);
} catch (error) {
  const { exit, title, message } = describeFailure(error);
  out.write(formatAnnotation({ level: "error", title, message }));
  process.exitCode = exit;
}
