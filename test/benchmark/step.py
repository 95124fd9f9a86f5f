"""Whole training steps beside PyTorch: step.py BUILD [--rounds=N] [--threads=N] [MODEL…].

Both sides start from Ingot's initial checkpoint and train on one fixed batch. Rounds alternate, each
in a process of its own; the losses must agree within 1e-3. Printed: the median step, the peak resident
memory, and the time from process start to the end of the first step.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

MODELS = {
    "gpt2": dict(family="gpt", size="gpt2", layers=12, heads=12, width=768, context=1024, vocab=50257, batch=4, sequence=64, steps=5),
    "gpt2-long": dict(family="gpt", size="gpt2", layers=12, heads=12, width=768, context=1024, vocab=50257, batch=1, sequence=1024, steps=3),
    "char": dict(family="gpt", size="char", layers=4, heads=4, width=128, context=64, vocab=65, batch=12, sequence=64, steps=100),
    "mlp": dict(family="mlp", layers="784,256,10", batch=64, steps=400),
}
TOLERANCE = 1e-3  # relative, of the losses


def ingot_command(ingot, model, folder, threads, steps):
    flags = [ingot, "train", model["family"], f"--steps={steps}", f"--threads={threads}", "--json",
             f"--batch={model['batch']}", "--lr=1e-4", "--seed=1"]
    flags.append(f"--data={folder}/inputs.npy,{folder}/targets.npy")
    if model["family"] == "gpt":
        flags += [f"--size={model['size']}", f"--sequence={model['sequence']}", f"--vocab={model['vocab']}"]
    else:
        flags.append(f"--layers={model['layers']}")
    return flags


def measure(command):
    """Losses, step times in ms, seconds to the first step and peak resident bytes of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    losses, times, first, peak = [], [], None, 0
    for line in process.stdout:
        record = json.loads(line)
        if "loss" in record:
            first = first or time.perf_counter() - start
            losses.append(record["loss"])
            times.append(record["ms"])
        peak = record.get("summary", {}).get("peak_rss_bytes", peak)
    if process.wait():
        sys.exit(f"failed: {' '.join(command)}")
    return losses, times, first, peak


def write_batch(model, folder):
    random = numpy.random.default_rng(7)
    if model["family"] == "gpt":
        shape = (model["batch"], model["sequence"])
        numpy.save(f"{folder}/inputs.npy", random.integers(0, model["vocab"], shape, dtype=numpy.int32))
        numpy.save(f"{folder}/targets.npy", random.integers(0, model["vocab"], shape, dtype=numpy.int32))
    else:
        sizes = [int(size) for size in model["layers"].split(",")]
        numpy.save(f"{folder}/inputs.npy", random.random((model["batch"], sizes[0]), dtype=numpy.float32))
        numpy.save(f"{folder}/targets.npy", random.integers(0, sizes[-1], model["batch"], dtype=numpy.int32))


def compare(name, ingot, rounds, threads):
    model = MODELS[name]
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as folder:
        write_batch(model, folder)
        initial = [*ingot_command(ingot, model, folder, threads, 0), f"--out={folder}/initial"]
        subprocess.run(initial, check=True, stdout=subprocess.DEVNULL)
        ours = ingot_command(ingot, model, folder, threads, model["steps"])
        with open(f"{folder}/model.json", "w") as file:
            json.dump(model, file)
        peer = [sys.executable, os.path.join(here, "torch_step.py"), folder, str(threads), str(model["steps"])]
        results = {"ingot": [], "torch": []}
        for _ in range(rounds):
            for side, command in (("ingot", ours), ("torch", peer)):
                results[side].append(measure(command))
    for ours_losses, peer_losses in zip(results["ingot"][0][0], results["torch"][0][0]):
        if abs(ours_losses - peer_losses) > TOLERANCE * abs(peer_losses):
            sys.exit(f"{name}: losses differ: ingot {ours_losses}, PyTorch {peer_losses}")
    summary = {}
    for side, runs in results.items():
        times = [ms for run in runs for ms in run[1][1:]]  # the first step warms up
        summary[side] = (statistics.median(times), max(run[3] for run in runs), statistics.median(run[2] for run in runs))
    (ms, peak, first), (peer_ms, peer_peak, peer_first) = summary["ingot"], summary["torch"]
    print(f"{name:10} {threads:2} {ms:10.2f} {peer_ms:10.2f} {peer_ms / ms:7.2f}x {peak / 1e9:7.2f} {peer_peak / 1e9:7.2f}"
          f" {first:8.2f} {peer_first:8.2f}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("models", nargs="*", default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_intermixed_args()
    print("model      th   ingot ms   torch ms   ratio  ingot GB torch GB  first s  first s (PyTorch)")
    for name in options.models or list(MODELS):
        if name not in MODELS:
            sys.exit(f"unknown model {name}; there are {', '.join(MODELS)}")
        compare(name, os.path.join(options.build, "bin", "ingot"), options.rounds, options.threads)


if __name__ == "__main__":
    main()
