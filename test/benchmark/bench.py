#!/usr/bin/env python3
"""Benchmarks of Ingot beside its peers: bench.py BUILD_DIR [SUITE] [--rounds=N] [--threads=N] [--record].

Suites: matmul (one-thread f32 contraction beside oneDNN and OpenBLAS), step (whole training steps beside PyTorch).
Peer and Ingot take turns in one run, on the same weights and batches; their losses are compared in
that run. What is printed are medians, ratios, and the fraction of the machine's measured limit.
--record appends the tables to RESULTS.md beside this file, with the machine named.

Peers come from the package registries into build/bench/venv, a throw-away environment.
"""
import argparse
import datetime
import os
import platform
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(HERE, "..", "..", "build", "bench", "venv")
SUITES = ["matmul", "step"]


def peer_python():
    """The interpreter of the peers' environment, which is made on first use."""
    python = os.path.join(VENV, "bin", "python")
    probe = [python, "-c", "import torch, numpy, safetensors"]
    if not os.path.exists(python) or subprocess.run(probe, capture_output=True).returncode:
        print("installing PyTorch into build/bench/venv …", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        install = [python, "-m", "pip", "install", "-q", "torch", "numpy", "safetensors"]
        subprocess.run(install, check=True, stdout=sys.stderr)
    return python


def machine():
    """The processor's name and what this process may use of it."""
    model = platform.processor()
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{model}, {len(os.sched_getaffinity(0))} CPUs"


def run_suite(suite, build, options):
    """The suite's table as text."""
    if suite == "matmul":
        made = subprocess.run(["ninja", "-C", build, "benchmark-matmul"], capture_output=True, text=True)
        if made.returncode:
            return f"matmul: cannot be built (is libbenchmark-dev installed and the build configured anew?)\n{made.stdout}"
        command = [os.path.join(build, "bin", "benchmark-matmul"), *options.models]
    else:
        command = [peer_python(), os.path.join(HERE, "step.py"), os.path.join(build, "bin", "ingot"),
                   f"--rounds={options.rounds}", f"--threads={options.threads}", *options.models]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(done.returncode)
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("suite", nargs="?", choices=SUITES)
    parser.add_argument("models", nargs="*", help="step: gpt2, gpt2-long, char, mlp; matmul: words that a row has, such as NT")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_intermixed_args()
    tables = []
    for suite in [options.suite] if options.suite else SUITES:
        table = run_suite(suite, options.build, options)
        print(table, flush=True)
        tables.append(f"### {suite}\n\n```\n{table.strip()}\n```\n")
    if options.record:
        with open(os.path.join(HERE, "RESULTS.md"), "a") as file:
            file.write(f"\n## {datetime.date.today()}, {machine()}\n\n" + "\n".join(tables))


if __name__ == "__main__":
    main()
