"""The time from the start of a process until the model `char` has a validation loss, for step.py --to-loss.

Both sides: 4 layers, width 128, 64 characters, batch 12, AdamW (0.9, 0.99), 100 steps of warm-up to a learning rate of
1e-3, then a cosine to 0 at step 5000; every 50 steps the mean loss of 20 batches from the text's last tenth, which is
part of the time. They draw other random numbers, so the number of steps differs a little.
"""
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS, EVERY, BATCHES = 5000, 50, 20
PYTORCH = [sys.executable, os.path.join(HERE, "torch_to_loss.py")]


def run(command, threads, wanted):
    """Seconds and steps until the validation loss is reached, and that loss."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    for line in process.stdout:
        evaluation = json.loads(line).get("evaluation")
        if evaluation and evaluation["loss"] <= wanted:
            seconds = time.perf_counter() - start
            process.terminate()
            process.wait()
            return seconds, evaluation["step"], evaluation["loss"]
    sys.exit(f"not reached in {STEPS} steps: {' '.join(command)}")


def compare(options):
    if not os.path.exists(options.text):
        sys.exit("--to-loss needs a text: --text=FILE")
    text, seeds = os.path.abspath(options.text), range(1, options.rounds + 1)
    ingot = [os.path.join(options.build, "bin", "ingot"), "train", "gpt", "--size=char", f"--text={text}", "--batch=12",
             f"--steps={STEPS}", "--lr=1e-3", "--beta2=0.99", "--schedule=cosine", "--warmup=100", "--eval-split=0.1",
             f"--eval-every={EVERY}", f"--eval-batches={BATCHES}", "--json", f"--threads={options.threads}"]
    peer = [*PYTORCH, text, str(options.threads), str(STEPS), str(EVERY), str(BATCHES)]
    print(f"  {'to validation loss ' + str(options.to_loss):30} {'seconds':>8} {'steps':>6} {'loss':>7}")
    totals = {"ingot": [], "PyTorch eager": []}
    for seed in seeds:
        for name, command in (("ingot", [*ingot, f"--seed={seed}"]), ("PyTorch eager", [*peer, str(seed)])):
            seconds, steps, loss = run(command, options.threads, options.to_loss)
            totals[name].append(seconds)
            print(f"  {name + ', seed ' + str(seed):30} {seconds:8.2f} {steps:6} {loss:7.4f}", flush=True)
    ours, theirs = (sum(list) / len(list) for list in totals.values())
    print(f"  mean: ingot {ours:.2f} s, PyTorch {theirs:.2f} s, {theirs / ours:.2f}x")
