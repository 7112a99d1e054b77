/**
 * The child's side of a benchmark's own programs: settings come as the first argument, a first message says that
 * the program is ready, and each later message is a task with one answer. Ends with its parent.
 */

export function settingsOf<Settings>(): Settings {
  return JSON.parse(process.argv[2] ?? '{}') as Settings;
}

export function serveTasks<Task>(ready: object, carryOut: (task: Task) => Promise<object>): void {
  process.on('disconnect', () => process.exit(0));
  process.on('message', (task: Task) => {
    carryOut(task).then(
      (answer) => process.send?.(answer),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  });
  process.send?.(ready);
}
