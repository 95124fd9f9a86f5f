"""Row, update, attention and convolution kernels beside PyTorch and beside a memory copy: kernels.py BUILD [WORD…].

Both sides run in this process, turn by turn, on the same operands; results are compared first. Ingot's
kernels come from graph IR through the whole pipeline, gradients by the pass `differentiate`. One thread.

Columns: medians; PyTorch's time over ours; a memory copy that moves as many bytes as the kernel's
operands and results have; rates; and the share of what the machine can do at most.
"""
import argparse
import statistics
import sys
import time

import numpy
import torch
import torch.nn.functional as F

from cases import Case, Indices, Scaled, argument, dotted, forward, gradients, shape, with_gradients
from library import Library
from op_cases import op_cases

ROUNDS = 11
LEAST_SECONDS = 4e-3  # of one side's turn
TOLERANCE = 2e-4  # of the largest element


def softmax(rows, columns):
    x = shape(rows, columns)
    sizes = {"x": (rows, columns)}
    body = f"%y = graph.softmax %x dimension 1 : {x}"
    yield Case(f"softmax {rows}x{columns}", forward([("x", x)], body, [("%y", "y", x)]), sizes,
               lambda t: lambda: {"y": torch.softmax(t["x"], -1)})
    sizes["dy"] = (rows, columns)
    yield Case(f"softmax {rows}x{columns} with backward", gradients([("x", x)], [("dy", x)], body + "\n" + dotted(x, 2), "%l"),
               sizes, lambda t: with_gradients(t, ["x"], lambda x: torch.softmax(x, -1)))


def layer_norm(rows, columns):
    x, w, m = shape(rows, columns), shape(columns), shape(rows)
    body = f"%y, %mean, %rstd = graph.layer_norm %x, %w, %b epsilon 1.0e-5 : {x}, {w}, {w} -> {x}, {m}, {m}"
    sizes = {"x": (rows, columns), "w": (columns,), "b": (columns,)}
    yield Case(f"layer norm {rows}x{columns}", forward([("x", x), ("w", w), ("b", w)], body, [("%y", "y", x)]), sizes,
               lambda t: lambda: {"y": F.layer_norm(t["x"], (columns,), t["w"], t["b"])})
    yield Case(f"layer norm {rows}x{columns} with backward",
               gradients([("x", x), ("w", w), ("b", w)], [("dy", x)], body + "\n" + dotted(x, 2), "%l"),
               {**sizes, "dy": (rows, columns)},
               lambda t: with_gradients(t, ["x", "w", "b"], lambda x, w, b: F.layer_norm(x, (columns,), w, b)))


def rms_norm(rows, columns):
    x, w, m = shape(rows, columns), shape(columns), shape(rows)
    body = f"""%squares = graph.mul %x, %x : {x}
%sum = graph.reduce sum %squares [1] : {x} -> {m}
%count = graph.constant dense<{1 / columns!r}> : {m}
%mean = graph.mul %sum, %count : {m}
%epsilon = graph.constant dense<1.0e-5> : {m}
%above = graph.add %mean, %epsilon : {m}
%rstd = graph.rsqrt %above : {m}
%each = graph.broadcast %rstd [0] : {m} -> {x}
%normalised = graph.mul %x, %each : {x}
%scale = graph.broadcast %w [1] : {w} -> {x}
%y = graph.mul %normalised, %scale : {x}"""
    sizes = {"x": (rows, columns), "w": (columns,)}
    yield Case(f"RMS norm {rows}x{columns}", forward([("x", x), ("w", w)], body, [("%y", "y", x)]), sizes,
               lambda t: lambda: {"y": F.rms_norm(t["x"], (columns,), t["w"], 1e-5)})
    yield Case(f"RMS norm {rows}x{columns} with backward",
               gradients([("x", x), ("w", w)], [("dy", x)], body + "\n" + dotted(x, 2), "%l"), {**sizes, "dy": (rows, columns)},
               lambda t: with_gradients(t, ["x", "w"], lambda x, w: F.rms_norm(x, (columns,), w, 1e-5)))


def gelu(rows, columns):
    x = shape(rows, columns)
    body = f'%y = graph.formula "gelu_tanh"(%x) [] : {x}'
    yield Case(f"GELU {rows}x{columns}", forward([("x", x)], body, [("%y", "y", x)]), {"x": (rows, columns)},
               lambda t: lambda: {"y": F.gelu(t["x"], approximate="tanh")})
    yield Case(f"GELU {rows}x{columns} with backward", gradients([("x", x)], [("dy", x)], body + "\n" + dotted(x, 2), "%l"),
               {"x": (rows, columns), "dy": (rows, columns)},
               lambda t: with_gradients(t, ["x"], lambda x: F.gelu(x, approximate="tanh")))


def cross_entropy(rows, classes):
    x, m, targets = shape(rows, classes), shape(rows), f"tensor<{rows}xi32>"
    body = f"%l, %lse = graph.cross_entropy %x, %t : {x}, {targets} -> tensor<f32>, {m}"

    def peer(t):
        logits, labels = t["x"].clone().requires_grad_(), t["t"].long()

        def run():
            loss = F.cross_entropy(logits, labels)
            return {"loss": loss.detach(), "gradient.x": torch.autograd.grad(loss, logits)[0]}

        return run

    yield Case(f"cross-entropy {rows}x{classes} with gradient", gradients([("x", x)], [("t", targets)], body, "%l"),
               {"x": (rows, classes), "t": classes}, peer)


def adamw_formula(type):
    """What add-optimizer writes for an element."""
    lines = [f"%{name} = graph.constant dense<{value:.17e}> : {type}" for name, value in
             [("b1", 0.9), ("a1", 1 - 0.9), ("b2", 0.999), ("a2", 1 - 0.999), ("eps", 1e-8), ("wd", 0.01), ("one", 1.0)]]
    steps = ["gs = mul ge se", "rw = mul lre wd", "decay = sub one rw", "size = div lre c1e", "inverse = reciprocal c2e",
             "mb = mul me b1", "ga = mul gs a1", "mn = add mb ga", "vb = mul ve b2", "gg = mul gs gs", "gv = mul gg a2",
             "vn = add vb gv", "vi = mul vn inverse", "root = sqrt vi", "low = add root eps", "ms = mul mn size",
             "step = div ms low", "pd = mul pe decay", "pn = sub pd step"]
    for step in steps:
        result, _, op, *operands = step.split()
        lines.append(f"%{result} = graph.{op} {', '.join('%' + name for name in operands)} : {type}")
    return "\n".join([*lines, f"graph.yield %pn, %mn, %vn : {type}, {type}, {type}"])


def adamw(count):
    type, scalar = shape(count), "tensor<f32>"
    state = [argument(name, type, "state", f", graph.donated = {place}") for place, name in enumerate("pmv")]
    body = f"""%lr = graph.constant dense<1.0e-3> : {scalar}
%c1 = graph.constant dense<{1 - 0.9!r}> : {scalar}
%c2 = graph.constant dense<{1 - 0.999!r}> : {scalar}
%s = graph.constant dense<1.0> : {scalar}
%p1, %m1, %v1 = graph.update (%p) gradients (%g) state (%m, %v) scalars (%lr, %c1, %c2, %s)
  : {type}, {type}, {type}, {type}, {scalar}, {scalar}, {scalar}, {scalar} -> {type}, {type}, {type} {{
^bb0(%pe: {scalar}, %ge: {scalar}, %me: {scalar}, %ve: {scalar}, %lre: {scalar}, %c1e: {scalar}, %c2e: {scalar}, %se: {scalar}):
{adamw_formula(scalar)}
}}
return %p1, %m1, %v1 : {type}, {type}, {type}"""
    results = ", ".join(f'{type} {{graph.name = "new.{name}"}}' for name in "pmv")
    text = f"func.func @forward({', '.join(state)}, {argument('g', type)}) -> ({results}) {{\n{body}\n}}"

    def peer(t):
        p, m, v, one = t["p"].clone(), torch.zeros(count), torch.zeros(count), torch.ones(())

        def run():  # always as the first step, like ours
            torch._fused_adamw_([p], [t["g"]], [m], [v], [], [one], lr=1e-3, beta1=0.9, beta2=0.999, weight_decay=0.01, eps=1e-8,
                                amsgrad=False, maximize=False)
            return {"p": p, "m": m, "v": v}

        return run

    yield Case(f"AdamW {count}", text, {"p": (count,), "g": (count,)}, peer, updates=("m", "v"))


def attention(batch, heads, sequence, head):
    q, lse = shape(batch, heads, sequence, head), shape(batch, heads, sequence)
    size, scale = (batch, heads, sequence, head), head ** -0.5
    names = ["q", "k", "v"]
    body = f"%y, %lse = graph.attention %q, %k, %v scale {scale!r} causal true : {q}, {q}, {q} -> {q}, {lse}"
    title = f"attention {batch}x{heads}x{sequence}x{head}"
    yield Case(title, forward([(name, q) for name in names], body, [("%y", "y", q)]), {name: size for name in names},
               lambda t: lambda: {"y": F.scaled_dot_product_attention(t["q"], t["k"], t["v"], is_causal=True)})
    yield Case(f"{title} with backward", gradients([(name, q) for name in names], [("dy", q)], body + "\n" + dotted(q, 4), "%l"),
               {name: size for name in [*names, "dy"]},
               lambda t: with_gradients(t, names, lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True)))


def fastest(peers):
    """The one that takes the least time, of three turns each."""
    times = []
    for peer in peers:
        peer()
        times.append(min(timed(peer, 1) for _ in range(3)))
    return peers[times.index(min(times))]


def convolution(batch, channels, out, side, kernel, stride=1, groups=1):
    """"Same" padding, as the networks have it; PyTorch in the faster of its two layouts."""
    padding, to = kernel // 2, (side + 2 * (kernel // 2) - kernel) // stride + 1
    sizes = {"x": (batch, channels, side, side), "w": (out, channels // groups, kernel, kernel)}
    x, w, y = shape(*sizes["x"]), shape(*sizes["w"]), shape(batch, out, to, to)
    pair = lambda value: f"[{value}, {value}]"
    body = (f"%y = graph.convolution %x, %w strides {pair(stride)} dilations [1, 1] low {pair(padding)} high {pair(padding)}"
            f" groups {groups} : {x}, {w} -> {y}")
    run = lambda x, w: F.conv2d(x, w, stride=stride, padding=padding, groups=groups)

    def layouts(t):
        for layout in (torch.contiguous_format, torch.channels_last):
            yield {name: value.contiguous(memory_format=layout) for name, value in t.items()}

    kind = "depthwise" if groups > 1 else "convolution"
    title = f"{kind} {batch} x {channels}x{side} to {out}, {kernel}x{kernel} / {stride}"
    yield Case(title, forward([("x", x), ("w", w)], body, [("%y", "y", y)]), sizes,
               lambda t: fastest([lambda o=o: {"y": run(o["x"], o["w"])} for o in layouts(t)]))
    yield Case(f"{title} with backward", gradients([("x", x), ("w", w)], [("dy", y)], body + "\n" + dotted(y, 4), "%l"),
               {**sizes, "dy": (batch, out, to, to)},
               lambda t: fastest([with_gradients(o, ["x", "w"], run) for o in layouts(t)]))


def cases():
    yield from softmax(1024, 1024)
    yield from layer_norm(256, 768)
    yield from layer_norm(1024, 768)
    yield from rms_norm(1024, 768)
    yield from gelu(256, 3072)
    yield from gelu(1024, 3072)
    yield from cross_entropy(256, 50257)
    yield from adamw(4_000_000)
    yield from adamw(124_439_808)
    yield from attention(4, 12, 64, 64)
    yield from attention(1, 12, 256, 64)
    yield from attention(1, 12, 1024, 64)
    yield from attention(1, 12, 4096, 64)
    for batch in (1, 32):  # ResNet-50, then MobileNet
        yield from convolution(batch, 3, 64, 224, 7, stride=2)
        yield from convolution(batch, 64, 64, 56, 3)
        yield from convolution(batch, 256, 64, 56, 1)
        yield from convolution(batch, 128, 128, 28, 3)
        yield from convolution(batch, 256, 256, 28, 3, stride=2)
        yield from convolution(batch, 1024, 2048, 14, 1, stride=2)
        yield from convolution(batch, 512, 512, 7, 3)
        yield from convolution(batch, 32, 32, 112, 3, groups=32)
        yield from convolution(batch, 64, 64, 112, 3, stride=2, groups=64)
        yield from convolution(batch, 512, 512, 14, 3, groups=512)
    yield from op_cases()


def make_operands(case, random):
    operands = {}
    for name, size in case.operands.items():
        if isinstance(size, int):  # labels below it, one a row of x
            operands[name] = random.integers(0, size, case.operands["x"][0], dtype=numpy.int32)
        elif isinstance(size, Indices):
            operands[name] = random.integers(0, size.limit, size.shape, dtype=numpy.int32)
        elif isinstance(size, Scaled):
            operands[name] = random.standard_normal(size.shape, dtype=numpy.float32) * numpy.float32(size.factor)
        else:
            operands[name] = random.standard_normal(size, dtype=numpy.float32)
    return operands


def compare(case, kernel, results):
    for name, value in results.items():
        expected = value.numpy()
        found = kernel.read(name, numpy.empty(expected.shape, expected.dtype))
        scale = max(numpy.abs(expected).max(), 1e-30)
        difference = numpy.abs(found - expected).max() / scale
        if not difference <= TOLERANCE:
            sys.exit(f"{case.name}: {name} differs from PyTorch's by {difference:.2g} of its largest element")


def timed(function, times):
    start = time.perf_counter()
    for _ in range(times):
        function()
    return (time.perf_counter() - start) / times


def measure(case, library, machine):
    operands = make_operands(case, numpy.random.default_rng(7))
    kernel = library.compile(case.text, gradients='"loss"' in case.text)
    for name, array in operands.items():
        kernel.write(name, array)
    for name in case.updates:
        kernel.write(name, numpy.zeros_like(operands["p"]))
    peer = case.peer({name: torch.from_numpy(array) for name, array in operands.items()})
    kernel()
    compare(case, kernel, peer())

    size = kernel.touched()
    source, target = torch.ones(max(size // 8, 1)), torch.ones(max(size // 8, 1))  # half is read, half written
    sides = [lambda times: kernel(times) / times, lambda times: timed(peer, times), lambda times: timed(lambda: target.copy_(source), times)]
    inner = [max(1, int(LEAST_SECONDS / max(side(1), 1e-7))) for side in sides]
    seconds = [[], [], []]
    rounds = ROUNDS if seconds_of_all(sides) < 0.5 else 5
    for _ in range(rounds):
        for side, times, list in zip(sides, inner, seconds):
            list.append(side(times))
    ours, theirs, copy = map(statistics.median, seconds)
    least, by = machine.bound(kernel.flops, size)
    kernel.close()
    print(f"{case.name:42} {ours * 1e6:11.1f} {theirs * 1e6:11.1f} {theirs / ours:6.2f}x {copy * 1e6:10.1f} {size / ours / 1e9:7.1f}"
          f" {kernel.flops / ours / 1e9:8.1f} {100 * least / ours:6.0f} % {by:6}", flush=True)


def seconds_of_all(sides):
    return sum(side(1) for side in sides)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    torch.set_num_threads(1)
    library = Library(options.build)
    machine = library.machine(1)
    print(machine.describe())
    print(f"{'one thread, f32':42} {'ingot us':>11} {'PyTorch us':>11} {'ratio':>7} {'copy us':>10} {'GB/s':>7} {'GFLOP/s':>8} {'of limit':>8}")
    for case in cases():
        if not options.words or any(word in case.name for word in options.words):
            measure(case, library, machine)


if __name__ == "__main__":
    main()
