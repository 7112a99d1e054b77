import { describe, expect, it } from 'vitest';
import {
  type AccelerationHost,
  chooseAcceleration,
} from '../../../../../controller/backends/linux/vm/acceleration.ts';

function hostOf(facts: { readonly device: boolean; readonly said: string; readonly known?: string }) {
  const booted: string[] = [];
  const remembered = new Map<string, string>(facts.known === undefined ? [] : [['digest', facts.known]]);
  const host: AccelerationHost = {
    hasDevice: () => facts.device,
    digest: () => 'digest',
    recall: (digest) => remembered.get(digest) ?? null,
    remember: (digest, verdict) => void remembered.set(digest, verdict),
    async boot() {
      booted.push('boot');
      return facts.said;
    },
  };
  return { host, booted, remembered };
}

describe('chooseAcceleration', () => {
  it('is KVM where a kernel booted on it, and boots no second one', async () => {
    const { host, booted } = hostOf({ device: true, said: 'x\nsand-machine: ready\r\n' });
    expect(await chooseAcceleration(host)).toBe('kvm');
    expect(await chooseAcceleration(host)).toBe('kvm');
    expect(booted).toHaveLength(1);
  });

  it('is emulation where the device is there and no kernel comes up on it', async () => {
    const { host, remembered } = hostOf({ device: true, said: 'Booting paravirtualized kernel on KVM' });
    expect(await chooseAcceleration(host)).toBe('tcg');
    expect(remembered.get('digest')).toBe('tcg');
  });

  it('is emulation without the device, whatever is remembered', async () => {
    const { host, booted } = hostOf({ device: false, said: '', known: 'kvm' });
    expect(await chooseAcceleration(host)).toBe('tcg');
    expect(booted).toHaveLength(0);
  });

  it('tries again where what is remembered is no verdict', async () => {
    const { host } = hostOf({ device: true, said: '', known: 'maybe' });
    expect(await chooseAcceleration(host)).toBe('tcg');
  });
});
