"""Ingot's compiler and runtime in this process: library.cpp through ctypes."""
import ctypes
import json
import os


class Library:
    """libbenchmark-kernels.so of a build folder."""

    def __init__(self, build):
        self.functions = ctypes.CDLL(os.path.join(build, "bin", "libbenchmark-kernels.so"))
        for name, result in [("open", ctypes.c_void_p), ("load", ctypes.c_void_p), ("error", ctypes.c_char_p), ("describe", ctypes.c_char_p),
                             ("machine", ctypes.c_char_p), ("run", ctypes.c_double), ("close", None)]:
            getattr(self.functions, f"ingot_{name}").restype = result

    def machines(self, counts, attempts=3):
        """What the machine can do on so many threads: the best of measurements in turn, for others may use it meanwhile."""
        measured = [[json.loads(self.functions.ingot_machine(count)) for count in counts] for _ in range(attempts)]
        return [Machine(best(list(same))) for same in zip(*measured)]

    def machine(self, threads):
        return self.machines([threads])[0]

    def compile(self, text, gradients=False, threads=1):
        """@forward of graph IR, with the gradients of its parameters if they are wanted: then its result is a loss,
        and of a loss sum(y·dy), which stands for a cotangent dy, the value y remains."""
        return Kernel(self.functions, self.functions.ingot_open(text.encode(), gradients, threads))

    def load(self, path, cache, threads=1):
        """The model of a file with its parameters, for inference; `cache` is the folder of compiled programs."""
        return Kernel(self.functions, self.functions.ingot_load(path.encode(), cache.encode(), threads))


def best(measurements):
    """Of numbers the largest; of what holds numbers, the same of each."""
    first = measurements[0]
    if isinstance(first, dict):
        return {key: best([one[key] for one in measurements]) for key in first}
    if isinstance(first, list):
        return [best(list(same)) for same in zip(*measurements)]
    return max(measurements)


class Machine:
    def __init__(self, limits):
        self.__dict__.update(limits)

    def describe(self):
        bf16 = f", bf16 dot product {self.bf16_flops / 1e9:.0f}" if self.bf16_flops else ", no bf16 dot product"
        caches = "".join(f", {level['name']} {level['bandwidth'] / 1e9:.0f}" for level in self.levels[:-1])
        return (f"{self.threads} thread{'s' if self.threads > 1 else ''}: f32 multiply-add {self.flops / 1e9:.0f} GFLOP/s{bf16}"
                f"; memory read {self.read_bandwidth / 1e9:.0f} GB/s, copy {self.copy_bandwidth / 1e9:.0f}{caches}")

    def bound(self, flops, size):
        """Seconds that so many operations on so many bytes take at least, and what says so."""
        level = next(level for level in self.levels if size <= level["bytes"])
        return max((flops / self.flops, "FMA"), (size / level["bandwidth"], level["name"]))


class Kernel:
    """A compiled @forward on one session; `handle` is what ingot_open or ingot_load returned."""

    def __init__(self, functions, handle):
        self.functions = functions
        if not handle:
            raise RuntimeError(functions.ingot_error().decode())
        self.handle = ctypes.c_void_p(handle)
        description = json.loads(functions.ingot_describe(self.handle))
        self.flops, self.launches = description["flops"], description["launches"]
        self.ports = {port["name"]: port for port in description["ports"]}

    def touched(self):
        """Bytes of the operands and results: of what is updated in place, twice its size."""
        return sum(port["bytes"] * (2 if port["role"] == "state" else 1) for port in self.ports.values())

    def __call__(self, times=1):
        """Runs; the seconds of all times together."""
        seconds = self.functions.ingot_run(self.handle, ctypes.c_int64(times))
        if seconds < 0:
            raise RuntimeError(self.functions.ingot_error().decode())
        return seconds

    def write(self, name, array):
        assert array.nbytes == self.ports[name]["bytes"], name
        if self.functions.ingot_write(self.handle, name.encode(), ctypes.c_void_p(array.ctypes.data)):
            raise RuntimeError(self.functions.ingot_error().decode())

    def read(self, name, into):
        """Fills a contiguous array of the port's size."""
        assert into.nbytes == self.ports[name]["bytes"], name
        if self.functions.ingot_read(self.handle, name.encode(), ctypes.c_void_p(into.ctypes.data)):
            raise RuntimeError(self.functions.ingot_error().decode())
        return into

    def close(self):
        self.functions.ingot_close(self.handle)
