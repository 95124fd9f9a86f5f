#!/usr/bin/env python3
"""Benchmarks of Ingot beside its peers: bench.py BUILD_DIR [SUITE] [OPTION…].

  matmul    f32 contraction beside oneDNN, OpenBLAS and MKL
  kernels   row, update and attention kernels beside PyTorch and beside a memory copy
  step      whole training steps beside PyTorch, torch.compile and JAX
  inference models from ONNX files beside ONNX Runtime
  compile   compile time, and start to first step, cold and warm
  dispatch  what the runtime adds to a kernel's call, and how steps scale to all CPUs; no peer
  emulator  the PTX machine on one thread: bf16 and f32 tiles, loops, sums; without checks, with each alone, with all; no peer

Peer and Ingot take turns in one run on the same operands; results are compared in that run. What is printed
are medians, ratios, and the share of what the machine is measured to do at most. --record puts all of it
into RESULTS.md beside this file, in place of what this kind of machine measured before. Options behind the suite's name go to the suite:

  bench matmul NT 1024            rows that have one of these words
  bench kernels attention GELU    the same
  bench step gpt2 char --peers=eager,compile,jax --rounds=3
  bench step --to-loss=2.0        time until the model `char` has that validation loss
  bench inference resnet50        models that have one of these words
  bench dispatch char             the step of this model alone
  bench emulator wgmma            kernels that have one of these words

Peers come from the package registries into build/bench/venv, a throw-away environment.
"""
import argparse
import datetime
import os
import subprocess
import sys

import peers
import results
from library import Library
from models import MODELS, model_flags

HERE = os.path.dirname(os.path.abspath(__file__))
SUITES = ["matmul", "kernels", "step", "inference", "compile", "dispatch", "emulator"]
SCALED = ["mlp", "char", "gpt2"]


class Bench:
    def __init__(self, build):
        self.build = build
        self.make("benchmark-kernels")
        self.library = Library(build)
        cpus = len(os.sched_getaffinity(0))
        self.machine, self.whole = self.library.machines([1, cpus])

    def make(self, target):
        made = subprocess.run(["ninja", "-C", self.build, target], capture_output=True, text=True)
        if made.returncode:
            sys.exit(f"{target} cannot be built (is libbenchmark-dev installed and the build configured anew?)\n{made.stdout}")

    def name(self):
        """The processor, with the numbers that tell generations of one name apart."""
        with open("/proc/cpuinfo") as file:
            fields = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
        numbers = {key.strip(): value.strip() for key, value in fields.items()}
        return f"{self.machine.model} (family {numbers.get('cpu family', '?')}, model {numbers.get('model', '?')})"

    def header(self):
        """What the machine can do on one CPU and on all."""
        lines = [self.machine.describe()]
        if self.whole.threads > 1:
            gain = lambda rate: f"{rate(self.whole) / rate(self.machine):.2f}x"
            lines.append(self.whole.describe())
            lines.append(f"all CPUs give {gain(lambda m: m.flops)} of one's multiply-adds and {gain(lambda m: m.levels[-1]['bandwidth'])} "
                         "of its memory bandwidth: two can be one core's hyper-threads")
        return "\n".join(lines)

    def compile(self, model):
        """The .ingot file of a model's training step."""
        file = os.path.join(self.build, "bin", f"scaled-{model}.ingot")
        command = [os.path.join(self.build, "bin", "ingot"), "compile", *model_flags(MODELS[model]), "--train", "-o", file]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return file

    def run(self, suite, arguments):
        """The suite's table as text, which is printed as it comes."""
        print(f"--- {suite}", flush=True)
        environment, remark = dict(os.environ), ""
        if suite == "matmul":
            self.make("benchmark-matmul")
            command = [os.path.join(self.build, "bin", "benchmark-matmul")]
            if library := peers.mkl_library():
                environment["INGOT_MKL_LIBRARY"] = library
        elif suite == "dispatch":
            self.make("benchmark-dispatch")
            command = [os.path.join(self.build, "bin", "benchmark-dispatch")]
            arguments = [self.compile(model) for model in SCALED if not arguments or model in arguments]
        elif suite == "emulator":
            self.make("benchmark-emulator")
            command = [os.path.join(self.build, "bin", "benchmark-emulator")]
        elif suite == "compile":
            command = [sys.executable, os.path.join(HERE, "compile.py"), self.build]
        else:
            wanted = ["torch"]
            if suite == "inference":
                wanted += ["torchvision", "onnxscript", "onnxruntime", "transformers"]
            elif any("jax" in argument for argument in arguments):
                wanted.append("jax")
            command = [peers.install(*wanted), os.path.join(HERE, f"{suite}.py"), self.build]
            environment, remark = peers.healthy_torch(self.machine.flops)
            print(remark, flush=True)
        if suite == "kernels":
            # Large blocks come from a pool instead of fresh pages: faults would be timed, not kernels.
            environment.update(OMP_NUM_THREADS="1", MALLOC_MMAP_MAX_="0", MALLOC_TRIM_THRESHOLD_=str(1 << 40))
        process = subprocess.Popen(command + arguments, stdout=subprocess.PIPE, text=True, env=environment)
        lines = [remark + "\n"] if remark else []
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
        if process.wait():
            sys.exit(process.returncode)
        return "".join(lines)


def commit():
    return subprocess.run(["git", "-C", HERE, "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("suite", nargs="?", choices=SUITES)
    parser.add_argument("--record", action="store_true", help="put what is printed into RESULTS.md")
    options, arguments = parser.parse_known_args()
    if arguments and not options.suite:
        parser.error(f"{' '.join(arguments)}: name a suite first")
    bench = Bench(options.build)
    header = bench.header()
    print(f"{bench.name()}, {bench.machine.cpus} CPUs\n{header}", flush=True)
    for suite in [options.suite] if options.suite else SUITES:
        body = bench.run(suite, arguments).strip("\n")
        if options.record:
            results.record(os.path.join(HERE, "RESULTS.md"), bench.name(), " ".join([suite, *arguments]),
                           f"{datetime.date.today()}, {commit()}", header, body)


if __name__ == "__main__":
    main()
