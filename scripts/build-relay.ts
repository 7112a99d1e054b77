/**
 * Builds the guest's relay (controller/links/relay/guest) for both architectures into its git-ignored build/ folder, with the
 * digest and size of each: static, from the C library and kernel headers of Debian, by the compilers of Debian. What
 * apt brings for it lies in that folder and nowhere else. `--in-container` does the same inside a guest of Apple's `container`.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = new URL('..', import.meta.url).pathname;
const SOURCES = 'controller/links/relay/guest';
const BUILD = `${SOURCES}/build`;
/** Mounted into each guest, so it is small; and a reader of it can be one person. */
const MOST_BYTES = 100_000;
/** Fetching lists and compilers takes most of it. */
const TIMEOUT_MS = 600_000;
const IMAGE = 'debian:bookworm-slim';

const ARCHITECTURES = {
  x64: { debian: 'amd64', triple: 'x86_64-linux', compiler: 'gcc-x86-64-linux-gnu' },
  arm64: { debian: 'arm64', triple: 'aarch64-linux', compiler: 'gcc-aarch64-linux-gnu' },
} as const;
type Architecture = keyof typeof ARCHITECTURES;

/**
 * The C library and the kernel's headers of one architecture, unpacked into a folder: apt with a state of its own, so that
 * the machine gets no foreign architecture. Skipped where they are there. Words: folder, Debian's name of the architecture.
 */
const FETCH = `
folder=$1 debian=$2
[ ! -e "$folder/.complete" ] || [ ! -e "$folder/../../MUSL-COPYRIGHT" ] || exit 0
rm -rf "$folder" && mkdir -p "$folder/apt/state" "$folder/apt/lists/partial" "$folder/apt/cache/archives/partial"
: > "$folder/apt/status"
cd "$folder"
own() {
  apt-get -qq -o APT::Architecture="$debian" -o APT::Architectures::="$debian" -o APT::Sandbox::User=root \\
    -o Dir::State="$folder/apt/state" -o Dir::State::lists="$folder/apt/lists" \\
    -o Dir::State::status="$folder/apt/status" -o Dir::Cache="$folder/apt/cache" "$@"
}
own update
own download musl-dev linux-libc-dev
for package in *.deb; do dpkg-deb -x "$package" .; done
rm -rf apt ./*.deb
[ -e ../../MUSL-COPYRIGHT ] || cp usr/share/doc/musl-dev/copyright ../../MUSL-COPYRIGHT
touch .complete
`;

/**
 * Compiles all sources at once. The headers are those of the folder alone, so that nothing of the machine's own C
 * library gets in. Words: folder, triple, compiler, program, sources.
 */
const COMPILE = `
folder=$1 triple=$2 compiler=$3 program=$4
shift 4
mkdir -p "$folder/kernel" "$(dirname "$program")"
ln -sfn ../usr/include/linux "$folder/kernel/linux"
ln -sfn ../usr/include/asm-generic "$folder/kernel/asm-generic"
ln -sfn "../usr/include/$triple-gnu/asm" "$folder/kernel/asm"
library=$folder/usr/lib/$triple-musl
"$compiler" -std=c11 -D_DEFAULT_SOURCE -D_FORTIFY_SOURCE=2 -Os -flto -fPIE -ffunction-sections -fdata-sections \\
  -fstack-protector-strong -fno-asynchronous-unwind-tables -fno-ident \\
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wvla -Werror \\
  -nostdinc -isystem "$folder/usr/include/$triple-musl" -isystem "$("$compiler" -print-file-name=include)" \\
  -isystem "$folder/kernel" -nostdlib -static-pie \\
  -Wl,--gc-sections,--strip-all,--build-id=none,--hash-style=gnu \\
  -Wl,-z,relro,-z,now,-z,noexecstack,-z,noseparate-code,-z,max-page-size=16384 \\
  -o "$program" "$library/rcrt1.o" "$library/crti.o" "$@" \\
  -Wl,--start-group "$library/libc.a" "$("$compiler" -print-libgcc-file-name)" -Wl,--end-group "$library/crtn.o"
`;

interface Step {
  readonly script: string;
  readonly words: readonly string[];
}

/** What builds the program of one architecture, for a checkout at `root`. */
function steps(architecture: Architecture, root: string): readonly Step[] {
  const { debian, triple } = ARCHITECTURES[architecture];
  const folder = join(root, BUILD, 'fetched', architecture);
  const sources = readdirSync(join(ROOT, SOURCES))
    .filter((name) => name.endsWith('.c'))
    .sort()
    .map((name) => join(root, SOURCES, name));
  const program = join(root, BUILD, architecture, 'sand-relay');
  return [
    { script: FETCH, words: [folder, debian] },
    { script: COMPILE, words: [folder, triple, `${triple}-gnu-gcc`, program, ...sources] },
  ];
}

function runHere(step: Step): void {
  execFileSync('sh', ['-eu', '-c', step.script, 'sh', ...step.words], {
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: TIMEOUT_MS,
  });
}

/** One guest for all steps, since its compilers go with it. */
function runInContainer(all: readonly Step[]): void {
  const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;
  const packages = Object.values(ARCHITECTURES).map(({ compiler }) => compiler);
  const script = [
    `apt-get -qq update && apt-get -qq install -y --no-install-recommends ${packages.join(' ')} > /dev/null`,
    ...all.map(({ script, words }) => ['sh -eu -c', ...[script, 'sh', ...words].map(quoted)].join(' ')),
  ].join('\n');
  execFileSync('container', ['run', '--rm', '-v', `${ROOT}:/src`, '--', IMAGE, 'sh', '-eu', '-c', script], {
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: TIMEOUT_MS,
  });
}

function describe(architecture: Architecture): { readonly sha256: string; readonly size: number } {
  const bytes = readFileSync(join(ROOT, BUILD, architecture, 'sand-relay'));
  if (bytes.length > MOST_BYTES) {
    throw new Error(`the relay for ${architecture} has ${bytes.length} bytes, more than ${MOST_BYTES}`);
  }
  return { sha256: createHash('sha256').update(bytes).digest('hex'), size: bytes.length };
}

const architectures = Object.keys(ARCHITECTURES) as Architecture[];
mkdirSync(join(ROOT, BUILD), { recursive: true });
if (process.argv.includes('--in-container')) {
  runInContainer(architectures.flatMap((architecture) => steps(architecture, '/src')));
} else if (existsSync('/usr/bin/apt-get')) {
  for (const step of architectures.flatMap((architecture) => steps(architecture, ROOT))) runHere(step);
} else {
  throw new Error(
    'needs Debian with gcc and gcc-aarch64-linux-gnu; on a Mac: npm run build:relay -- --in-container',
  );
}
const digests = Object.fromEntries(
  architectures.map((architecture) => [architecture, describe(architecture)]),
);
writeFileSync(join(ROOT, BUILD, 'digests.json'), `${JSON.stringify(digests, null, 2)}\n`);
for (const [architecture, { sha256, size }] of Object.entries(digests)) {
  console.log(`relay ${architecture}: ${size} bytes, sha256 ${sha256}`);
}
