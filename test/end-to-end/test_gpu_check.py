"""`./tools/dev gpu-check`: its bundle checks the PTX machine as it would a GPU, and finds what is wrong."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

from support import INGOT

BUILD = os.path.dirname(os.path.dirname(INGOT))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EMULATED = os.path.join(BUILD, "lib", "ingot", "libingot_cuda_emulated.so")
KERNELS = "*/Cuda*.AgreeWithTheReference/elementwise_3_5:*/Cuda*.AgreeWithTheReference/sort_2_40_3_i8*"


@unittest.skipUnless(os.path.exists(EMULATED), "no PTX machine is built")
class GpuCheck(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.temporary.cleanup)
        cls.bundle = os.path.join(cls.temporary.name, "bundle")
        made = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "gpu-check"), BUILD, cls.bundle, "--quick",
                               f"--kernels={KERNELS}"], capture_output=True, text=True)
        assert made.returncode == 0, made.stdout + made.stderr

    def check(self, *arguments):
        # Nothing of this machine's but the PTX machine, in place of a driver; nothing is written into the bundle.
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        process = subprocess.run(
            [os.path.join(self.bundle, "run"), "--device=cuda:emulated", *arguments], capture_output=True, text=True,
            env={"PATH": "/usr/bin:/bin", "INGOT_CUDA_EMULATED": EMULATED, "GPU_CHECK_REPORT": folder.name})
        with open(os.path.join(folder.name, "report.json")) as file:
            return process, json.load(file)

    def test_kernels_and_training_runs_agree(self):
        process, report = self.check()
        self.assertEqual(process.returncode, 0, process.stdout + process.stderr)
        self.assertIn("all is well", process.stdout)
        self.assertIn("compute-sanitizer: not found, not run", process.stdout)
        self.assertGreaterEqual(report["kernels"]["checked"], 4)
        self.assertEqual(report["kernels"]["exact"], report["kernels"]["checked"], "the machine differs from itself")
        self.assertEqual({run["name"] for run in report["trainings"]},
                         {f"{name}-{target}" for name in ("mlp-sgd", "mlp-adamw")
                          for target in ("sm_80", "sm_90a")})
        self.assertEqual(report["failed"], 0)

    def test_it_holds_no_compiler(self):
        libraries = os.listdir(os.path.join(self.bundle, "lib"))
        self.assertTrue(libraries)
        self.assertEqual([name for name in libraries if "LLVM" in name or "MLIR" in name or name.startswith("libc.")], [])

    def test_programs_are_timed(self):
        figures = os.path.join(self.bundle, "figures")
        os.makedirs(figures)
        self.addCleanup(shutil.rmtree, figures)
        for suffix in ("ingot", "json"):
            shutil.copy(os.path.join(self.bundle, "training", f"mlp-sgd-sm_80.{suffix}"), figures)
        process, report = self.check("--only=figures")
        self.assertEqual(process.returncode, 0, process.stdout + process.stderr)
        row, = report["figures"]
        self.assertGreater(row["ms_median"], 0)
        self.assertGreater(len(row["kernels"]), 3)

    def test_other_losses_and_bits_are_found(self):
        path = os.path.join(self.bundle, "training", "mlp-sgd-sm_80.json")
        with open(path) as file:
            kept = file.read()
        self.addCleanup(pathlib.Path(path).write_text, kept)
        expected = json.loads(kept)
        expected["losses"][2] *= 1.001
        with open(path, "w") as file:
            json.dump(expected, file)
        process, report = self.check("--only=training")
        self.assertEqual(process.returncode, 1, process.stdout)
        self.assertIn("FAILED mlp-sgd-sm_80: the loss of step 3 is", process.stdout)
        self.assertEqual(report["failed"], 1)

        case = os.path.join(self.bundle, "kernels", "elementwise_3_5.safetensors")
        with open(case, "rb") as file:
            data = file.read()
        self.addCleanup(pathlib.Path(case).write_bytes, data)
        with open(case, "wb") as file:  # the last byte is one of a result's or an input's elements
            file.write(data[:-1] + bytes([data[-1] ^ 0x40]))
        process, report = self.check("--only=kernels")
        self.assertEqual(process.returncode, 1, process.stdout)
        self.assertIn("FAILED elementwise_3_5", process.stdout)

    def test_without_a_gpu_it_says_so(self):
        process = subprocess.run([os.path.join(self.bundle, "bin", "gpu-check"), self.bundle, "--device=cuda:97"],
                                 capture_output=True, text=True)
        self.assertEqual(process.returncode, 1)
        self.assertIn("cuda:97", process.stderr)
        process = subprocess.run([os.path.join(self.bundle, "bin", "gpu-check"), "--only=all", self.bundle],
                                 capture_output=True, text=True)
        self.assertEqual(process.returncode, 2)


if __name__ == "__main__":
    unittest.main()
