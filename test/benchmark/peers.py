"""The peers' environment: a throw-away venv under build/bench, and PyTorch as fast as it can be here."""
import os
import subprocess
import sys

VENV = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "build", "bench", "venv"))
PYTHON = os.path.join(VENV, "bin", "python")
PACKAGES = {"torch": "torch numpy safetensors", "jax": "jax", "torchvision": "torchvision", "onnxscript": "onnx onnxscript",
            "onnxruntime": "onnxruntime", "transformers": "transformers"}
INTEL = "int mkl_serv_intel_cpu_true(void) { return 1; }"
PROBE = """
import time, torch
torch.set_num_threads(1)
a = torch.ones(1024, 1024)
def once():
    start = time.perf_counter()
    torch.mm(a, a)
    return time.perf_counter() - start
print(2 * 1024**3 / min(once() for _ in range(30)))
"""


def has(package):
    return os.path.exists(PYTHON) and subprocess.run([PYTHON, "-c", f"import {package}"], capture_output=True).returncode == 0


def install(*packages):
    """Installs what is missing of these peers; the interpreter that has them."""
    for package in packages:
        if has(package):
            continue
        print(f"installing {package} into build/bench/venv …", file=sys.stderr)
        if not os.path.exists(PYTHON):
            subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
        command = [PYTHON, "-m", "pip", "install", "-q", *PACKAGES[package].split()]
        subprocess.run(command, check=True, stdout=sys.stderr)
    return PYTHON


def mkl_library():
    """PyTorch's library with MKL inside, if it is installed."""
    for folder, _, files in os.walk(os.path.join(VENV, "lib")):
        if "libtorch_cpu.so" in files:
            return os.path.join(folder, "libtorch_cpu.so")
    return None


def speed(environment):
    """PyTorch's matrix multiplication, operations a second on one thread."""
    return float(subprocess.run([PYTHON, "-c", PROBE], capture_output=True, text=True, check=True, env=environment).stdout)


def healthy_torch(peak):
    """The environment in which PyTorch runs best here, and a remark on it.

    MKL keeps its fast kernels for processors that it takes for Intel's. On others, which run them as well, it is
    told so: a peer at half its speed is none.
    """
    plain = dict(os.environ)
    shipped = speed(plain)
    remark = f"PyTorch multiplies 1024x1024 matrices at {shipped / 1e9:.0f} GFLOP/s, {100 * shipped / peak:.0f} % of the peak"
    if shipped > 0.6 * peak:
        return plain, remark
    library = os.path.join(os.path.dirname(VENV), "intel.so")
    compiler = next((name for name in ("clang-22", "clang", "cc", "gcc") if subprocess.run(["which", name], capture_output=True).returncode == 0), None)
    if compiler is None:
        return plain, remark + ": not a healthy peer here"
    subprocess.run([compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", library], input=INTEL, text=True, check=True)
    told = {**plain, "LD_PRELOAD": library}
    faster = speed(told)
    if faster < 1.1 * shipped:
        return plain, remark + ": not a healthy peer here"
    return told, (f"{remark}, as shipped; it runs here with MKL told that the processor is Intel's (mkl_serv_intel_cpu_true): "
                  f"{faster / 1e9:.0f} GFLOP/s")
