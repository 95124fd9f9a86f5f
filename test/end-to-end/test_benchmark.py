"""The benchmarks' scripts, as far as that needs no peer and no clock."""
import glob
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
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

    def test_a_record_takes_the_place_of_the_one_before(self):
        import results
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "RESULTS.md")
            shutil.copy(f"{FOLDER}/RESULTS.md", path)
            before = results.parse(path.read_text(encoding="utf-8"))
            self.assertEqual(path.read_text(encoding="utf-8"), results.write(before), "the file is what its parts make")
            step = "gpt2, 1 thread: limit 9 ms, of which multiply-adds 8; Ingot reaches 90 % of it\n"
            ours = "  ingot        10.00    1.00x     1.75      4.01\n  ingot in 2GB 8.00    0.80x     1.75\n"
            results.record(path, "Machine 1", "step gpt2", "2026-01-01, aaaaaaa", "header", step + ours + "  eager        20.00    2.00x     1.75")
            results.record(path, "Machine 1", "step gpt2 --peers=jax", "2026-01-02, bbbbbbb", "header", step + ours + "  JAX          15.00    1.50x     1.75")
            results.record(path, "Machine 1", "kernels", "2026-01-02, bbbbbbb", "header", "softmax 8x8      2.0      9.9   4.95x     1.1    44 % FMA")
            results.record(path, "Machine 1", "kernels", "2026-01-03, ccccccc", "header", "softmax 8x8      2.0      9.0   4.50x     1.1    45 % FMA")
            text = path.read_text(encoding="utf-8")
            after = results.parse(text)
            self.assertEqual(list(after.pop("Machine 1")), ["step gpt2", "step gpt2 --peers=jax", "kernels"])
            self.assertEqual(after, before)
            self.assertIn("1.50x, 90 % (2026-01-02, bbbbbbb)", text, "the fastest peer counts, and what is ours is no peer")
            self.assertIn("4.50x, 45 % (2026-01-03, ccccccc)", text)
            self.assertNotIn("4.95x", text)

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
