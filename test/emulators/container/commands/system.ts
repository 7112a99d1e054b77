/** The verbs on the API server: whether it runs, and of which version it is. */
import { type Call, hasFlag, optionValue, print } from '../call.ts';
import { listContainers } from '../containers.ts';
import { writeJson } from '../home.ts';
import { compactJson, table } from '../output.ts';
import { runtimeOf } from '../runtimes.ts';
import { COMMIT, isServerUp, versionLine } from '../server.ts';

export async function status(call: Call): Promise<number> {
  const isUp = isServerUp(call);
  const { version } = call.settings;
  const told = {
    status: isUp ? 'running' : 'unregistered',
    appRoot: isUp ? `${call.home.root}/` : '',
    installRoot: isUp ? '/usr/local/' : '',
    apiServerVersion: isUp ? versionLine(version, 'container-apiserver') : '',
    apiServerCommit: isUp ? COMMIT : '',
    apiServerBuild: isUp ? 'release' : '',
    apiServerAppName: isUp ? 'container-apiserver' : '',
  };
  if (optionValue(call, '--format') === 'json') print(compactJson(told));
  else if (!isUp) print('apiserver is not running and not registered with launchd');
  else print(table([['FIELD', 'VALUE'], ...Object.entries(told).map(([key, value]) => [key, value])]));
  return isUp ? 0 : 1;
}

export async function version(call: Call): Promise<number> {
  const own = { appName: 'container', buildType: 'release', commit: COMMIT, version: call.settings.version };
  const server = {
    ...own,
    appName: 'container-apiserver',
    version: versionLine(call.settings.version, 'container-apiserver'),
  };
  const rows = isServerUp(call) ? [own, server] : [own];
  if (optionValue(call, '--format') === 'json') print(compactJson(rows));
  else {
    const cells = rows.map(({ appName, version: number, buildType, commit }) => [
      appName,
      number,
      buildType,
      commit,
    ]);
    print(table([['COMPONENT', 'VERSION', 'BUILD', 'COMMIT'], ...cells]));
  }
  return 0;
}

export async function start(call: Call): Promise<number> {
  writeJson(call.home.systemFile, { isStopped: false });
  if (hasFlag(call, '--debug')) print('Verifying apiserver is running...');
  return 0;
}

export async function stop(call: Call): Promise<number> {
  for (const container of listContainers(call.home)) await runtimeOf(call.settings).stop(container);
  writeJson(call.home.systemFile, { isStopped: true });
  return 0;
}
