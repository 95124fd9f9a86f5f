"""`ingot emulate -- PROGRAM`: CUDA programs, unmodified, on the PTX machine.

One program is written by hand (test/alone/cudaProgram.cpp) and needs no CUDA toolkit; the
others are nvcc's, where it is installed.
"""
import os
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from support import INGOT, run, write

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.dirname(os.path.dirname(os.path.abspath(INGOT)))
PROGRAM = os.path.join(BUILD, "bin", "cuda-program")


def nvcc():
    """The compiler of the CUDA toolkit, as the other tests find it; None without one."""
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        path = os.path.join(os.environ.get(variable, ""), "bin", "nvcc")
        if os.environ.get(variable) and os.access(path, os.X_OK):
            return path
    return shutil.which("nvcc") or next(
        (path for path in ("/usr/local/cuda/bin/nvcc", "/opt/cuda/bin/nvcc") if os.access(path, os.X_OK)), None)


class HandMade(unittest.TestCase):
    def program(self, case, *flags, code=0, **more):
        process = run("emulate", "--seed=7", *flags, "--", PROGRAM, case, **more)
        self.assertEqual(process.returncode, code, process.stdout + process.stderr)
        return process

    def quiet(self, case, *flags):
        process = self.program(case, *flags)
        self.assertIn(f"{case}: done\n", process.stdout)
        self.assertRegex(process.stderr, r"ingot: \d+ kernel launch(es)?, 0 findings; seed 7\n$")
        return process

    def test_what_is_right_is_quiet(self):
        for case in ("vector", "reverse", "symbols", "memory", "streams", "threads", "late"):
            with self.subTest(case):
                self.quiet(case)

    def test_findings_are_printed_once_and_end_with_1(self):
        process = self.program("unwritten", code=1)
        self.assertEqual(process.stdout, "went on\nunwritten: done\n")
        self.assertEqual(process.stderr.count("uninitialised-memory: "), 1, process.stderr)
        self.assertRegex(process.stderr, r"kernel scale, line \d+: ld.global.f32")
        self.assertRegex(process.stderr, r"kernel scale, line \d+: also in 2 later launches")
        self.assertIn("3 kernel launches, 1 finding; seed 7", process.stderr)

    def test_a_missing_barrier_is_found(self):
        process = self.program("race", code=1)
        self.assertIn("shared-race: ", process.stderr)
        self.program("race", "--off=shared-race", "--off=uninitialised-memory")

    def test_a_missing_wait_between_streams_is_found(self):
        process = self.program("unordered", code=1)
        message = (r"launch-race: a copy of 4000 bytes reads 0xd0\w+, which kernel 'scale' writes: no stream, event "
                   r"or edge of a graph orders the two.*")
        self.assertEqual(len(re.findall(message + "\n\n", process.stderr)), 1, process.stderr)
        self.assertRegex(process.stderr, message + ": 2 times more\n")
        self.assertIn("3 kernel launches, 1 finding; seed 7", process.stderr)
        self.program("unordered", "--off=launch-race")

    def test_errors_are_the_runtimes(self):
        process = self.program("errors")
        self.assertIn("major 8\n", process.stdout)
        self.assertIn("cudaSetDevice returns cudaErrorInvalidDevice: there is no device 1", process.stderr)
        self.assertIn("cudaLaunchKernel returns cudaErrorInvalidConfiguration", process.stderr)
        self.assertIn("major 9\n", self.program("errors", "--chip=sm_90").stdout)
        self.program("errors", "--strict", code=1)

    def test_a_kernels_error_stays_until_the_reset(self):
        process = self.program("out-of-bounds", code=1)
        self.assertIn("works again\n", process.stdout)
        self.assertIn("out-of-bounds: ", process.stderr)
        self.assertIn("ended with cudaErrorIllegalAddress", process.stderr)
        self.assertIn("trap: ", self.program("trap", code=1).stderr)

    def test_memory_that_is_never_freed(self):
        self.assertIn("4000 bytes in 1 allocations were not freed", self.quiet_note("leak"))
        self.assertIn("leak: 4000 bytes of device memory", self.program("leak", "--strict", code=1).stderr)
        self.assertIn("leak: 4000 bytes of device memory", self.program("leak-and-reset", code=1).stderr)
        self.assertNotIn("not freed", self.quiet_note("leak", "--off=leak"))

    def quiet_note(self, *arguments):
        return self.program(*arguments).stderr

    def test_a_function_that_is_not_emulated(self):
        process = self.program("refused", code=1)
        self.assertIn("ingot: cudaMallocArray is not emulated\n", process.stderr)
        self.assertIn("1 call is not emulated", process.stderr)

    def test_a_program_without_ptx(self):
        process = self.program("vector", code=3, environment={"WITHOUT_PTX": "1"})
        self.assertIn("hand.cu: holds no PTX for sm_80 (machine code for sm_80); compile with nvcc -gencode "
                      "arch=compute_80,code=compute_80", process.stderr)
        self.assertIn("cudaErrorNoKernelImageForDevice", process.stdout)

    def test_streams_signals_and_exit_codes_are_the_programs(self):
        self.assertEqual(self.program("echo", stdin="hello\n").stdout, "read hello\necho: done\n")
        self.program("exit", code=7)
        self.program("crash", code=-signal.SIGABRT)
        with subprocess.Popen([INGOT, "emulate", "--", PROGRAM, "wait"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True) as process:
            self.assertEqual(process.stdout.readline(), "ready\n")
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
            self.assertEqual(process.returncode, -signal.SIGTERM)

    def test_what_cannot_run_is_refused(self):
        def error(*arguments, code=1):
            process = run("emulate", *arguments)
            self.assertEqual(process.returncode, code, process.stderr)
            return process.stderr

        with tempfile.TemporaryDirectory() as folder:
            text = write(folder, "text", "no program")
            self.assertIn("there is no such program", error("--", os.path.join(folder, "missing")))
            self.assertIn("there is no such program in PATH", error("--", "no-such-program"))
            self.assertIn("is not executable", error("--", text))
            os.chmod(text, 0o755)
            self.assertIn("cannot start", error("--", text))
        self.assertIn("is for a kernel", error("--grid=2", "--", PROGRAM, code=2))
        self.assertIn("'sm_70' is none of", error("--chip=sm_70", "--", PROGRAM, code=2))
        self.assertIn("there is no check 'nothing'", error("--off=nothing", "--", PROGRAM, code=2))
        process = run("emulate", "--", "sh", "-c", "exit 0")
        self.assertEqual(process.returncode, 0)
        self.assertRegex(process.stderr, r"ingot: \S*/sh did not use the CUDA runtime\n")

    def test_the_variable_alone(self):
        folder = os.path.join(BUILD, "lib", "ingot", "cudart")
        self.assertTrue(os.path.isdir(folder))
        environment = {**os.environ, "LD_LIBRARY_PATH": folder, "INGOT_EMULATE": "seed=1;off=uninitialised-memory"}
        command = [PROGRAM, "unwritten"]
        process = subprocess.run(command, env=environment, capture_output=True, text=True)
        self.assertEqual((process.returncode, process.stderr), (0, ""))
        environment["INGOT_EMULATE"] = "speed=1"
        process = subprocess.run(command, env=environment, capture_output=True, text=True)
        self.assertEqual(process.returncode, 2)
        self.assertIn("INGOT_EMULATE: 'speed=1' is not known", process.stderr)


REDUCE = r"""
#include <cstdio>
#include <cassert>
#include <cooperative_groups.h>

__constant__ float weights[4];
__device__ int calls;
__managed__ int limit = 3000;

__global__ void sum(const float *in, float *out, int n) {
  extern __shared__ float part[];
  int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
  part[t] = i < n ? in[i] * weights[t % 4] : 0.f;
  __syncthreads();
  for (int step = blockDim.x / 2; step; step /= 2) {
    if (t < step)
      part[t] += part[t + step];
    SYNC
  }
  if (t == 0) {
    out[blockIdx.x] = part[0];
    atomicAdd(&calls, 1);
    if (blockIdx.x == 0)
      printf("block %d of %d: %.1f\n", blockIdx.x, gridDim.x, part[0]);
  }
}

__global__ void total(float *values, int n) {
  cooperative_groups::grid_group grid = cooperative_groups::this_grid();
  int i = grid.thread_rank();
  if (i < n)
    values[i] *= 2;
  grid.sync();
  if (i == 0) {
    for (int k = 0; k < n; ++k)
      values[n] += values[k];
    assert(values[n] < limit);
  }
}

#define CHECK(call)                                                                                \
  if (cudaError_t error = (call)) {                                                                \
    fprintf(stderr, "%s: %s\n", #call, cudaGetErrorString(error));                                 \
    return 3;                                                                                      \
  }

int main(int argc, char **argv) {
  constexpr int n = 1024, blocks = 8;
  float host[n], ones[4] = {1, 1, 1, 1};
  for (int i = 0; i < n; ++i)
    host[i] = float(i % 3);
  float *in, *out;
  CHECK(cudaMalloc(&in, sizeof host));
  CHECK(cudaMalloc(&out, (blocks + 1) * sizeof(float)));
  CHECK(cudaMemset(out + blocks, 0, sizeof(float)));
  CHECK(cudaMemcpy(in, host, sizeof host, cudaMemcpyHostToDevice));
  CHECK(cudaMemcpyToSymbol(weights, ones, sizeof ones));
  cudaStream_t stream;
  CHECK(cudaStreamCreate(&stream));
  sum<<<blocks, n / blocks, n / blocks * sizeof(float), stream>>>(in, out, n);
  CHECK(cudaGetLastError());
  int elements = blocks;
  if (argc > 1)
    limit = 1;
  void *arguments[] = {&out, &elements};
  CHECK(cudaLaunchCooperativeKernel((void *)total, dim3(2), dim3(4), arguments, 0, stream));
  CHECK(cudaStreamSynchronize(stream));
  float result;
  int counted;
  CHECK(cudaMemcpy(&result, out + blocks, sizeof result, cudaMemcpyDeviceToHost));
  CHECK(cudaMemcpyFromSymbol(&counted, calls, sizeof counted));
  cudaDeviceProp properties;
  CHECK(cudaGetDeviceProperties(&properties, 0));
  printf("%.1f from %d blocks on sm_%d%d with %zu bytes, warps of %d, clusters %d, %d\n", result, counted,
         properties.major, properties.minor, properties.sharedMemPerBlockOptin, properties.warpSize,
         properties.clusterLaunch, properties.unifiedFunctionPointers);
  CHECK(cudaFree(in));
  CHECK(cudaFree(out));
  CHECK(cudaStreamDestroy(stream));
}
"""

SOFTMAX = r"""
#include <cstdio>
int main() {
  static float rows[4][256];
  float *device, sum = 0;
  for (int i = 0; i < 1024; ++i)
    rows[0][i] = i % 17;
  cudaMalloc(&device, sizeof rows);
  cudaMemcpy(device, rows, sizeof rows, cudaMemcpyHostToDevice);
  softmax<<<4, 256>>>(device);
  cudaMemcpy(rows, device, sizeof rows, cudaMemcpyDeviceToHost);
  cudaFree(device);
  for (float value : rows[0])
    sum += value;
  printf("sum of a row: %.1f\n", sum);
}
"""

RELAX = r"""
#include <cooperative_groups.h>
#include <cstdio>
__global__ void relax(int *values, int *changed, int rounds) {
  auto grid = cooperative_groups::this_grid();
  int n = grid.size(), i = grid.thread_rank();
  values[i] = i;
  for (int round = 0; round < rounds; ++round) {
    grid.sync();
    int neighbour = values[(i + 37) % n];
    SYNC
    if (values[i] < neighbour)
      *changed = 1;
    values[i] = neighbour;
  }
}
int main() {
  int *values, *changed, rounds = 3, result[2];
  cudaMalloc(&values, 384 * sizeof(int));
  cudaMalloc(&changed, sizeof(int));
  void *arguments[] = {&values, &changed, &rounds};
  cudaLaunchCooperativeKernel((void *)relax, dim3(4), dim3(96), arguments);
  cudaMemcpy(&result[0], values, sizeof(int), cudaMemcpyDeviceToHost);
  cudaMemcpy(&result[1], changed, sizeof(int), cudaMemcpyDeviceToHost);
  cudaFree(values);
  cudaFree(changed);
  printf("%d %d\n", result[0], result[1]);
}
"""


@unittest.skipUnless(nvcc(), "nvcc was not found: CUDA_HOME or PATH may say where it is")
class Compiled(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def build(self, *flags, source=REDUCE, sync="__syncthreads();", gencode="arch=compute_80,code=compute_80"):
        path = write(self.folder.name, "reduce.cu", source.replace("SYNC", sync))
        program = os.path.join(self.folder.name, "reduce")
        process = subprocess.run([nvcc(), "-lineinfo", "-gencode", gencode, *(flags or ("-cudart", "shared")), path,
                                  "-o", program], capture_output=True, text=True)
        self.assertEqual(process.returncode, 0, process.stderr)
        return program

    def test_a_program_is_right_and_quiet(self):
        for mode in ("default", "none", "speed"):
            with self.subTest(mode):
                flags = [] if mode == "default" else [f"--compress-mode={mode}"]
                process = run("emulate", "--", self.build("-cudart", "shared", *flags))
                self.assertEqual(process.returncode, 0, process.stderr)
                self.assertEqual(process.stdout, "block 0 of 8: 127.0\n"
                                 "2046.0 from 8 blocks on sm_80 with 166912 bytes, warps of 32, clusters 0, 0\n")
                self.assertIn("2 kernel launches, 0 findings", process.stderr)

    def test_a_missing_barrier_is_named_by_its_line(self):
        process = run("emulate", "--", self.build(sync=""))
        self.assertEqual(process.returncode, 1, process.stderr)
        line = next(i for i, text in enumerate(REDUCE.splitlines(), 1) if "part[t + step]" in text)
        self.assertIn("shared-race: ", process.stderr)
        self.assertRegex(process.stderr, rf"from \S*reduce.cu:{line}\n")

    def test_threads_that_store_one_value_are_a_note(self):
        program = self.build(source=RELAX, sync="grid.sync();")
        process = run("emulate", "--", program)
        self.assertEqual((process.returncode, process.stdout), (0, "111 1\n"), process.stderr)
        self.assertRegex(process.stderr, r"note: global-race: writes .*, where .* stores the same value, 0x1 ")
        self.assertIn("1 kernel launch, 0 findings", process.stderr)
        process = run("emulate", "--strict", "--", program)
        self.assertEqual((process.returncode, process.stdout), (1, "111 1\n"), process.stderr)
        self.assertIn("1 kernel launch, 1 finding;", process.stderr)

    def test_a_barrier_of_the_grid_is_needed(self):
        process = run("emulate", "--", self.build(source=RELAX, sync=""))
        self.assertEqual(process.returncode, 1, process.stderr)
        self.assertRegex(process.stderr, r"(?m)^global-race: ")

    def test_a_failing_assertion(self):
        process = run("emulate", "--", self.build(), "low")
        self.assertEqual(process.returncode, 3, process.stderr)
        self.assertIn("assertion 'values[n] < limit' failed", process.stderr)
        self.assertIn("device-side assert triggered", process.stderr)

    def test_readme_shows_a_bug_and_its_repair(self):
        with open(os.path.join(ROOT, "runtime", "emulator", "README.md")) as file:
            readme = file.read()
        kernel = re.search(r"```cuda\n(.*?)```", readme, re.S).group(1)
        shown = re.search(r"\$ ingot emulate --seed=3 -- ./softmax\n(.*?)```", readme, re.S).group(1)
        process = run("emulate", "--", self.build(source=kernel + SOFTMAX))
        self.assertEqual(process.returncode, 1, process.stderr)
        thread = r"thread \(\d+, 0, 0\)"  # which one, the seed decides
        message = re.sub(thread, "a thread", re.search(r"shared-race: writes .*", shown).group(0))
        self.assertIn(message, re.sub(thread, "a thread", process.stderr))
        read = "  value = expf(value - part[0]);\n"
        repaired = kernel.replace(read, read + "  __syncthreads();\n")
        self.assertNotEqual(repaired, kernel)
        process = run("emulate", "--", self.build(source=repaired + SOFTMAX))
        self.assertEqual((process.returncode, process.stdout), (0, "sum of a row: 1.0\n"), process.stderr)

    def test_what_cannot_be_replaced_is_refused(self):
        process = run("emulate", "--", self.build("-cudart", "static"))
        self.assertEqual(process.returncode, 1)
        self.assertIn("compile it with nvcc -cudart shared", process.stderr)
        process = run("emulate", "--", self.build(gencode="arch=compute_80,code=sm_80"))
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("reduce.cu: holds no PTX for sm_80 (machine code for sm_80); compile with", process.stderr)


@unittest.skipUnless(shutil.which("nm"), "nm was not found")
class Interface(unittest.TestCase):
    def exported(self, library):
        names = subprocess.run(["nm", "-D", "--defined-only", library], capture_output=True, text=True, check=True)
        symbols = {re.sub("@.*", "", line.split()[-1]) for line in names.stdout.splitlines()}
        return {symbol for symbol in symbols if not symbol.startswith("libcudart")}  # the version's own

    def test_every_function_of_the_real_library_is_there(self):
        """Called or refused by name, but never a symbol that the loader does not find."""
        compared = 0
        for version in (12, 13):
            ours = self.exported(os.path.join(BUILD, "lib", "ingot", "cudart", f"libcudart.so.{version}"))
            self.assertTrue(all(name.startswith(("cuda", "__cuda")) for name in ours), ours)
            for folder in ("lib64", "lib"):
                real = os.path.join(os.path.dirname(os.path.dirname(nvcc() or "/none/bin/nvcc")), folder,
                                    f"libcudart.so.{version}")
                if os.path.exists(real):
                    self.assertEqual(self.exported(real) - ours, set())
                    compared += 1
        if not compared:
            self.skipTest("no libcudart.so to compare with was found beside nvcc")


if __name__ == "__main__":
    unittest.main()
