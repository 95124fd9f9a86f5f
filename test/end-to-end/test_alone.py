"""A program file trains where there is no compiler: an executable of the runtime alone."""
import json
import os
import subprocess
import tempfile
import unittest

from support import INGOT, TINY, lines, run

TRAIN_FILE = os.path.join(os.path.dirname(INGOT), "train-file")
STEPS, VOCABULARY, SEED = 5, 31, 3


class Alone(unittest.TestCase):
    def test_needs_no_compiler_library(self):
        libraries = subprocess.run(["ldd", TRAIN_FILE], capture_output=True, text=True, check=True).stdout
        self.assertIn("libc.so", libraries)
        self.assertNotIn("LLVM", libraries)
        self.assertNotIn("MLIR", libraries)

    def test_trains_from_a_file_as_the_compiler_does_from_memory(self):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "step.ingot")
            model = [*TINY, f"--vocab={VOCABULARY}"]
            compiled = run("compile", *model, "--train", "-o", program)
            self.assertEqual(compiled.returncode, 0, compiled.stderr)
            alone = subprocess.run([TRAIN_FILE, program, str(STEPS), str(VOCABULARY), str(SEED)],
                                   capture_output=True, text=True)
            self.assertEqual(alone.returncode, 0, alone.stderr)
            whole = run("train", *model, "--data=random", f"--steps={STEPS}", f"--seed={SEED}", "--lr=1e-3", "--json")
            self.assertEqual(whole.returncode, 0, whole.stderr)
            losses = [line["loss"] for line in lines(whole) if "loss" in line]
            self.assertEqual([json.loads(line)["loss"] for line in alone.stdout.splitlines()], losses)

    def test_refuses_what_is_no_program(self):
        alone = subprocess.run([TRAIN_FILE, os.devnull, "1", "2", "3"], capture_output=True, text=True)
        self.assertEqual(alone.returncode, 1)
        self.assertIn(os.devnull, alone.stderr)


if __name__ == "__main__":
    unittest.main()
