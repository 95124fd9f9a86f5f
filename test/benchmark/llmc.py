"""llm.c's C reference as a peer of step.py: built from a given checkout, fed with Ingot's initial checkpoint.

llmc.py CHECKOUT FOLDER does both. It is a process of its own: what step.py itself held at most would count as memory of
the processes that it starts and measures.
"""
import glob
import json
import os
import re
import subprocess
import sys

import numpy
from safetensors.numpy import load_file

VECTORS_AND_MATRICES = ["ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight",
                        "attn.c_proj.bias", "ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias",
                        "mlp.c_proj.weight", "mlp.c_proj.bias"]
STEP = re.compile(r"step (\d+): train loss ([\d.]+) \(took ([\d.]+) ms\)")


def build(checkout, model, folder):
    """Compiles train_gpt2.c with its own flags for the model's batch; one thread, so without OpenMP."""
    with open(os.path.join(checkout, "train_gpt2.c")) as file:
        source = file.read()
    for name, size in (("B", model["batch"]), ("T", model["sequence"])):
        source, found = re.subn(rf"\bint {name} = \d+;", f"int {name} = {size};", source, count=1)
        assert found, f"train_gpt2.c has no {name}"
    with open(f"{folder}/train_gpt2.c", "w") as file:
        file.write(source)
    compiler = "clang-22" if os.path.exists("/usr/bin/clang-22") else "cc"
    subprocess.run([compiler, "-Ofast", "-march=native", "-w", f"-I{checkout}", f"{folder}/train_gpt2.c", "-o",
                    f"{folder}/train_gpt2", "-lm"], check=True)


def write_files(model, folder):
    """The checkpoint and the tokens in llm.c's formats: a header of 256 integers, then the data."""
    weights = load_file(glob.glob(f"{folder}/initial/*.safetensors")[0])
    padded = -(-model["vocab"] // 128) * 128
    header = numpy.zeros(256, numpy.int32)
    header[:8] = [20240326, 3, weights["wpe.weight"].shape[0], model["vocab"], model["layers"], model["heads"],
                  model["width"], padded]
    with open(f"{folder}/gpt2_124M.bin", "wb") as file:
        header.tofile(file)
        weights["wte.weight"].tofile(file)
        numpy.zeros((padded - model["vocab"], model["width"]), numpy.float32).tofile(file)
        weights["wpe.weight"].tofile(file)
        for name in VECTORS_AND_MATRICES:
            for layer in range(model["layers"]):
                weights[f"h.{layer}.{name}"].tofile(file)
        for name in ("ln_f.weight", "ln_f.bias"):
            weights[name].tofile(file)
    # One batch and its last target: every step sees the same tokens.
    inputs, targets = numpy.load(f"{folder}/inputs.npy"), numpy.load(f"{folder}/targets.npy")
    tokens = numpy.append(inputs.flatten(), targets.flatten()[-1]).astype(numpy.uint16)
    header = numpy.zeros(256, numpy.int32)
    header[:3] = [20240520, 1, len(tokens)]
    os.makedirs(f"{folder}/dev/data/tinyshakespeare", exist_ok=True)
    for part in ("train", "val"):
        with open(f"{folder}/dev/data/tinyshakespeare/tiny_shakespeare_{part}.bin", "wb") as file:
            header.tofile(file)
            tokens.tofile(file)


def parse(line):
    """A line of its output as step.py's record, or None."""
    found = STEP.search(line)
    return {"step": int(found[1]) + 1, "loss": float(found[2]), "ms": float(found[3])} if found else None


if __name__ == "__main__":
    checkout, folder = sys.argv[1:]
    with open(f"{folder}/model.json") as file:
        model = json.load(file)
    build(checkout, model, folder)
    write_files(model, folder)
