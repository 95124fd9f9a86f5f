"""Inference of model files beside ONNX Runtime on the same file: inference.py BUILD [WORD…].

Files are exported by PyTorch with weights drawn from a seed, batch 1. Both sides run in this process on one thread,
turn by turn, on the same inputs; outputs are compared first. Words choose the models that have one of them.

Columns: medians; ONNX Runtime's time over ours; operations a second and their share of the machine's rate; kernels;
seconds of import and compilation with an empty cache and with a full one.
"""
import argparse
import os
import statistics
import sys
import tempfile
import time

import numpy
import onnxruntime
import torch
import torchvision.models
import transformers

from library import Library

ROUNDS = 7
LEAST_SECONDS = 0.1  # of one side's turn
TOLERANCE = 1e-4  # of the largest element


def image(name):
    return lambda: (getattr(torchvision.models, name)(weights=None), {"x": torch.randn(1, 3, 224, 224)})


def bert():
    class Bert(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = transformers.BertModel(transformers.BertConfig(attn_implementation="eager"))

        def forward(self, ids, mask):
            return self.model(input_ids=ids, attention_mask=mask).last_hidden_state

    return Bert(), {"ids": torch.randint(0, 30000, (1, 128)), "mask": torch.ones(1, 128, dtype=torch.int64)}


MODELS = {name: image(name) for name in ["squeezenet1_1", "shufflenet_v2_x1_0", "mobilenet_v2", "resnet50", "densenet121", "vgg19", "vit_b_16"]}
MODELS["bert_base"] = bert


def export(name, folder):
    """The model's file; made once."""
    path = os.path.join(folder, f"{name}.onnx")
    torch.manual_seed(0)
    model, inputs = MODELS[name]()
    if not os.path.exists(path):
        for parameter in model.parameters():
            if not parameter.any():  # a head of zeros would hide what is wrong before it
                torch.nn.init.normal_(parameter, std=0.02)
        torch.onnx.export(model.eval(), tuple(inputs.values()), path, input_names=list(inputs), output_names=["y"], dynamo=True,
                          external_data=False, verbose=False)
    return path, {key: numpy.ascontiguousarray(value.numpy()) for key, value in inputs.items()}


def load(library, path, cache):
    """The kernel, and the seconds until it could run."""
    start = time.perf_counter()
    return library.load(path, cache), time.perf_counter() - start


def turns(sides):
    """Median seconds of a run of each side, which take turns."""
    times = []
    for side in sides:
        side(1)
        times.append(max(1, round(LEAST_SECONDS / side(1))))
    measured = [[side(count) / count for side, count in zip(sides, times)] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*measured)]


def peer(path, inputs):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(times):
        start = time.perf_counter()
        for _ in range(times):
            session.run(None, inputs)
        return time.perf_counter() - start

    return session.run(None, inputs)[0], run


def row(library, machine, name, folder):
    path, inputs = export(name, folder)
    with tempfile.TemporaryDirectory() as cache:
        kernel, cold = load(library, path, cache)
        kernel.close()
        kernel, warm = load(library, path, cache)

    def ours_run(times):  # a run may use its inputs' memory for other things once they are read
        start = time.perf_counter()
        for _ in range(times):
            for key, value in inputs.items():
                kernel.write(key, value)
            kernel()
        return time.perf_counter() - start

    wanted, run = peer(path, inputs)
    ours_run(1)
    difference = numpy.abs(kernel.read("y", numpy.empty_like(wanted)) - wanted).max() / numpy.abs(wanted).max()
    if not difference <= TOLERANCE:
        sys.exit(f"{name}: the outputs differ by {difference:.1e} of the largest element")
    ours, theirs = turns([ours_run, run])
    rate = kernel.flops / ours
    print(f"{name:20} {1e3 * ours:9.2f} {1e3 * theirs:9.2f} {theirs / ours:6.2f}x {rate / 1e9:8.0f} {100 * rate / machine.flops:5.0f} % "
          f"{kernel.launches:8} {cold:7.2f} {warm:7.3f}   {difference:.0e}", flush=True)
    kernel.close()
    return theirs / ours


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    names = [name for name in MODELS if not options.words or any(word in name for word in options.words)]
    if not names:
        sys.exit(f"no model has one of these words; models are {', '.join(MODELS)}")
    library = Library(options.build)
    machine = library.machine(1)
    folder = os.path.join(os.path.dirname(os.path.abspath(options.build)), "bench", "models")
    os.makedirs(folder, exist_ok=True)
    print(f"ONNX Runtime {onnxruntime.__version__}, one thread, batch 1; times in ms")
    print(f"{'model':20} {'ours':>9} {'peer':>9} {'ratio':>7} {'GFLOP/s':>8} {'limit':>7} {'kernels':>8} {'cold s':>7} {'warm s':>7}   differ")
    ratios = [row(library, machine, name, folder) for name in names]
    print(f"geometric mean {statistics.geometric_mean(ratios):.2f}x, lowest {min(ratios):.2f}x")


if __name__ == "__main__":
    main()
