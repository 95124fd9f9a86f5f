"""What the end-to-end tests share: running the binary, small data."""
import json
import os
import re
import subprocess
import tempfile

INGOT = os.environ["INGOT"]
LONG = "INGOT_LONG_TESTS" in os.environ
TINY = ["gpt", "--layers=2", "--heads=2", "--width=16", "--sequence=8", "--batch=4"]
TEXT = "".join(f"the {i % 7} quick foxes jump over {i * i % 23} lazy dogs.\n" for i in range(200))


def run(*arguments, stdin=None, environment=None, timeout=600):
    """Runs `ingot`; a process with returncode, stdout, stderr."""
    return subprocess.run([INGOT, *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          timeout=timeout, env={**os.environ, **(environment or {})})


def lines(process):
    """The JSON objects of a process's standard output."""
    return [json.loads(line) for line in process.stdout.splitlines()]


# Every optimizer, with numbers of its own.
OPTIMIZERS = {"sgd": ["--momentum=0.9", "--dampening=0.3"], "adamw": [], "adam": [], "adamax": [], "nadam": [], "radam": [],
              "adagrad": ["--rate-decay=0.1"], "adadelta": [], "rmsprop": ["--momentum=0.5", "--centered"], "lion": [],
              "lamb": [], "adafactor": ["--update-limit=0.5"], "muon": ["--match-rms", "--group=layers\\.0.*;adamw=true"]}


def every_optimizer():
    """Those that --help lists."""
    return re.search(r"--optimizer WORD (.*?);", " ".join(run("train", "--help").stdout.split()))[1].split(", ")


def write(folder, name, contents):
    path = os.path.join(folder, name)
    with open(path, "w" if isinstance(contents, str) else "wb") as file:
        file.write(contents)
    return path


def small_disk(test, kilobytes):
    """A folder on a file system of its own that is this small; skips the test where none can be mounted."""
    folder = tempfile.mkdtemp()
    test.addCleanup(os.rmdir, folder)
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", folder], capture_output=True,
                           text=True)
    if mount.returncode != 0:
        test.skipTest(f"a tmpfs cannot be mounted: {mount.stderr.strip() or mount.stdout.strip()}")
    test.addCleanup(subprocess.run, ["umount", "-l", folder])
    return folder
