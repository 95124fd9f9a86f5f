"""Every loss of `--loss=` through the binary, with its numbers; learning rates that follow the optimizer."""
import re
import struct
import tempfile
import unittest

from support import lines, run, write

MORE = {"cross_entropy": [["--label-smoothing=0.1", "--ignore-index=1", "--class-weights=1,2,0.5"], ["--soft-targets"],
                          ["--loss-reduction=sum"]],
        "nll": [["--class-weights=1,2,0.5", "--ignore-index=2"]], "bce_with_logits": [["--class-weights=2"]],
        "multi_margin": [["--margin-power=2", "--margin=0.5"]], "huber": [["--loss-delta=0.5"]],
        "smooth_l1": [["--loss-beta=0.5"]], "kl_div": [["--loss-reduction=batch_mean", "--log-targets"]]}


class EveryLoss(unittest.TestCase):
    def losses(self):
        text = " ".join(run("train", "--help").stdout.split())
        words = re.search(r"--loss WORD (.*?);", text)[1].split(", ")
        self.assertGreater(len(words), 12)
        return [word for word in words if word != "none"]

    def train(self, *arguments):
        process = run("train", "mlp", "--layers=4,3", "--batch=8", "--data=random", "--json", "--lr=0.01", *arguments)
        self.assertEqual(process.returncode, 0, process.stderr)
        return [line["loss"] for line in lines(process) if "step" in line]

    def test_each_trains(self):
        for loss in self.losses():
            # Made-up targets and an untrained model's outputs are no probabilities.
            for more in [*MORE.get(loss, []), *([[]] if loss not in ("bce", "kl_div") else [])]:
                with self.subTest(loss=loss, more=more):
                    losses = self.train(f"--loss={loss}", *more, "--steps=4")
                    self.assertEqual(len(losses), 4)
                    slow = self.train(f"--loss={loss}", *more, "--steps=1", "--device=reference")
                    self.assertAlmostEqual(losses[0], slow[0], delta=1e-5 * max(1, abs(slow[0])))

    def test_the_rate_is_the_optimizers(self):
        for optimizer, rate in [("adamw", 1e-3), ("adamax", 2e-3), ("lion", 1e-4), ("adadelta", 1.0)]:
            fixed = ["train", "mlp", "--layers=4,3", "--batch=2", "--data=random", "--steps=3", "--json",
                     f"--optimizer={optimizer}"]
            own = run(*fixed)
            self.assertEqual(own.returncode, 0, own.stderr)
            given = run(*fixed, f"--lr={rate}")
            self.assertEqual([line["loss"] for line in lines(own)[:3]], [line["loss"] for line in lines(given)[:3]])


class Accuracy(unittest.TestCase):
    def test_ignored_targets_count_neither_way(self):
        with tempfile.TemporaryDirectory() as folder:
            def array(name, kind, shape, values):
                header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}"
                header += " " * (117 - len(header)) + "\n"
                data = struct.pack(f"<{len(values)}{'f' if kind == '<f4' else 'q'}", *values)
                return write(folder, name, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)

            # Every second target is one that no output of two classes can be.
            x = array("x.npy", "<f4", (32, 2), [1.0] * 64)
            t = array("t.npy", "<i8", (32,), [1, 7] * 16)
            out = f"--out={folder}/run"
            trained = run("train", "mlp", "--layers=2,2", f"--data={x},{t}", "--batch=4", "--eval-split=0.5", "--steps=40",
                          "--lr=0.1", "--ignore-index=7", "--json", out)
            self.assertEqual(trained.returncode, 0, trained.stderr)
            self.assertEqual(lines(trained)[-1]["summary"]["accuracy"], 1.0)
            measured = run("eval", f"{folder}/run", f"--data={x},{t}", "--json")
            self.assertEqual(measured.returncode, 0, measured.stderr)
            self.assertEqual(lines(measured)[-1]["accuracy"], 1.0)


if __name__ == "__main__":
    unittest.main()
