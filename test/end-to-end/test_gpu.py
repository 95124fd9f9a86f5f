"""Training on `cuda:emulated`: as on the CPU, and what one device saves the other resumes."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import test_training
from support import LONG, OPTIMIZERS, TEXT, TINY, lines, run, write

GPU = "--device=cuda:emulated"


class OnTheEmulatedGpu(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.text = write(self.folder, "text.txt", TEXT)

    def path(self, name):
        return os.path.join(self.folder, name)

    def train(self, steps, device, *arguments, out):
        process = run("train", *TINY, f"--text={self.text}", f"--out={self.path(out)}", "--seed=3",
                      "--lr=0.01", "--json", f"--steps={steps}", device, *arguments)
        self.assertEqual(process.returncode, 0, process.stderr)
        return [line["loss"] for line in lines(process) if "step" in line]

    def assertSameLosses(self, ours, expected):
        self.assertEqual(len(ours), len(expected))
        for one, other in zip(ours, expected):
            self.assertAlmostEqual(one, other, delta=1e-4 * other)

    def test_losses_are_the_cpus(self):
        options = ("--clip=0.5", "--accumulate=2")
        expected = self.train(5, "--device=cpu", *options, out="cpu")
        for target in ("cuda:sm_80", "cuda:sm_90a"):
            found = self.train(5, GPU, f"--target={target}", *options, out=target[5:])
            self.assertSameLosses(found, expected)

    def test_losses_with_bf16_are_the_cpus(self):
        expected = self.train(5, "--device=cpu", "--dtype=bf16", out="cpu")
        self.assertNotEqual(expected, self.train(5, "--device=cpu", out="wide"))
        for target in ("cuda:sm_80", "cuda:sm_90a"):
            found = self.train(5, GPU, f"--target={target}", "--dtype=bf16", out=target[5:])
            for one, other in zip(found, expected, strict=True):
                self.assertAlmostEqual(one, other, delta=1e-3 * other)
        # What was trained on one device resumes on the other, without the flag.
        self.train(6, GPU, "--resume", out="cpu")
        self.train(6, "--device=cpu", "--resume", out="sm_80")

    def test_runs_resume_bit_identically_and_move_between_devices(self):
        whole = self.train(6, GPU, out="gpu")
        self.train(3, GPU, out="parts")
        self.assertEqual(self.train(6, GPU, "--resume", out="parts"), whole[3:])
        self.assertEqual(test_training.newest(self.path("gpu")), test_training.newest(self.path("parts")))
        self.train(6, "--device=cpu", out="cpu")
        self.assertSameLosses(self.train(8, GPU, "--resume", out="cpu"),
                              self.train(8, "--device=cpu", "--resume", out="gpu"))

    def test_every_optimizer_with_bf16(self):
        """Weights are multiplied as bf16 copies, which the update writes."""
        for optimizer, more in OPTIMIZERS.items():
            with self.subTest(optimizer=optimizer):
                def train(steps, device, out):
                    process = run("train", "mlp", "--layers=12,16,4", "--batch=4", "--data=random", "--dtype=bf16", "--json",
                                  f"--optimizer={optimizer}", *more, "--lr=0.01", f"--steps={steps}", device,
                                  f"--out={self.path(f'{out}-{optimizer}')}", *(["--resume"] if out == "half" and steps > 3 else []))
                    self.assertEqual(process.returncode, 0, process.stderr)
                    return [line["loss"] for line in lines(process) if "step" in line]

                whole = train(7, GPU, "whole")
                for one, other in zip(whole, train(7, "--device=cpu", "cpu"), strict=True):
                    self.assertAlmostEqual(one, other, delta=1e-3 * abs(other))
                self.assertEqual(train(3, GPU, "half") + train(7, GPU, "half"), whole)
                self.assertEqual(*(test_training.newest(self.path(f"{name}-{optimizer}")) for name in ("whole", "half")))

    def test_a_run_is_evaluated_and_writes(self):
        self.train(4, GPU, out="run")
        found = {}
        for device in (GPU, "--device=cpu"):
            evaluated = run("eval", self.path("run"), f"--text={self.text}", "--batches=2", "--json", device)
            self.assertEqual(evaluated.returncode, 0, evaluated.stderr)
            written = run("generate", self.path("run"), "--prompt=the ", "--tokens=12", "--seed=7", device)
            self.assertEqual(written.returncode, 0, written.stderr)
            found[device] = (lines(evaluated)[0]["loss"], written.stdout)
        (ours, text), (expected, same) = found.values()
        self.assertAlmostEqual(ours, expected, delta=1e-4 * expected)
        self.assertEqual(text, same)

    def test_every_kernel_says_which_ops_it_comes_from(self):
        process = run("compile", *TINY, "--vocab=32", "--train", "--target=cuda:sm_80", "--emit=ptx")
        self.assertEqual(process.returncode, 0, process.stderr)
        files = dict(re.findall(r'^\t\.file\t(\d+) "(.*)"$', process.stdout, re.MULTILINE))
        self.assertIn("h.0.attn", files.values())
        kernels = process.stdout.split(".visible .entry ")[1:]
        self.assertGreater(len(kernels), 20)
        for kernel in kernels:
            used = set(re.findall(r"^\t\.loc\t(\d+) ", kernel, re.MULTILINE))
            self.assertTrue(used, kernel)
            self.assertLessEqual(used, set(files), kernel)

    def test_ptxas_takes_every_kernel_without_spills(self):
        ptxas = shutil.which("ptxas", path=f"{os.environ['PATH']}:/usr/local/cuda/bin")
        if not ptxas:
            self.skipTest("the CUDA toolkit's ptxas is not there")
        model = ["gpt", "--size=gpt2", "--batch=8", "--sequence=1024"] if LONG else [*TINY, "--vocab=32"]
        for chip in ("sm_80", "sm_90a"):
            text = self.path(f"{chip}.ptx")
            process = run("compile", *model, "--train", f"--target=cuda:{chip}", "--emit=ptx", "-o", text)
            self.assertEqual(process.returncode, 0, process.stderr)
            assembled = subprocess.run([ptxas, "-v", "-lineinfo", f"-arch={chip}", text, "-o", self.path("cubin")],
                                       capture_output=True, text=True)
            self.assertEqual(assembled.returncode, 0, assembled.stderr)
            with open(text) as file:
                kernels = file.read().count(".visible .entry ")
            spills = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads",
                                assembled.stderr)
            self.assertEqual(spills, [("0", "0", "0")] * kernels, assembled.stderr)

    def test_a_head_that_no_block_holds_is_refused(self):
        process = run("train", "gpt", "--layers=1", "--heads=1", "--width=1024", "--sequence=4", "--vocab=8",
                      "--batch=1", "--data=random", "--steps=1", GPU)
        self.assertEqual(process.returncode, 1, process.stderr)
        self.assertIn("bytes of shared memory in a block, and cuda:sm_80 has 101376", process.stderr)
        self.assertIn("h.0.attn", process.stderr)


if __name__ == "__main__":
    unittest.main()
