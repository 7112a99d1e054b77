/** Tells what is there, as JSON, as a table, or by names alone: get, list, ip. */
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../../container/failure.ts';
import { isoDate, prettyJson, table } from '../../container/output.ts';
import { isNotAfter } from '../../grammar/model.ts';
import { argumentAt, type Call, hasFlag, optionValue, print } from '../call.ts';
import { callAgent } from '../guest/client.ts';
import { findImage, isRemote, listImages, parseReference } from '../images.ts';
import { vmFault } from '../settings.ts';
import { accessedAt, listVms, MIB, requireVm, runnerOf, stateOf, type Vm } from '../vms.ts';

/** A VM's files here are small; the tool would say what they take. */
const SIZE_GB = 21.5;
/** What a single try costs at least. */
const TRY_MS = 1000;

export async function get(call: Call): Promise<number> {
  const name = argumentAt(call, 0);
  const vm = isRemote(name) ? findImage(call.home, parseReference(name)) : requireVm(call.home, name);
  if (vm === null) throw new Failure(`the specified VM "${name}" does not exist`, 2);
  const { config, disk } = vm;
  const lie = vmFault(call.settings, 'lying-get', name)?.value ?? {};
  const { width, height, unit = '' } = config.display;
  const told: Record<string, unknown> = {
    OS: config.os,
    CPU: config.cpuCount,
    Memory: Math.floor(config.memorySize / MIB),
    Disk: disk.sizeGB,
    DiskFormat: config.diskFormat,
    Size: SIZE_GB.toFixed(3),
    Display: `${width}x${height}${unit}`,
    Running: runnerOf(vm) !== null,
    State: stateOf(vm),
    ...lie,
  };
  if (optionValue(call, '--format') === 'json') print(prettyJson(told));
  else {
    const { Running: _, ...columns } = told;
    print(table([Object.keys(columns), Object.values(columns).map(String)]));
  }
  return 0;
}

export async function list(call: Call): Promise<number> {
  const source = optionValue(call, '--source');
  const rows = [
    ...(source === 'oci' ? [] : listVms(call.home).map((vm) => rowOf(call, 'local', vm))),
    ...(source === 'local' ? [] : listImages(call.home).map((vm) => rowOf(call, 'OCI', vm))),
  ];
  if (hasFlag(call, '--quiet')) for (const { Name } of rows) print(String(Name));
  else if (optionValue(call, '--format') === 'json') print(prettyJson(rows));
  else if (rows.length === 0) print('');
  else {
    const header = ['Source', 'Name', 'Disk', 'Size', 'State'];
    print(table([header, ...rows.map((row) => header.map((key) => String(row[key])))]));
  }
  return 0;
}

function rowOf({ settings }: Call, source: string, vm: Vm): Record<string, unknown> {
  const isNew = isNotAfter('2.31.0', settings.version);
  return {
    Source: source,
    Name: vm.name,
    Disk: vm.disk.sizeGB,
    Size: Math.floor(SIZE_GB),
    ...(isNew ? { Accessed: isoDate(accessedAt(vm)) } : { SizeOnDisk: Math.floor(SIZE_GB) }),
    Running: runnerOf(vm) !== null,
    State: stateOf(vm),
    ...(vmFault(settings, 'lying-list', vm.name)?.value ?? {}),
  };
}

/** Leases and the neighbour table are vmnet's, which no guest here is on; only the agent knows an address. */
export async function ip(call: Call): Promise<number> {
  const vm = requireVm(call.home, argumentAt(call, 0));
  const deadline = Date.now() + Number(optionValue(call, '--wait') ?? 0) * 1000;
  for (;;) {
    const began = Date.now();
    if (optionValue(call, '--resolver') === 'agent') {
      const { address } = await callAgent(vm.folder, { kind: 'address' }, TRY_MS);
      if (address !== null) {
        print(address);
        return 0;
      }
    }
    await delay(TRY_MS - Math.min(TRY_MS, Date.now() - began));
    if (Date.now() >= deadline) throw new Failure('no IP address found, is your VM running?');
  }
}
