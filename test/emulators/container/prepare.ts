/** `node prepare.ts HOME IMAGE`: gives the emulator of a HOME this host's own system as an image of that name, for who cannot import. */
import { registerImage, setEmulator } from './emulation.ts';

const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const [home = '', image = ''] = process.argv.slice(2);

setEmulator(home, {});
registerImage(home, image, { root: '/', config: { Env: [`PATH=${SYSTEM_PATH}`], Cmd: ['sh'] } });
