"""A stand-in for a CI agent: asks a server for jobs, runs their steps, tells what came of them.

Steps are what real agents have: `run` is a text for a shell, `uses` an action that is fetched and run by an interpreter, or a
composite one whose steps are run in turn. On SIGTERM it ends after the job under way.
"""
import json, os, signal, subprocess, sys, time, urllib.request

SERVER = open(os.path.join(os.environ['RUNNER_STATE'], 'server')).read().strip()
stopping = False


def stop(*_):
    global stopping
    stopping = True


def call(path, body=None):
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(SERVER + path, data=data), timeout=30) as answer:
        return answer.read()


def run_step(step, folder):
    if 'run' in step:
        done = subprocess.run(['bash', '-e', '-o', 'pipefail', '-c', step['run']], cwd=folder,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.returncode, done.stdout.decode('utf8', 'replace')
    action = call('/actions/' + step['uses'])
    if action.startswith(b'{'):
        output = ''
        for inner in json.loads(action)['steps']:
            code, text = run_step(inner, folder)
            output += text
            if code:
                return code, output
        return 0, output
    done = subprocess.run([sys.executable, '-'], cwd=folder, input=action, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.returncode, done.stdout.decode('utf8', 'replace')


def run_job(job):
    folder = os.path.join(os.getcwd(), job['id'])
    os.makedirs(folder, exist_ok=True)
    results = []
    for step in job['steps']:
        code, output = run_step(step, folder)
        results.append({'code': code, 'output': output})
    with open(os.path.join(os.environ['RUNNER_STATE'], 'done'), 'a') as record:
        record.write(job['id'] + '\n')
    call('/results/' + job['id'], results)


signal.signal(signal.SIGTERM, stop)
call('/hello', {'pid': os.getpid()})
while not stopping:
    try:
        answer = call('/next')
    except OSError:
        time.sleep(0.05)
        continue
    if answer:
        run_job(json.loads(answer))
