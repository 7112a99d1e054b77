/** Brings images into the cache, and names them by their digests. */
import { Failure } from '../../container/failure.ts';
import { argumentAt, type Call, print } from '../call.ts';
import { findImage, fullName, isRemote, parseReference, pullImage } from '../images.ts';
import { requireVm } from '../vms.ts';

export async function pull(call: Call): Promise<number> {
  const name = argumentAt(call, 0);
  if (!isRemote(name)) {
    requireVm(call.home, name);
    print(`"${name}" is a local image, nothing to pull here!`);
    return 0;
  }
  const reference = parseReference(name);
  // A digest that is there is what it says; a tag may mean another meanwhile.
  if (reference.tag.startsWith('@') && findImage(call.home, reference) !== null) return 0;
  await pullImage(call.home, call.settings, reference, print);
  return 0;
}

export async function fqn(call: Call): Promise<number> {
  const name = argumentAt(call, 0);
  const full = isRemote(name) ? fullName(call.home, parseReference(name)) : name;
  if (full === null) throw new Failure(`the specified VM "${name}" does not exist`, 2);
  print(full);
  return 0;
}
