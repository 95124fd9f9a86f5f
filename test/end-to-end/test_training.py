"""Training runs through the binary, on the reference; test_cpu.py repeats them on the CPU."""
import hashlib
import json
import os
import signal
import subprocess
import tempfile
import unittest

from support import INGOT, TEXT, TINY, lines, run, write


def newest(folder):
    files = sorted(name for name in os.listdir(folder) if name.endswith(".safetensors"))
    with open(os.path.join(folder, files[-1]), "rb") as file:
        return files[-1], hashlib.sha256(file.read()).hexdigest()


class OnTheReference(unittest.TestCase):
    device = "reference"

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.text = write(self.folder, "text.txt", TEXT)

    def path(self, name):
        return os.path.join(self.folder, name)

    def train(self, *arguments, out="run"):
        process = run("train", *TINY, f"--text={self.text}", f"--out={self.path(out)}", "--seed=3",
                      "--json", f"--device={self.device}", *arguments)
        self.assertEqual(process.returncode, 0, process.stderr)
        return lines(process)

    def test_losses_fall_and_the_summary_ends_the_run(self):
        report = self.train("--steps=60", "--lr=0.01", "--eval-split=0.1")
        steps = [line for line in report if "step" in line]
        self.assertEqual([line["step"] for line in steps], list(range(1, 61)))
        self.assertLess(steps[-1]["loss"], steps[0]["loss"] - 0.5)
        summary = report[-1]["summary"]
        for field in ["compile_ms", "kernels", "distinct_kernels", "step_ms_median", "tokens_per_s",
                      "planned_bytes", "peak_rss_bytes"]:
            self.assertIn(field, summary)
        self.assertLess(summary["validation_loss"], summary["first_validation_loss"])

    def test_sixty_steps_are_thirty_and_thirty_more(self):
        self.train("--steps=60", out="whole")
        for threads in (1, 2):
            out = f"parts{threads}"
            self.train("--steps=30", f"--threads={threads}", out=out)
            resumed = self.train("--steps=60", "--resume", f"--threads={threads}", out=out)
            self.assertEqual(resumed[0]["step"], 31)
            self.assertEqual(newest(self.path("whole")), newest(self.path(out)))

    def test_another_model_cannot_resume(self):
        self.train("--steps=2")
        process = run("train", *TINY, "--width=32", f"--text={self.text}", f"--out={self.path('run')}",
                      "--resume", "--steps=4", "--seed=3", f"--device={self.device}")
        self.assertEqual(process.returncode, 2)
        self.assertIn("was trained with another model", process.stderr)

    def test_the_checkpoint_evaluates_and_writes(self):
        self.train("--steps=20", "--lr=0.01")
        process = run("eval", self.path("run"), f"--text={self.text}", "--batches=4", "--json",
                      f"--device={self.device}")
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertLess(lines(process)[0]["loss"], 4)
        write_again = [run("generate", self.path("run"), "--prompt=the ", "--tokens=30", "--seed=7",
                           f"--device={self.device}") for _ in range(2)]
        self.assertEqual(write_again[0].returncode, 0, write_again[0].stderr)
        self.assertTrue(write_again[0].stdout.startswith("the "))
        self.assertEqual(write_again[0].stdout, write_again[1].stdout)
        unknown = run("generate", self.path("run"), "--prompt=ÜÜÜ", f"--device={self.device}")
        self.assertEqual(unknown.returncode, 1)
        report = lines(run("inspect", self.path("run"), "--json"))[0]
        self.assertEqual((report["step"], report["tokenizer"]), (20, "char"))

    def test_an_unusable_output_directory_is_refused_before_training(self):
        process = run("train", *TINY, f"--text={self.text}", "--steps=2", "--json", "--out=/proc/nowhere",
                      f"--device={self.device}")
        self.assertEqual(process.returncode, 1)
        self.assertIn("/proc/nowhere: cannot create the directory", process.stderr)
        self.assertEqual(process.stdout, "")

    def test_interrupting_leaves_a_checkpoint(self):
        command = [INGOT, "train", *TINY, f"--text={self.text}", f"--out={self.path('run')}",
                   "--steps=100000000", "--json", f"--device={self.device}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            for _ in range(3):
                last = json.loads(process.stdout.readline())["step"]
            process.send_signal(signal.SIGINT)
            rest, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, -signal.SIGINT, errors)
        self.assertIn("interrupted after step", errors)
        report = lines(run("inspect", self.path("run"), "--json"))[0]
        self.assertGreaterEqual(report["step"], last)
        self.train("--steps=" + str(report["step"] + 1), "--resume", "--seed=0")

    def test_made_up_data_and_arrays(self):
        process = run("train", "mlp", "--layers=6,8,3", "--batch=4", "--data=random", "--steps=3", "--json",
                      "--optimizer=sgd", "--momentum=0.9", "--clip=1", "--accumulate=2",
                      f"--device={self.device}")
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertEqual(lines(process)[-1]["summary"]["steps"], 3)

    def test_human_output_goes_where_it_belongs(self):
        process = run("train", *TINY, f"--text={self.text}", "--steps=2", f"--device={self.device}")
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertIn("parameters", process.stderr)
        self.assertNotIn("\x1b", process.stdout + process.stderr)


if __name__ == "__main__":
    unittest.main()
