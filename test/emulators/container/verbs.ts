/** Which verbs the emulator does, and which of them ask the API server. */
import type { Verb } from './call.ts';
import * as image from './commands/image.ts';
import * as life from './commands/life.ts';
import * as listing from './commands/listing.ts';
import * as system from './commands/system.ts';

export const VERBS: Readonly<Record<string, Verb>> = {
  create: life.create,
  start: life.start,
  run: life.run,
  exec: life.exec,
  stop: life.stop,
  kill: life.kill,
  delete: life.remove,
  list: listing.list,
  inspect: listing.inspect,
  logs: listing.logs,
  'image pull': image.pull,
  'image list': image.list,
  'image inspect': image.inspect,
  'image delete': image.remove,
  'image tag': image.tag,
  'system status': system.status,
  'system version': system.version,
  'system start': system.start,
  'system stop': system.stop,
};

export function asksServer(command: string): boolean {
  return !command.startsWith('system ');
}
