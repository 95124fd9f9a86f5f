"""Losses, gradients and data that are not finite: `train --on-nan`."""
import os
import struct
import tempfile
import unittest

from support import lines, run, write

MLP = ["mlp", "--layers=3,4,2", "--batch=2", "--loss=mse", "--seed=2"]


def npy(shape, values):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({', '.join(map(str, shape))},), }}"
    header += " " * (-(10 + len(header) + 1) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + struct.pack(f"<{len(values)}f", *values)


class OnNan(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.out = f"{self.folder}/run"
        self.targets = write(self.folder, "y.npy", npy([8, 2], [0.5] * 16))

    def data(self, values):
        return "--data=" + write(self.folder, "x.npy", npy([8, 3], values)) + "," + self.targets

    def spiked(self):
        """Row 5 is so large that gradients, not the loss, overflow when they are squared."""
        return self.data([1.0] * 15 + [1e11] * 3 + [1.0] * 6)

    def train(self, *arguments, code=0):
        process = run("train", *MLP, f"--out={self.out}", "--save-every=1", *arguments)
        self.assertEqual(process.returncode, code, process.stderr)
        return process

    def saved(self):
        return sorted(name for name in os.listdir(self.out) if name.endswith(".safetensors"))

    def test_an_infinite_norm_stops_and_keeps_the_last_checkpoint(self):
        for device in ("cpu", "reference"):
            process = self.train(self.spiked(), "--clip=1", "--steps=12", f"--device={device}", code=1)
            self.assertRegex(process.stderr, r"ingot: error: step \d+: the gradients' norm is infinite; the first gradient "
                                             r"that shows it is of 'layers.1.weight', at position \[\d, \d\]; "
                                             r".*newest checkpoint is of step \d+")
            said = int(process.stderr.split("newest checkpoint is of step ")[1].split(")")[0])
            self.assertEqual(self.saved()[-1], f"step-{said:08}.safetensors")
            self.assertIn(f"step {said + 1}: ", process.stderr)

    def test_every_kind_of_training_names_step_and_parameter(self):
        text = []
        for options in ([], ["--clip=1"], ["--accumulate=2"], ["--clip=1", "--accumulate=2"], ["--optimizer=sgd"],
                        ["--optimizer=sgd", "--momentum=0.9"], ["--optimizer=sgd", "--clip=1"], ["--memory=1GB"]):
            with self.subTest(options=options):
                process = self.train(self.spiked(), "--steps=40", *options, code=1)
                self.assertRegex(process.stderr, r"step \d+: the gradients' norm is (infinite|not finite); the first "
                                                 r"gradient that shows it is of 'layers.1.weight', at position \[\d, \d\]")
                step = int(process.stderr.split("error: step ")[1].split(":")[0])
                self.assertEqual(self.saved()[-1:], [f"step-{step - 1:08}.safetensors"] if step > 1 else [])
                if "--accumulate=2" not in options:  # the same data in the same order
                    text.append(step)
        self.assertEqual(len(set(text)), 1, text)

    def test_a_rate_that_diverges_stops(self):
        process = self.train(self.data([1.0] * 24), "--optimizer=sgd", "--lr=1e30", "--steps=50", code=1)
        self.assertRegex(process.stderr, r"error: step \d+: .*'layers\.\d\.(weight|bias)' holds (NaN|-?inf) at position \[")
        for name in self.saved():  # nothing broken was saved
            evaluated = run("eval", f"{self.out}/{name}", self.data([1.0] * 24), "--json")
            self.assertEqual(evaluated.returncode, 0, evaluated.stderr)

    def test_skip_goes_on_as_if_the_step_had_not_been(self):
        process = self.train(self.spiked(), "--steps=12", "--on-nan=skip", "--json")
        self.assertIn("is skipped: the gradients' norm is infinite; the first gradient that shows it is of "
                      "'layers.0.weight'", process.stderr)
        steps = [line for line in lines(process) if "step" in line]
        self.assertEqual(len(steps), 12)
        self.assertIsNotNone(steps[-1]["loss"])
        # --resume keeps the choice, and may change it.
        again = self.train(self.spiked(), "--steps=16", "--resume")
        self.assertIn("--on-nan=skip", again.stderr)
        changed = self.train(self.spiked(), "--steps=20", "--resume", "--on-nan=continue")
        self.assertIn("--on-nan was skip up to step 16", changed.stderr)

    def test_skip_changes_no_bit_of_a_run_without_cause(self):
        for extra in ([], ["--clip=0.1"], ["--optimizer=sgd", "--momentum=0.9"]):
            for reaction in ("stop", "skip"):
                self.train(self.data([i * 0.1 for i in range(24)]), "--steps=5", f"--on-nan={reaction}", *extra)
                tensors = run("run", self.out, "--input=2x3xf32=0.5,1,2,3,4,5").stdout
                if reaction == "stop":
                    expected = tensors
            self.assertEqual(tensors, expected, extra)

    def test_broken_data_is_told_apart_from_divergence(self):
        values = [1.0] * 24
        values[7] = float("nan")
        process = self.train(self.data(values), "--steps=3", code=1)
        self.assertIn("x.npy: the array holds NaN at position [2, 1]: data must be finite", process.stderr)
        process = self.train(self.data(values), "--steps=3", "--on-nan=skip", code=1)
        self.assertIn("data must be finite", process.stderr)
        process = self.train(self.data(values), "--steps=3", "--on-nan=continue", "--json")
        self.assertIn(None, [line.get("loss", 0) for line in lines(process)])

    def test_the_word_is_checked(self):
        process = self.train(self.data([1.0] * 24), "--on-nan=halt", code=2)
        self.assertIn("--on-nan", process.stderr)


class Norms(unittest.TestCase):
    def test_a_row_that_overflows_is_not_zero(self):
        model = """
func.func @forward(%x: tensor<2x4xf32> {graph.name = "x", graph.role = "input"}) -> (tensor<2x4xf32> {graph.name = "y"}) {
  %g = graph.constant dense<1.0> : tensor<4xf32>
  %b = graph.constant dense<0.0> : tensor<4xf32>
  %y, %mean, %rstd = graph.layer_norm %x, %g, %b epsilon 1.0e-5
    : tensor<2x4xf32>, tensor<4xf32>, tensor<4xf32> -> tensor<2x4xf32>, tensor<2xf32>, tensor<2xf32>
  return %y : tensor<2x4xf32>
}"""
        for device in ("cpu", "reference"):
            process = run("run", "-", "--input=2x4xf32=1e19,2e20,3e21,-1e20,1,2,3,5", f"--device={device}", stdin=model)
            broken, fine = process.stdout.split("][")
            self.assertEqual(broken.count("nan"), 4, process.stdout)
            self.assertNotIn("nan", fine)


if __name__ == "__main__":
    unittest.main()
