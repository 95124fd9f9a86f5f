"""The benchmarks' scripts, as far as that needs no peer and no clock."""
import glob
import os
import subprocess
import sys
import unittest

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "benchmark")
sys.path.insert(0, FOLDER)


class Benchmark(unittest.TestCase):
    def test_every_script_parses(self):
        for path in glob.glob(f"{FOLDER}/*.py"):
            with open(path, encoding="utf-8") as file:
                compile(file.read(), path, "exec")

    def test_help_names_the_suites(self):
        done = subprocess.run([sys.executable, f"{FOLDER}/bench.py", "--help"], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        for suite in ["matmul", "kernels", "step", "compile"]:
            self.assertIn(f"\n  {suite} ", done.stdout)

    def test_models_are_what_ingot_takes(self):
        from models import MODELS, model_flags
        from support import run
        for model in MODELS.values():
            done = run("inspect", *model_flags(model))
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_the_limit_of_a_kernel_is_the_slower_of_arithmetic_and_memory(self):
        from library import Machine
        machine = Machine({"flops": 100, "levels": [{"name": "L2", "bytes": 1000, "bandwidth": 50},
                                                    {"name": "memory", "bytes": 1 << 40, "bandwidth": 10}]})
        self.assertEqual(machine.bound(1000, 100), (10, "FMA"))
        self.assertEqual(machine.bound(0, 1000), (20, "L2"))
        self.assertEqual(machine.bound(0, 2000), (200, "memory"))


if __name__ == "__main__":
    unittest.main()
