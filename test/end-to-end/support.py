"""What the end-to-end tests share: running the binary, small data."""
import json
import os
import subprocess

INGOT = os.environ["INGOT"]
TINY = ["gpt", "--layers=2", "--heads=2", "--width=16", "--sequence=8", "--batch=4"]
TEXT = "".join(f"the {i % 7} quick foxes jump over {i * i % 23} lazy dogs.\n" for i in range(200))


def run(*arguments, stdin=None, environment=None, timeout=600):
    """Runs `ingot`; a process with returncode, stdout, stderr."""
    return subprocess.run([INGOT, *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          timeout=timeout, env={**os.environ, **(environment or {})})


def lines(process):
    """The JSON objects of a process's standard output."""
    return [json.loads(line) for line in process.stdout.splitlines()]


def write(folder, name, contents):
    path = os.path.join(folder, name)
    with open(path, "w" if isinstance(contents, str) else "wb") as file:
        file.write(contents)
    return path
