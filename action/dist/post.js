// Made of the sources in action/ by `npm run build:action`.

// action/job.ts
import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

// action/comment.ts
import { createHash } from "node:crypto";

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

// action/handover.ts
var RESERVED = /^(GITHUB_|RUNNER_|ACTIONS_|INPUT_|STATE_|SAND($|_)|CI$)/i;
function isReserved(name) {
  return RESERVED.test(name);
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
  const wrong = given.filter((word) => !known.includes(word));
  issues.push(
    ...wrong.map((word) => `\`fail-on: ${word}\`: with \`mode: ${mode}\` write ${known.join(", ")}`)
  );
  if (given.includes("none") && given.length > 1) issues.push("`fail-on`: none stands alone");
  return given;
}
function parseNames(input, text, issues) {
  const names = words(text);
  for (const name of names) {
    if (name === "*" && input === "host-env") continue;
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) issues.push(`\`${input}\`: ${name} is no name of a variable`);
    else if (input === "host-env" && isReserved(name))
      issues.push(`\`${input}\`: ${name} is never taken from a guest`);
  }
  return names;
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
import { appendFileSync, closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
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
function readState({ environment }, name) {
  return environment[`STATE_${name}`] ?? "";
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

// action/job-folder.ts
import { existsSync, mkdirSync as mkdirSync2, readdirSync, readFileSync as readFileSync2, renameSync, writeFileSync } from "node:fs";
import { join as join2 } from "node:path";
var STEPS_FOLDER = "steps";
function readSteps(folder2) {
  const place = join2(folder2, STEPS_FOLDER);
  if (!existsSync(place)) return [];
  return readdirSync(place).sort().slice(0, LIMITS.steps).flatMap((name) => {
    const text = readBounded(join2(place, name), LIMITS.reportBytes);
    return text === null ? [] : [JSON.parse(text)];
  });
}

// action/process.ts
import { spawn } from "node:child_process";
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
  return new Promise((resolve2) => {
    const end = (code2, why = "") => {
      clearTimeout(deadline);
      resolve2({ code: code2, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr).toString() + why });
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

// action/setup-plan.ts
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

// action/setup.ts
async function restoreSetup(change, request) {
  const { code: code2, stderr } = change === "profile" ? await run(request, asRoot(["apparmor_parser", "--remove"]), LIMITS.toolMs, APPARMOR_PROFILE) : await run(request, asRoot(["sysctl", "-w", `${SYSCTL}=1`]));
  const what = change === "profile" ? "the AppArmor profile was removed" : `${SYSCTL} is 1 again`;
  request.say(code2 === 0 ? `setup: ${what}` : `setup: could not be undone: ${stderr.trim().slice(0, 300)}`);
  return code2 === 0;
}
function asRoot(argv) {
  return process.getuid?.() === 0 ? argv : ["sudo", "-n", ...argv];
}
function run({ cwd, environment }, argv, timeoutMs = LIMITS.toolMs, input = "") {
  return ask({ argv, cwd, environment }, timeoutMs, input);
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
function summarizeSteps(steps, limit) {
  const telling = steps.filter(isTelling);
  const quiet = steps.length - telling.length;
  const rest = quiet === 0 ? "" : `In ${counted(quiet, "other step")} nothing was denied.
`;
  const runs = telling.map((step) => summarizeRun(step, limit / 2));
  return within("", [...runs, rest], limit);
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

// action/version.ts
import { readFileSync as readFileSync3 } from "node:fs";
function readVersion() {
  for (const place of ["../package.json", "../../package.json"]) {
    const manifest = read(new URL(place, import.meta.url));
    if (manifest?.name === "sand-egress") return stringOrNull(manifest.version) ?? "latest";
  }
  return "latest";
}
function read(place) {
  try {
    return parseObject(readFileSync3(place, "utf8"));
  } catch {
    return null;
  }
}

// action/post.ts
var CHANGES = ["sysctl", "profile"];
var out = process.stdout;
var job = readJob(process.env, out);
for (const change of CHANGES) {
  if (readState(job, `apparmor_${change}`) !== "true") continue;
  const isUndone = await restoreSetup(change, { cwd: job.temp, environment: job.environment, say: job.say });
  if (!isUndone) process.exitCode = 1;
}
var folder = readState(job, "folder");
var inputs = folder === "" ? null : readInputs(job, out, `sand-egress@${readVersion()}`);
if (inputs !== null) {
  const steps = readSteps(folder);
  await comment(job, inputs, steps.some(isTelling) ? summarizeSteps(steps, LIMITS.commentCharacters) : null);
}
