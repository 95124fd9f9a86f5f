"""Small ONNX files, written field by field, and .npy files: no package is needed."""
import math
import struct


def _varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def number(field, value):
    return _varint(field << 3) + _varint(value)


def data(field, value):
    value = value.encode() if isinstance(value, str) else value
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def node(op, inputs, outputs, name="", attributes=b""):
    return b"".join(data(1, i) for i in inputs) + b"".join(data(2, o) for o in outputs) + data(3, name) + data(4, op) + \
        attributes


def floats(name, shape, values):
    return b"".join(number(1, size) for size in shape) + number(2, 1) + data(8, name) + \
        data(9, struct.pack(f"<{len(values)}f", *values))


def port(name, shape, kind=1):
    """A dimension that is a string is a symbol."""
    dims = b"".join(data(1, data(2, size) if isinstance(size, str) else number(1, size)) for size in shape)
    return data(1, name) + data(2, data(1, number(1, kind) + data(2, dims)))


def model(nodes, initializers, inputs, outputs, opset=18):
    graph = b"".join(data(1, n) for n in nodes) + b"".join(data(5, i) for i in initializers) + \
        b"".join(data(11, i) for i in inputs) + b"".join(data(12, o) for o in outputs)
    return number(1, 8) + data(7, graph) + data(8, data(1, "") + number(2, opset))


def integers(name, values):
    """An attribute."""
    return data(5, data(1, name) + b"".join(number(8, value) for value in values) + number(20, 7))


def cnn(rows):
    """Two convolutions with ReLU and pooling, then a linear layer: digits [rows, 1, 28, 28] to 10 classes."""
    seed = 1

    def parameter(name, shape, fan):
        nonlocal seed
        values = []
        for _ in range(math.prod(shape)):
            seed = (seed * 1103515245 + 12345) % (1 << 31)
            values.append((seed / (1 << 30) - 1) / math.sqrt(fan))
        return floats(name, shape, values)

    pool = integers("kernel_shape", [2, 2]) + integers("strides", [2, 2])
    return model(
        [node("Conv", ["x", "conv1.weight", "conv1.bias"], ["c1"], "conv1"), node("Relu", ["c1"], ["r1"], "relu1"),
         node("MaxPool", ["r1"], ["p1"], "pool1", pool),
         node("Conv", ["p1", "conv2.weight", "conv2.bias"], ["c2"], "conv2"), node("Relu", ["c2"], ["r2"], "relu2"),
         node("MaxPool", ["r2"], ["p2"], "pool2", pool), node("Flatten", ["p2"], ["f"], "flatten"),
         node("Gemm", ["f", "fc.weight", "fc.bias"], ["y"], "fc")],
        [parameter("conv1.weight", [8, 1, 5, 5], 25), parameter("conv1.bias", [8], 25),
         parameter("conv2.weight", [16, 8, 5, 5], 200), parameter("conv2.bias", [16], 200),
         parameter("fc.weight", [256, 10], 256), parameter("fc.bias", [10], 256)],
        [port("x", [rows, 1, 28, 28])], [port("y", [rows, 10])])


SPREAD = [((7 * i) % 11 - 5) / 10 for i in range(24)]


def classifier(rows):
    """relu(x · a + c) · b of 4 numbers, for 3 classes."""
    return model([node("MatMul", ["x", "a"], ["h"], "first"), node("Add", ["h", "c"], ["s"], "bias"),
                  node("Relu", ["s"], ["r"], "act"), node("MatMul", ["r", "b"], ["y"], "last")],
                 [floats("a", [4, 5], SPREAD[:20]), floats("c", [5], SPREAD[:5]), floats("b", [5, 3], SPREAD[9:24])],
                 [port("x", [rows, 4])], [port("y", [rows, 3])])


def accuracy(rows, targets):
    """The share of rows whose largest score from the classifier, computed here, is the target's."""
    right = 0
    for row, target in zip(rows, targets):
        hidden = [max(sum(row[k] * SPREAD[5 * k + j] for k in range(4)) + SPREAD[j], 0) for j in range(5)]
        scores = [sum(hidden[k] * SPREAD[9 + 3 * k + j] for k in range(5)) for j in range(3)]
        first, second = sorted(scores)[:0:-1]
        assert first - second > 1e-4, "no rounding may decide"
        right += scores[target] == first
    return right / len(rows)


def npy(shape, values, kind="f"):
    """`kind` is struct's: f, q."""
    header = str({"descr": {"f": "<f4", "q": "<i8"}[kind], "fortran_order": False, "shape": tuple(shape)}).encode()
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + struct.pack(f"<{len(values)}{kind}", *values)
