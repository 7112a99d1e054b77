"""Changes what it may not in its workspace, and makes what would lead out of it, now or in the next run."""
import os, shutil
from attempts import attempt, finish, given, outcomes


def append(path):
    with open(path, 'a') as file:
        return file.write('evil\n')


def swap_for_link(path, target):
    os.rename(path, path + '.away')
    os.symlink(target, path)


for path in given.get('protected', []):
    attempt(f'write {path}', lambda: append(path if not os.path.isdir(path) else path + '/evil'))
    attempt(f'rename {path}', lambda: os.rename(path, path + '.away'))
    attempt(f'remove {path}', lambda: shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path))
    attempt(f'swap {path}', lambda: swap_for_link(path, '/tmp/evil'))
    attempt(f'exchange {path}', lambda: (append('evil-file'), os.replace('evil-file', path))[-1])
    attempt(f'chmod {path}', lambda: os.chmod(path, 0o777))
    attempt(f'times {path}', lambda: os.utime(path, (1, 1)))
    if not os.path.isdir(path):
        attempt(f'link {path}', lambda: os.link(path, 'hard-link'))
        attempt(f'cut {path}', lambda: os.truncate(path, 0))
for path in given.get('parents', []):
    attempt(f'rename parent {path}', lambda: os.rename(path, path + '.away'))
    attempt(f'swap parent {path}', lambda: swap_for_link(path, '/tmp'))
    attempt(f'remove parent {path}', lambda: shutil.rmtree(path))
for path, content in given.get('make', {}).items():
    def make():
        os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
        with open(path, 'w') as file:
            return file.write(content)

    attempt(f'make {path}', make)
for path, target in given.get('links', {}).items():
    def link():
        if os.path.isdir(path) and not os.path.islink(path):
            os.rename(path, path + '.away')
        os.symlink(target, path)

    attempt(f'symlink {path}', link)
    attempt(f'through {path}', lambda: sorted(os.listdir(path)) if os.path.isdir(path) else open(path).read())
for path in given.get('hardlinks', []):
    attempt(f'hard link {path}', lambda: os.link(path, 'linked'))
for path in given.get('reads', []):
    attempt(f'read {path}', lambda: sorted(os.listdir(path)) if os.path.isdir(path) else open(path).read())
for path in given.get('writes', []):
    attempt(f'append {path}', lambda: append(path))
attempt('listing', lambda: sorted(os.listdir('.')))
finish()
