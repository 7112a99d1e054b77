/** Makes VMs and changes what they are: create, clone, set, rename. */
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../../container/failure.ts';
import { argumentAt, type Call, complain, hasFlag, missingVm, optionValue, print } from '../call.ts';
import { install, withStorage } from '../clones.ts';
import { describeConfig, findImage, isRemote, parseReference, pruneImages, pullImage } from '../images.ts';
import { vmFault } from '../settings.ts';
import { refuseLater } from '../validation.ts';
import {
  type Config,
  type Disk,
  listVms,
  MIB,
  randomMac,
  requireVm,
  saveConfig,
  saveDisk,
  type Vm,
  writeVm,
} from '../vms.ts';

const INSTALL_STEPS = 20;

/** A Linux VM is empty; a macOS one is installed, and has no agent. */
export async function create(call: Call): Promise<number> {
  const name = argumentAt(call, 0);
  const isMac = optionValue(call, '--from-ipsw') !== null;
  await refuseFullDisk(call, name);
  const config = { ...describeConfig(isMac ? 'darwin' : 'linux', randomMac()), ...diskFormatOf(call) };
  const sizeGB = Number(optionValue(call, '--disk-size') ?? 50);
  const disk: Disk = { root: isMac ? '/' : null, hasAgent: false, without: [], sizeGB };
  await install(call.home, name, async (folder) => {
    if (isMac) await installMac(call, name, optionValue(call, '--from-ipsw') ?? '');
    writeVm(folder, config, disk);
  });
  return 0;
}

function diskFormatOf(call: Call): { diskFormat: string } {
  return { diskFormat: (optionValue(call, '--disk-format') ?? 'raw').toLowerCase() };
}

async function installMac(call: Call, name: string, source: string): Promise<void> {
  if (source === 'latest') print('Looking up the latest supported IPSW...');
  else if (!/^https?:/.test(source) && !existsSync(source))
    throw new Failure(`Error: The file “${source}” couldn’t be opened because there is no such file.`);
  print(`Fetching ${source === 'latest' ? 'UniversalMac_26.0_25A354_Restore.ipsw' : source}...`);
  print('Installing OS...');
  const slow = vmFault(call.settings, 'slow-install', name);
  for (let at = 0; at <= INSTALL_STEPS; at += 1) {
    print(`${(at * 100) / INSTALL_STEPS}%`);
    if (slow !== null) await delay((slow.ms ?? 2000) / INSTALL_STEPS);
  }
}

/** An existing VM of the new name is replaced without a question. */
export async function clone(call: Call): Promise<number> {
  const [source, name] = [argumentAt(call, 0), argumentAt(call, 1)];
  const original = isRemote(source) ? await findOrPull(call, source) : requireVm(call.home, source);
  await refuseFullDisk(call, name);
  await withStorage(call.home, async () => {
    const { config } = original;
    const isTaken = listVms(call.home).some((vm) => vm.config.macAddress === config.macAddress);
    const own = isTaken ? { ...config, macAddress: randomMac() } : config;
    await install(call.home, name, (folder) => writeVm(folder, own, original.disk));
  });
  if (vmFault(call.settings, 'auto-prune', name) !== null && process.env.TART_NO_AUTO_PRUNE === undefined)
    pruneImages(call.home, original.name);
  return 0;
}

async function findOrPull({ home, settings }: Call, source: string): Promise<Vm> {
  const reference = parseReference(source);
  return findImage(home, reference) ?? (await pullImage(home, settings, reference, complain));
}

async function refuseFullDisk({ settings }: Call, name: string): Promise<void> {
  const full = vmFault(settings, 'no-space', name);
  if (full === null) return;
  await delay(full.ms ?? 0);
  throw new Failure(
    'Error: You can’t save the file “disk.img” because the volume “Macintosh HD” is out of space.',
  );
}

export async function set(call: Call): Promise<number> {
  const vm = requireVm(call.home, argumentAt(call, 0));
  const config = changeConfig(call, vm.config);
  const sizeGB = optionValue(call, '--disk-size');
  if (sizeGB !== null && Number(sizeGB) < vm.disk.sizeGB) {
    throw new Failure(
      `Error: new disk size of ${Number(sizeGB) * 1e9} bytes should be larger than the current disk size of ${vm.disk.sizeGB * 1e9} bytes`,
    );
  }
  saveConfig(vm, config);
  if (sizeGB !== null) saveDisk(vm, { ...vm.disk, sizeGB: Number(sizeGB) });
  return 0;
}

function changeConfig(call: Call, config: Config): Config {
  const cpuCount = Number(optionValue(call, '--cpu') ?? config.cpuCount);
  if (cpuCount < config.cpuCountMin)
    throw new Failure(
      `Error: VM should have ${config.cpuCountMin} CPU cores at minimum (requested ${cpuCount})`,
    );
  const memory = optionValue(call, '--memory');
  const memorySize = memory === null ? config.memorySize : Number(memory) * MIB;
  if (memorySize < config.memorySizeMin)
    throw new Failure(
      `Error: VM should have ${config.memorySizeMin} bytes of memory at minimum (requested ${memorySize})`,
    );
  const display = optionValue(call, '--display');
  return {
    ...config,
    cpuCount,
    memorySize,
    ...(display === null ? {} : { display: changeDisplay(display, config.display) }),
    ...(hasFlag(call, '--random-mac') ? { macAddress: randomMac() } : {}),
    ...(hasFlag(call, '--random-serial') ? { ecid: randomMac() } : {}),
    ...(hasFlag(call, '--display-refit') ? { displayRefit: true } : {}),
    ...(hasFlag(call, '--no-display-refit') ? { displayRefit: false } : {}),
  };
}

/** What is no number counts as 0, and changes nothing. */
function changeDisplay(text: string, old: Config['display']): Config['display'] {
  const unit = /(pt|px)$/.exec(text)?.[1];
  const [width = 0, height = 0] = text
    .replace(/(pt|px)$/, '')
    .split('x')
    .map((part) => (/^\d+$/.test(part) ? Number(part) : 0));
  return {
    width: width > 0 ? width : old.width,
    height: height > 0 ? height : old.height,
    ...(unit === undefined ? {} : { unit }),
  };
}

export async function rename(call: Call): Promise<number> {
  const [from, to] = [argumentAt(call, 0), argumentAt(call, 1)];
  if (!existsSync(join(call.home.vms, from)))
    throw refuseLater(call, `failed to rename a non-existent local VM: ${from}`);
  if (existsSync(join(call.home.vms, to)))
    throw refuseLater(call, `failed to rename VM ${from}, target VM ${to} already exists, delete it first!`);
  if (from === '' || to === '') throw missingVm(from);
  renameSync(join(call.home.vms, from), join(call.home.vms, to));
  return 0;
}
