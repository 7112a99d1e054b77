/**
 * How each tool of `controller/guest/tools.ts` is made to fetch `$URL` in a guest, and what it says when that is
 * refused. A tool need not like the answer: that its request reached the origin is enough.
 */
import type { TOOLS } from '../../controller/guest/tools.ts';

type TriedTool = Extract<(typeof TOOLS)[number], { readonly tried: true }>['name'];

export interface ToolScript {
  /** A program of the system, or a file of `package-managers/node_modules`. */
  readonly needs: string;
  /** For `sh`, in an empty folder. `$PLACE` is the host and port of `$URL`. */
  readonly script: string;
  /** What the tool prints when the proxy, or else the resolver, refuses. */
  readonly refusal: RegExp;
}

/** Where a guest of these tests has Node 24, and the package managers that npm installs. */
export const NODE_FOLDER = '/project/node';
export const MANAGERS_FOLDER = '/project/managers';

const NODE = `${NODE_FOLDER}/node`;
const NAMES_SAND = /Forbidden \(sand: no-rule\)/;
const IS_403 = /\b403\b/;

export const TOOL_SCRIPTS: Readonly<Record<TriedTool, ToolScript>> = {
  curl: { needs: 'curl', script: 'curl -sS "$URL"', refusal: IS_403 },
  wget: { needs: 'wget', script: 'wget -O- "$URL"', refusal: NAMES_SAND },
  git: { needs: 'git', script: 'git ls-remote "$URL"', refusal: IS_403 },
  npm: { needs: 'npm', script: 'npm view --fetch-retries 0 --registry "$URL" thing', refusal: IS_403 },
  pnpm: {
    needs: 'pnpm/bin/pnpm.mjs',
    script: `echo '{}' >package.json; echo 'fetchRetries: 0' >pnpm-workspace.yaml
      ${NODE} ${MANAGERS_FOLDER}/pnpm/bin/pnpm.mjs view --registry "$URL/" thing`,
    refusal: /fetch failed|tunnel error/,
  },
  'yarn 1': {
    needs: 'yarn/bin/yarn.js',
    // It would retry for long; the first that it tells of is enough.
    script: `mkfifo said; ${NODE} ${MANAGERS_FOLDER}/yarn/bin/yarn.js info --registry "$URL" thing >said 2>&1 &
      grep -m 1 Retrying said; kill $!`,
    refusal: /trouble with your network connection/,
  },
  'yarn 4': {
    needs: '@yarnpkg/cli-dist/bin/yarn.js',
    script: `echo '{}' >package.json; touch yarn.lock
      export YARN_ENABLE_TELEMETRY=0 YARN_HTTP_RETRY=0 YARN_NPM_REGISTRY_SERVER="$URL" YARN_UNSAFE_HTTP_WHITELIST=localhost
      ${NODE} ${MANAGERS_FOLDER}/@yarnpkg/cli-dist/bin/yarn.js npm info thing`,
    refusal: IS_403,
  },
  'node fetch': {
    needs: 'sh',
    script: `${NODE} -e 'fetch(process.env.URL).then((answer) => answer.text()).then(console.log)'`,
    refusal: IS_403,
  },
  deno: {
    needs: 'deno',
    script: `deno eval 'console.log(await (await fetch(Deno.env.get("URL"))).text())'`,
    refusal: /unsuccessful tunnel/,
  },
  'python urllib': {
    needs: 'python3',
    script: `python3 -c 'import os, urllib.request as u; print(u.urlopen(os.environ["URL"]).read())'`,
    refusal: NAMES_SAND,
  },
  'python requests': {
    needs: 'python3 -c "import requests"',
    script: `python3 -c 'import os, requests; print(requests.get(os.environ["URL"]).text)'`,
    refusal: NAMES_SAND,
  },
  pip: {
    needs: 'python3 -m pip',
    script: 'python3 -m pip download --no-deps --retries 1 --index-url "$URL" thing',
    refusal: NAMES_SAND,
  },
  cargo: {
    needs: 'cargo',
    script: `mkdir -p src .cargo; touch src/lib.rs; printf '[registries.o]\\nindex="%s"\\n' "$URL" >.cargo/config.toml
      printf '[package]\\nname="c"\\nversion="0.1.0"\\n[dependencies]\\nthing={version="1",registry="o"}\\n' >Cargo.toml
      CARGO_NET_RETRY=0 cargo fetch`,
    refusal: IS_403,
  },
  rustup: {
    needs: 'rustup',
    script: `export RUSTUP_HOME=$PWD/rustup CARGO_HOME=$PWD/cargo RUSTUP_DIST_SERVER="$URL"
      rustup toolchain install 1.70.0`,
    refusal: /could not download file|error sending request/,
  },
  go: {
    needs: 'go',
    script: 'GOFLAGS=-mod=mod GONOSUMDB=* GOPROXY="$URL" go mod download thing.example/x@v1.0.0',
    refusal: NAMES_SAND,
  },
  java: {
    // A runtime without the compiler has no other program that fetches a URL.
    needs: 'keytool',
    script: 'keytool -printcrl -file "$URL"',
    refusal: /UnknownHostException/,
  },
  maven: {
    needs: 'mvn',
    script: `echo "<project><modelVersion>4.0.0</modelVersion><parent><groupId>g</groupId><artifactId>a</artifactId><version>1</version><relativePath/></parent><artifactId>b</artifactId><repositories><repository><id>o</id><url>$URL</url></repository></repositories></project>" >pom.xml
      mvn -B -q validate`,
    refusal: /Unknown host/,
  },
  gradle: {
    needs: 'gradle',
    script: `echo "repositories { maven { url '$URL' } }; configurations { x }; dependencies { x 'g:a:1' }; task r { doLast { configurations.x.files } }" >build.gradle
      gradle --no-daemon -q r`,
    refusal: /Name or service not known/,
  },
  gem: {
    needs: 'gem',
    script: 'gem fetch thing --clear-sources --source "$URL/"',
    refusal: NAMES_SAND,
  },
  docker: {
    needs: 'docker',
    // It asks below /v2/ of the host, whatever stands behind it.
    script: 'docker manifest inspect "$PLACE/thing:1"',
    refusal: NAMES_SAND,
  },
  apt: {
    needs: 'apt-get',
    script: `mkdir -p lists/partial cache/archives/partial; echo "deb [trusted=yes] $URL ./" >sources.list
      apt-get -o Dir::Etc::sourcelist=$PWD/sources.list -o Dir::Etc::sourceparts=- -o Dir::State::lists=$PWD/lists \\
        -o Dir::Cache=$PWD/cache -o Acquire::Retries=0 update`,
    refusal: NAMES_SAND,
  },
};
