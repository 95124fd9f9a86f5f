"""Compile time: compile.py BUILD [MODEL…] [--rounds=N].

From the graph in hand to the program with an empty compile cache and with a full one, distinct kernels and launches of
a step, and the time from the start of a process to the end of its first step. On one CPU, then on all of them.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

from models import MODELS, model_flags


def start(ingot, model, cache, cpus):
    """The summary of a process that does one step, and its seconds until then."""
    command = [ingot, "train", *model_flags(model), "--data=random", "--steps=1", "--json", f"--threads={len(cpus)}", f"--cache={cache}"]
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: os.sched_setaffinity(0, cpus))
    process.stdout.readline()
    seconds = time.perf_counter() - begin
    summary = json.loads(process.stdout.readlines()[-1])["summary"]
    assert process.wait() == 0, command
    return summary, seconds


def compile_row(ingot, name, cpus, rounds):
    cold, warm = [], []
    for _ in range(rounds):
        cache = tempfile.mkdtemp()
        for runs in (cold, warm):
            runs.append(start(ingot, MODELS[name], cache, cpus))
        shutil.rmtree(cache)
    summary = cold[0][0]
    middle = lambda runs, of: statistics.median(map(of, runs))
    compiled, seconds = (lambda run: run[0]["compile_ms"]), (lambda run: run[1])
    print(f"{name:10} {len(cpus):4} {summary['distinct_kernels']:8} {summary['kernels']:8} {middle(cold, compiled):9.0f} {middle(warm, compiled):8.1f}"
          f" {middle(cold, seconds):8.2f} {middle(warm, seconds):8.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_intermixed_args()
    for name in options.models:
        if name not in MODELS:
            parser.error(f"{name} is unknown; there are {', '.join(MODELS)}")
    ingot = os.path.join(options.build, "bin", "ingot")
    models = options.models or ["char", "gpt2", "gpt2-long"]
    cpus = sorted(os.sched_getaffinity(0))
    print("model      CPUs distinct launches   cold ms  warm ms   cold s   warm s  (ms: compile; s: process start to first step done)")
    for name in models:
        for some in [cpus[-1:], cpus] if len(cpus) > 1 else [cpus]:
            compile_row(ingot, name, some, options.rounds)


if __name__ == "__main__":
    main()
