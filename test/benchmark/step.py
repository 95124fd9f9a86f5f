"""Whole training steps beside their peers: step.py BUILD [MODEL…] [OPTION…].

  --peers=eager,compile,jax        default: eager; PyTorch with fused AdamW, torch.compile, JAX
  --rounds=N                       of every side, in turn; default 3
  --threads=N                      and as many CPUs for each process; default 1
  --memory=SIZE                    Ingot once more, with its memory bounded
  --to-loss=X [--text=FILE]        instead: the time that the model `char` takes to validation loss X

All sides start from Ingot's initial checkpoint and train on one fixed batch; each round is a process of its own, so
that memory and start-up are each side's own, and sides take turns. The losses of
the first 20 steps must agree within 1e-3. Columns: the median
step without a process's first; the side's step over Ingot's; the most memory a process held; the time from the start of
a process to the end of its first step, with nothing in its compile cache (first round) and with a full one (the others).
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

import to_loss
from models import MODELS, model_flags

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = {"eager": "PyTorch eager", "compile": "torch.compile", "jax": "JAX"}
TOLERANCE = 1e-3  # relative, of the losses
COMPARED = 20  # steps; later ones differ by what rounding grows into, between any two sides


class Side:
    """A command that prints a line a step, and the figures of its runs."""

    def __init__(self, name, command, environment=None):
        self.name, self.command = name, command
        self.environment = {**os.environ, **(environment or {})}
        self.losses, self.step_ms, self.first_seconds, self.peak = [], [], [], 0

    def run(self):
        start = time.perf_counter()
        process = subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True, env=self.environment)
        records = []
        for line in process.stdout:
            record = json.loads(line)
            if "loss" not in record:
                continue
            if not records:
                self.first_seconds.append(time.perf_counter() - start)
            records.append(record)
        process.stdout.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"failed: {' '.join(self.command)}")
        self.losses = [record["loss"] for record in records]
        self.step_ms += [record["ms"] for record in records[1:]]
        self.peak = max(self.peak, usage.ru_maxrss * 1024)

    def milliseconds(self):
        return statistics.median(self.step_ms)

    def row(self, ours):
        cold, warm = self.first_seconds[0], self.first_seconds[1:]
        starts = f"{cold:8.2f} {statistics.median(warm):8.2f}" if warm else f"{cold:8.2f} {'':8}"
        ratio = self.milliseconds() / ours.milliseconds()
        return f"{self.name:20} {self.milliseconds():10.2f} {ratio:7.2f}x {self.peak / 1e9:8.2f}  {starts}"


def write_batch(model, folder):
    with open(f"{folder}/model.json", "w") as file:
        json.dump(model, file)
    random = numpy.random.default_rng(7)
    if model["family"] == "gpt":  # targets are the next tokens
        tokens = random.integers(0, model["vocab"], model["batch"] * model["sequence"] + 1, dtype=numpy.int32)
        shape = (model["batch"], model["sequence"])
        numpy.save(f"{folder}/inputs.npy", tokens[:-1].reshape(shape))
        numpy.save(f"{folder}/targets.npy", tokens[1:].reshape(shape))
    else:
        sizes = [int(size) for size in model["layers"].split(",")]
        numpy.save(f"{folder}/inputs.npy", random.random((model["batch"], sizes[0]), dtype=numpy.float32))
        numpy.save(f"{folder}/targets.npy", random.integers(0, sizes[-1], model["batch"], dtype=numpy.int32))


def make_sides(ingot, model, folder, options):
    """Ingot first; every side has a compile cache of its own, empty at first."""
    train = [ingot, "train", *model_flags(model), f"--data={folder}/inputs.npy,{folder}/targets.npy", "--lr=1e-4", "--seed=1",
             "--json", f"--threads={options.threads}"]
    subprocess.run([*train, "--steps=0", "--no-cache", f"--out={folder}/initial"], check=True, stdout=subprocess.DEVNULL)
    steps = f"--steps={model['steps']}"
    alone = {"LD_PRELOAD": ""}  # which is PyTorch's: see peers.py
    sides = [Side("ingot", [*train, steps, f"--cache={folder}/cache"], alone)]
    if options.memory:
        bounded = [*train, steps, f"--cache={folder}/cache2", f"--memory={options.memory}"]
        sides.append(Side(f"ingot in {options.memory}", bounded, alone))
    torch = [sys.executable, os.path.join(HERE, "torch_step.py"), folder, str(options.threads), str(model["steps"])]
    threads = {"OMP_NUM_THREADS": str(options.threads)}
    for peer in options.peers:
        if peer == "eager":
            sides.append(Side(PEERS[peer], torch, threads))
        elif peer == "compile":
            sides.append(Side(PEERS[peer], [*torch, "compile"], {**threads, "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor"}))
        elif peer == "jax":
            sides.append(Side(PEERS[peer], [sys.executable, os.path.join(HERE, "jax_step.py"), folder, str(model["steps"])],
                              {**alone, "JAX_COMPILATION_CACHE_DIR": f"{folder}/jax", "JAX_PLATFORMS": "cpu"}))
    return sides


def limit(ingot, model, threads):
    """Milliseconds that the machine needs at least for the step's kernels, and the share of arithmetic."""
    command = [ingot, "bench", *model_flags(model), f"--threads={threads}", "--steps=1", "--json"]
    kernels = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)["kernels"]
    return sum(kernel["limit_ms"] for kernel in kernels), sum(kernel["limit_ms"] for kernel in kernels if kernel["bound_by"] == "FMA")


def compare_losses(name, sides):
    for side in sides[1:]:
        for ours, theirs in zip(sides[0].losses[:COMPARED], side.losses):
            if abs(ours - theirs) > TOLERANCE * abs(theirs):
                sys.exit(f"{name}: losses differ: Ingot {ours}, {side.name} {theirs}")


def compare(name, options):
    model = MODELS[name]
    ingot = os.path.abspath(os.path.join(options.build, "bin", "ingot"))
    folder = tempfile.mkdtemp()
    try:
        write_batch(model, folder)
        sides = make_sides(ingot, model, folder, options)
        for _ in range(options.rounds):
            for side in sides:
                side.run()
        compare_losses(name, sides)
    finally:
        shutil.rmtree(folder)
    least, arithmetic = limit(ingot, model, options.threads)
    ours = sides[0]
    print(f"{name}, {options.threads} thread{'s' if options.threads > 1 else ''}: limit {least:.2f} ms, of which multiply-adds "
          f"{arithmetic:.2f}; Ingot reaches {100 * least / ours.milliseconds():.0f} % of it")
    for side in sides:
        print("  " + side.row(ours), flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument("--peers", default="eager", type=lambda text: [peer for peer in text.split(",") if peer])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory")
    parser.add_argument("--to-loss", type=float)
    parser.add_argument("--text", default=os.path.join(HERE, "..", "..", "..", "shared", "data", "text", "tinyshakespeare.txt"))
    options = parser.parse_intermixed_args()
    for word, known in [*((peer, PEERS) for peer in options.peers), *((model, MODELS) for model in options.models)]:
        if word not in known:
            parser.error(f"{word} is unknown; there are {', '.join(known)}")
    return options


def main():
    options = parse_arguments()
    # As many CPUs as threads: compilers would otherwise use the others as well.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-options.threads:])
    if options.to_loss is not None:
        return to_loss.compare(options)
    print(f"  {'':20} {'step ms':>10} {'ratio':>8} {'peak GB':>8}  {'cold s':>8} {'warm s':>8}")
    for name in options.models or MODELS:
        compare(name, options)


if __name__ == "__main__":
    main()
