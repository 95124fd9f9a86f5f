"""Models that fit no machine are refused before they are compiled; compiling can be interrupted at any moment."""
import os
import random
import signal
import subprocess
import tempfile
import time
import unittest

from support import INGOT, TINY, lines, run, write

# The seconds within which a refusal comes: nothing is compiled. Compiling these takes minutes.
SOON = 60


class Oversized(unittest.TestCase):
    def refused(self, expected, *arguments):
        process = run(*arguments, timeout=SOON)
        self.assertIn(process.returncode, (1, 2), process.stderr)
        self.assertIn(expected, process.stderr)
        for raw in ("see current operation", "linalg.", "%0", "unsound"):
            self.assertNotIn(raw, process.stderr)
        self.assertLess(len(process.stderr), 1000)

    def test_more_than_the_machine_has(self):
        for arguments in (["train", "mlp", "--batch=1000000000", "--data=random"],
                          ["bench", "mlp", "--batch=1000000000", "--steps=1"],
                          ["train", "gpt", "--batch=1000000000", "--sequence=1", "--data=random"],
                          ["train", "mlp", "--layers=1000000,1000000", "--data=random"],
                          ["run", "mlp", "--layers=1000000,1000000"],
                          ["tune", "gpt", "--vocab=2147483648", "--budget=1"],
                          ["tune", "gpt", "--sequence=2147483648", "--budget=1"],
                          ["train", "gpt", "--batch=100000000", "--data=random", "--device=reference"]):
            with self.subTest(arguments=arguments):
                self.refused("GB of memory", *arguments)

    def test_more_than_a_plan_can_hold(self):
        self.refused("GB of memory", "train", "gpt", "--batch=1000000", "--data=random", "--no-cache")

    def test_more_than_64_bits_can_count(self):
        for command in ("plan", "compile", "inspect", "check", "bench"):
            for sizes in (["--width=1000000000", "--heads=1"], ["--batch=2147483648"], ["--width=2147483648"],
                          ["--vocab=2147483648", "--width=2147483648"]):
                with self.subTest(command=command, sizes=sizes):
                    self.refused("64 TiB", command, "gpt", *sizes)
            self.refused("64 TiB", command, "mlp", "--layers=2000000000,2000000000")
            for layers in (2049, 65536, 2147483648):
                self.refused(f"--layers: {layers} is not a size from 1 to 2048", command, "gpt", f"--layers={layers}")
            self.refused("--layers: 3000 sizes are more than 2048", command, "mlp", "--layers=" + ",".join(["4"] * 3000))
        # The counts of such a kernel do not fit 64 bits, the program does.
        process = run("compile", "gpt", "--sequence=2147483648", timeout=SOON)
        self.assertNotIn("cannot be negative", process.stderr)

    def test_more_micro_batches_than_a_step_can_hold(self):
        for command in ("plan", "compile"):
            for model in ("mlp", "gpt"):
                self.refused("micro-batches of", command, model, "--accumulate=2147483647",
                             *(["--train"] if command == "compile" else []))

    def test_models_from_files(self):
        text = """func.func @forward(%x: tensor<{0}xf32> {{graph.name = "x", graph.role = "input"}})
    -> (tensor<{0}xf32> {{graph.name = "y"}}) {{
  %0 = graph.neg %x : tensor<{0}xf32> loc("node")
  return %0 : tensor<{0}xf32>
}}
"""
        for shape in ("4294967296x4294967296", "9223372036854775807x9223372036854775807", "0x9223372036854775807"):
            with self.subTest(shape=shape), tempfile.TemporaryDirectory() as folder:
                self.refused("64 TiB", "compile", write(folder, "m.mlir", text.format(shape)))

    def test_values_too_large_to_be_stored_are_recomputed(self):
        """Many kernels then repeat others' ops; freed memory is overwritten, so that no stale read goes unseen."""
        process = run("compile", "mlp", "--train", "--layers=4,8,100000000", "--emit=kernels", "-o", "/dev/null",
                      environment={"MALLOC_PERTURB_": "165"})
        self.assertEqual(process.returncode, 0, process.stderr)

    def test_a_plan_of_what_fits_no_machine(self):
        report = lines(run("plan", "mlp", "--batch=1000000000", "--json", timeout=SOON))[0]
        self.assertGreater(report["planned_bytes"], 3e12)


class Interrupted(unittest.TestCase):
    """A signal at a random moment of compiling ends the process at once; the cache stays whole."""

    def test_at_any_moment(self):
        draw = random.Random(5)
        with tempfile.TemporaryDirectory() as folder:
            model = ["gpt", "--size=char", "--layers=2", f"--cache={folder}/cache"]
            for number, command in enumerate([["compile", "--train"], ["train", "--data=random", "--steps=1"],
                                              ["bench", "--steps=1"], ["check"], ["plan"]] * 2):
                signal_number = (signal.SIGINT, signal.SIGTERM)[number % 2]
                with subprocess.Popen([INGOT, command[0], *model, *command[1:]], stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True) as process:
                    time.sleep(draw.uniform(0.2, 2.5))
                    process.send_signal(signal_number)
                    _, errors = process.communicate(timeout=30)
                self.assertIn(process.returncode, (0, -signal_number), errors)
            entries = os.listdir(f"{folder}/cache") if os.path.isdir(f"{folder}/cache") else []
            final = run("compile", *model, "--train", "--explain-cache")
            self.assertEqual(final.returncode, 0, final.stderr)
            # Whatever was kept is used: nothing of it is damaged.
            kernels = len([name for name in entries if name.endswith(".o")])
            if kernels and "hit, the whole program" not in final.stderr:
                self.assertNotIn(" 0 kernels hit", final.stderr)
            again = run("compile", *model, "--train", "--explain-cache")
            self.assertIn("cache: hit, the whole program", again.stderr)


    def test_while_tune_compiles(self):
        with subprocess.Popen([INGOT, "tune", "gpt", "--layers=24", "--threads=1"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            time.sleep(0.7)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=10)
        self.assertEqual(process.returncode, -signal.SIGTERM, errors)


if __name__ == "__main__":
    unittest.main()
