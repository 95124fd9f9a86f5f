"""Cases of kernels.py: pooling, norms, relatives of softmax, gather and scatter, sorting, scans, an LSTM."""
import torch
import torch.nn.functional as F

from cases import Case, Indices, Scaled, dotted, forward, gradients, shape, with_gradients


def both(title, name, sizes, wanted, body, y, rank, run):
    """Forward alone, then with gradients; `run` is PyTorch's function of the operands."""
    types = [(operand, shape(*size) if isinstance(size, tuple) and not isinstance(size, Indices) else index(size))
             for operand, size in sizes.items()]
    yield Case(f"{title} {name}", forward(types, body, [("%y", "y", y)]), sizes, lambda t: lambda: {"y": run(*wide(t, sizes))})
    parameters = [entry for entry in types if entry[0] in wanted]
    inputs = [entry for entry in types if entry[0] not in wanted]

    def peer(t):
        fixed = dict(zip(sizes, wide(t, sizes)))
        return with_gradients({**fixed, "dy": t["dy"]}, wanted,
                              lambda *leaves: run(*{**fixed, **dict(zip(wanted, leaves))}.values()))

    yield Case(f"{title} {name} with backward", gradients(parameters, [*inputs, ("dy", y)], body + "\n" + dotted(y, rank), "%l"),
               {**sizes, "dy": tuple(int(n) for n in y[len("tensor<"):-len("xf32>")].split("x"))}, peer)


def index(size):
    return "tensor<" + "".join(f"{n}x" for n in size.shape) + "i32>"


def wide(t, sizes):
    return [t[name].long() if isinstance(size, Indices) else t[name] for name, size in sizes.items()]


def pooling(batch, channels, side, window, stride, padding):
    """As the builder composes it: windows of a padded tensor, reduced."""
    to, padded = (side + 2 * padding - window) // stride + 1, side + 2 * padding
    x, p = shape(batch, channels, side, side), shape(batch, channels, padded, padded)
    w, y = shape(batch, channels, to, to, window, window), shape(batch, channels, to, to)
    name = f"{window}x{window} / {stride} of {batch} x {channels}x{side}"
    for title, around, reduce in [("max pool", "0xFF800000", "max"), ("average pool", "0.0", "sum")]:
        body = f"""%around = graph.constant dense<{around}> : tensor<f32>
%padded = graph.pad %x, %around low [0, 0, {padding}, {padding}] high [0, 0, {padding}, {padding}] interior [0, 0, 0, 0] : {x}, tensor<f32> -> {p}
%windows = graph.window %padded dimensions [2, 3] sizes [{window}, {window}] strides [{stride}, {stride}] dilations [1, 1] : {p} -> {w}
%sum = graph.reduce {reduce} %windows [4, 5] : {w} -> {y}
%share = graph.constant dense<{1.0 if reduce == "max" else 1 / window**2!r}> : {y}
%y = graph.mul %sum, %share : {y}"""
        run = ((lambda x: F.max_pool2d(x, window, stride, padding)) if reduce == "max"
               else (lambda x: F.avg_pool2d(x, window, stride, padding)))
        yield from both(title, name, {"x": (batch, channels, side, side)}, ["x"], body, y, 4, run)


def group_norm(batch, channels, side, groups):
    x, rows = shape(batch, channels, side, side), batch * groups
    width = channels // groups * side * side
    r, m, c, o = shape(rows, width), shape(rows), shape(channels), shape(width)
    body = f"""%rows = graph.reshape %x : {x} -> {r}
%one = graph.constant dense<1.0> : {o}
%zero = graph.constant dense<0.0> : {o}
%n, %mean, %rstd = graph.layer_norm %rows, %one, %zero epsilon 1.0e-5 : {r}, {o}, {o} -> {r}, {m}, {m}
%normal = graph.reshape %n : {r} -> {x}
%ws = graph.broadcast %w [1] : {c} -> {x}
%bs = graph.broadcast %b [1] : {c} -> {x}
%scaled = graph.mul %normal, %ws : {x}
%y = graph.add %scaled, %bs : {x}"""
    sizes = {"x": (batch, channels, side, side), "w": (channels,), "b": (channels,)}
    yield from both("group norm", f"{batch} x {channels}x{side} of {groups}", sizes, ["x", "w", "b"], body, x, 4,
                    lambda x, w, b: F.group_norm(x, groups, w, b))


def batch_norm(batch, channels, side):
    """With the stored statistics, as in evaluation."""
    x, c = shape(batch, channels, side, side), shape(channels)
    steps = [f"%e = graph.constant dense<1.0e-5> : {c}", f"%squared = graph.mul %v, %v : {c}", f"%above = graph.add %squared, %e : {c}",
             f"%rstd = graph.rsqrt %above : {c}"]
    for name, of in [("ms", "m"), ("rs", "rstd"), ("ws", "w"), ("bs", "b")]:
        steps.append(f"%{name} = graph.broadcast %{of} [1] : {c} -> {x}")
    steps += [f"%centred = graph.sub %x, %ms : {x}", f"%normal = graph.mul %centred, %rs : {x}", f"%scaled = graph.mul %normal, %ws : {x}",
              f"%y = graph.add %scaled, %bs : {x}"]
    sizes = {"x": (batch, channels, side, side), "w": (channels,), "b": (channels,), "m": (channels,), "v": (channels,)}
    types = [("x", x)] + [(name, c) for name in "wbmv"]
    yield Case(f"batch norm (stored) {batch} x {channels}x{side}", forward(types, "\n".join(steps), [("%y", "y", x)]), sizes,
               lambda t: lambda: {"y": F.batch_norm(t["x"], t["m"], t["v"] * t["v"], t["w"], t["b"])})


def log_softmax(rows, columns):
    x = shape(rows, columns)
    yield from both("log-softmax", f"{rows}x{columns}", {"x": (rows, columns)}, ["x"], f"%y = graph.log_softmax %x dimension 1 : {x}", x, 2,
                    lambda x: F.log_softmax(x, -1))


def softmax_along(batch, channels, side):
    x = shape(batch, channels, side)
    yield from both("softmax of columns", f"{batch}x{channels}x{side}", {"x": (batch, channels, side)}, ["x"],
                    f"%y = graph.softmax %x dimension 1 : {x}", x, 3, lambda x: torch.softmax(x, 1))


def embedding(vocabulary, width, count):
    table, tokens, y = shape(vocabulary, width), f"tensor<{count}xi32>", shape(count, width)
    yield from both("embedding", f"{count} of {vocabulary}x{width}", {"t": (vocabulary, width), "i": Indices(vocabulary, (count,))}, ["t"],
                    f"%y = graph.embedding %t, %i : {table}, {tokens} -> {y}", y, 2, lambda t, i: F.embedding(i, t))


def scatter(rows, width, count):
    x, u, i = shape(rows, width), shape(count, width), f"tensor<{count}xi32>"
    yield Case(f"scatter add {count} of {rows}x{width}",
               forward([("x", x), ("i", i), ("u", u)], f"%y = graph.scatter_add %x, %i, %u dimension 0 : {x}, {i}, {u}", [("%y", "y", x)]),
               {"x": (rows, width), "i": Indices(rows, (count,)), "u": (count, width)},
               lambda t: lambda: {"y": t["x"].index_add(0, t["i"], t["u"])})


def sorting(rows, columns, most):
    x, places = shape(rows, columns), f"tensor<{rows}x{columns}xi64>"
    body = f"%y, %p = graph.sort %x dimension 1 descending : {x} -> {x}, {places}"
    yield Case(f"sort {rows}x{columns}", forward([("x", x)], body, [("%y", "y", x), ("%p", "p", places)]), {"x": (rows, columns)},
               lambda t: lambda: dict(zip(["y", "p"], torch.sort(t["x"], stable=True, dim=-1, descending=True))))
    first = [shape(rows, most), f"tensor<{rows}x{most}xi64>"]
    cut = [f"%{name}{most} = graph.slice %{name} [0, 0] to [{rows}, {most}] by [1, 1] : {type} -> {to}"
           for name, type, to in [("y", x, first[0]), ("p", places, first[1])]]
    yield Case(f"top {most} of {rows}x{columns}",
               forward([("x", x)], "\n".join([body, *cut]), [(f"%y{most}", "y", first[0]), (f"%p{most}", "p", first[1])]),
               {"x": (rows, columns)}, lambda t: lambda: dict(zip(["y", "p"], torch.topk(t["x"], most, -1))))


def cumulative(rows, columns):
    x = shape(rows, columns)
    for dimension in (1, 0):
        yield from both(f"cumulative sum along {dimension}", f"{rows}x{columns}", {"x": (rows, columns)}, ["x"],
                        f"%y = graph.scan sum %x dimension {dimension} : {x}", x, 2, lambda x, d=dimension: torch.cumsum(x, d))


def lstm(layers, width, time, batch):
    """A training step without its update: forward, and the gradients of all weights, PyTorch's order of gates."""
    s, h, g = shape(time, batch, width), shape(batch, width), shape(batch, 4 * width)
    w, all_gates, one = shape(4 * width, width), shape(time, batch, 4 * width), shape(1, batch, 4 * width)
    b = shape(4 * width)
    lines, below = [f"%trips = graph.constant dense<{time}> : tensor<i64>", f"%h = graph.constant dense<0.0> : {h}"], "%x"
    for layer in range(layers):
        lines.append(f"""%in{layer} = graph.linear {below}, %w{layer}, %b{layer} : {s}, {w}, {b} -> {all_gates}
%h{layer}, %c{layer}, %s{layer} = graph.loop %trips carry (%h, %h : {h}, {h}) : tensor<i64> -> ({h}, {h}, {s}) {{
^bb0(%t: tensor<i64>, %before: {h}, %cell: {h}):
%part = graph.dynamic_slice %in{layer}, %t dimension 0 size 1 : {all_gates}, tensor<i64> -> {one}
%now = graph.reshape %part : {one} -> {g}
%kept = graph.contract %before, %r{layer} batch [] x [] over [1] x [1] : {h}, {w} -> {g}
%gates = graph.add %now, %kept : {g}""")
        for place, (gate, function) in enumerate([("i", "sigmoid"), ("f", "sigmoid"), ("n", "tanh"), ("o", "sigmoid")]):
            lines.append(f"%{gate}l = graph.slice %gates [0, {place * width}] to [{batch}, {(place + 1) * width}] by [1, 1] : {g} -> {h}\n"
                         f"%{gate} = graph.{function} %{gate}l : {h}")
        lines.append(f"""%old = graph.mul %f, %cell : {h}
%new = graph.mul %i, %n : {h}
%next = graph.add %old, %new : {h}
%squashed = graph.tanh %next : {h}
%out = graph.mul %o, %squashed : {h}
graph.yield %out, %next, %out : {h}, {h}, {h}
}}""")
        below = f"%s{layer}"
    lines.append(f"%y = graph.reshape {below} : {s} -> {s}\n{dotted(s, 3)}")
    parameters = [(f"{kind}{layer}", b if kind == "b" else w) for layer in range(layers) for kind in "wrb"]
    sizes = {name: Scaled((4 * width,) if name[0] == "b" else (4 * width, width), width ** -0.5) for name, _ in parameters}

    def peer(t):
        model = torch.nn.LSTM(width, width, layers)
        leaves = {}
        for layer in range(layers):
            for kind, name in [("w", "weight_ih"), ("r", "weight_hh"), ("b", "bias_ih")]:
                leaves[f"gradient.{kind}{layer}"] = leaf = getattr(model, f"{name}_l{layer}")
                leaf.data.copy_(t[f"{kind}{layer}"])
            getattr(model, f"bias_hh_l{layer}").data.zero_()

        def run():
            y, _ = model(t["x"])
            return dict(zip(leaves, torch.autograd.grad(y, list(leaves.values()), t["dy"])))

        return run

    yield Case(f"LSTM {layers}x{width}, {time} steps, {batch} rows with backward",
               gradients(parameters, [("x", s), ("dy", s)], "\n".join(lines), "%l"),
               {**sizes, "x": (time, batch, width), "dy": (time, batch, width)}, peer)


def op_cases():
    yield from pooling(32, 64, 112, 3, 2, 1)
    yield from pooling(8, 256, 28, 2, 2, 0)
    yield from group_norm(8, 256, 28, 32)
    yield from batch_norm(8, 256, 28)
    yield from log_softmax(1024, 1024)
    yield from softmax_along(32, 21, 4096)
    yield from embedding(50257, 768, 1024)
    yield from scatter(4096, 256, 16384)
    yield from sorting(256, 4096, 8)
    yield from cumulative(1024, 1024)
    yield from lstm(2, 256, 128, 32)
