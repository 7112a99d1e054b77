/**
 * Which of a kernel's modules a VM guest needs, and in which order they load. Decided from the names that a
 * module gives of itself (`depends=` in its `.modinfo`), since an unpacked package has no `modules.dep`. Pure.
 */

/** What makes the devices of `qemu.ts` work; a kernel that has one built in has no such file. */
export const WANTED_MODULES: readonly string[] = ['virtio_pci', 'virtio_net', 'virtio_rng', 'virtiofs'];

/** A wanted module and what it needs, and what that needs: deeper chains do not exist, and a ring would not end. */
const LOAD_LIMIT = 64;

/** Modules name themselves with `_`, files use either. */
export function moduleName(file: string): string {
  const base = file.slice(file.lastIndexOf('/') + 1);
  return base.replace(/\.ko(\.[a-z0-9]+)?$/, '').replaceAll('-', '_');
}

/** `depends=a,b` stands in the `.modinfo` section among other strings that end in NUL. */
export function moduleDependencies(module: Buffer): readonly string[] {
  const at = module.indexOf('\0depends=');
  if (at < 0) return [];
  const from = at + '\0depends='.length;
  const list = module.subarray(from, module.indexOf(0, from)).toString('latin1');
  return list === '' ? [] : list.split(',').map((name) => name.replaceAll('-', '_'));
}

/**
 * Names in the order to load them, each after what it depends on. `dependenciesOf` gives null for a module that
 * the kernel has no file of: it is built in, or it is missing, which shows when the guest boots.
 */
export function planModules(
  wanted: readonly string[],
  dependenciesOf: (name: string) => readonly string[] | null,
): readonly string[] {
  const order = new Set<string>();
  const visiting = new Set<string>();
  const visit = (name: string): void => {
    if (order.has(name) || visiting.has(name) || visiting.size > LOAD_LIMIT) return;
    const dependencies = dependenciesOf(name);
    if (dependencies === null) return;
    visiting.add(name);
    for (const dependency of dependencies) visit(dependency);
    visiting.delete(name);
    order.add(name);
  };
  for (const name of wanted) visit(name);
  return [...order];
}
