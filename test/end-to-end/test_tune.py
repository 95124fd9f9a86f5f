"""`ingot tune`: searches, keeps what it finds, changes no bit."""
import json
import os
import signal
import subprocess
import tempfile
import unittest

from support import INGOT, TEXT, TINY, lines, run, write


class Tune(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.cache = os.path.join(self.folder, "cache")
        self.text = write(self.folder, "text", TEXT)

    def ingot(self, *arguments):
        return run(*arguments, f"--cache={self.cache}")

    def tuned(self, threads=1, budget=0.01):
        """What a search prints as JSON (with no budget it only looks); its file is there afterwards."""
        process = self.ingot("tune", *TINY, "--vocab=31", f"--budget={budget}", f"--threads={threads}", "--json")
        self.assertEqual(process.returncode, 0, process.stderr)
        report = lines(process)[0]
        self.assertTrue(os.path.exists(report["file"]))
        return report

    def choose(self, file, sizes, threads=1):
        """Writes the same choice for every contraction of the training step into the file."""
        train = ["train", *TINY, f"--text={self.text}", "--steps=3", "--seed=3", f"--threads={threads}"]
        kernels = self.ingot("compile", *TINY, f"--vocab={len(set(TEXT))}", "--train", "--emit=kernels").stdout
        names = {word.split("(")[0][1:] for word in kernels.split() if word.startswith("@contraction_")}
        with open(file) as old:
            contents = json.load(old)
        contents["kernels"] = dict.fromkeys(names, sizes)
        write(self.folder, file, json.dumps(contents))
        return train, names

    def test_the_search_ends_and_says_what_it_did(self):
        search = ["tune", "mlp", "--layers=64,48,10", "--batch=32", "--threads=1"]
        process = self.ingot(*search, "--budget=300", "--json")  # ends long before
        self.assertEqual(process.returncode, 0, process.stderr)
        report = lines(process)[0]
        self.assertGreater(len(report["kernels"]), 2)
        self.assertGreater(report["variants"], 10)
        self.assertEqual(report["notes"], [])
        self.assertFalse(report["stopped"])
        for kernel in report["kernels"]:
            self.assertGreater(kernel["before_ms"], 0)
            self.assertEqual(kernel["choice"] == "", kernel["gain"] == 0)
        with open(report["file"]) as file:
            kept = json.load(file)["kernels"]
        self.assertEqual(kept, {row["kernel"]: row["choice"] for row in report["kernels"] if row["choice"]})
        self.assertIn("tiles: ", process.stderr)
        self.assertNotIn("\r", process.stderr)  # no live line where there is no terminal
        table = self.ingot(*search, "--budget=0.01")
        self.assertEqual(table.returncode, 0, table.stderr)
        self.assertIn("before ms", table.stdout)
        self.assertIn(report["file"], table.stdout)
        self.assertIn("--budget gives more time", table.stderr)

    def test_choices_are_used_and_change_no_bit(self):
        for threads in (1, 2):
            file = self.tuned(threads)["file"]
            train, names = self.choose(file, "tile_rows=3 tile_columns=32 depth=32 rows=6 pack_lhs=1", threads)
            with_choices, without = (self.ingot(*train, f"--tune={tune}", f"--out={self.folder}/{tune}{threads}")
                                     for tune in ("on", "off"))
            self.assertEqual(with_choices.returncode, 0, with_choices.stderr)
            self.assertIn(f"tuned: {len(names)} kernels\n", with_choices.stderr)
            self.assertNotIn("tuned:", without.stderr)
        checkpoints = set()
        for run_folder in ("on1", "off1", "on2", "off2"):
            path = os.path.join(self.folder, run_folder)
            name = next(name for name in sorted(os.listdir(path)) if name.endswith(".safetensors"))
            with open(os.path.join(path, name), "rb") as checkpoint:
                checkpoints.add(checkpoint.read())
        self.assertEqual(len(checkpoints), 1)

    def test_what_was_chosen_is_shown(self):
        file = self.tuned()["file"]
        _, names = self.choose(file, "tile_rows=3 tile_columns=32")
        model = [*TINY, f"--vocab={len(set(TEXT))}"]
        kernels = self.ingot("compile", *model, "--train", "--emit=schedule", "--threads=1").stdout
        self.assertEqual(kernels.count('graph.tuned = "tile_rows=3 tile_columns=32"'), len(names))
        self.assertNotIn("graph.tuned",
                         self.ingot("compile", *model, "--train", "--emit=schedule", "--threads=1", "--tune=off").stdout)
        bench = ["bench", *model, "--steps=1", "--threads=1"]
        self.assertIn(" [tile_rows=3 tile_columns=32]: ", self.ingot(*bench).stdout)
        rows = lines(self.ingot(*bench, "--json"))[0]["kernels"]
        shown = {row["kernel"] for row in rows if row["tuned"]}
        self.assertTrue(shown and shown <= names, shown)
        program = os.path.join(self.folder, "step.ingot")
        self.assertEqual(self.ingot("compile", *model, "--train", "--threads=1", "-o", program).returncode, 0)
        self.assertIn(" [tile_rows=3 tile_columns=32]: ", run("bench", program, "--steps=1", "--threads=1").stdout)

    def test_a_file_of_no_use_is_ignored_aloud(self):
        file = self.tuned()["file"]
        train, _ = self.choose(file, "tile_rows=3 tile_columns=32")
        with open(file) as contents:
            good = contents.read()
        for text, why in ((good[:-20], "damaged"), (good.replace("tile_rows", "tiles"), "no block has a size 'tiles'"),
                          (good.replace('"generator": "', '"generator": "x'), "another build")):
            write(self.folder, file, text)
            process = self.ingot(*train)
            self.assertEqual(process.returncode, 0, process.stderr)
            self.assertIn(f"note: tuning is not used: {file}", process.stderr)
            self.assertIn(why, process.stderr)
            self.assertNotIn("tuned:", process.stderr)
        process = self.ingot("tune", *TINY, "--budget=0.01", "--threads=1")
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertIn("it is replaced", process.stderr)
        self.assertNotIn("note:", self.ingot(*train).stderr)

    def test_an_interrupt_keeps_what_was_found(self):
        process = subprocess.Popen([INGOT, "tune", *TINY, "--budget=600", "--threads=1", f"--cache={self.cache}"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if line.startswith("tiles"):
                break
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=300)
        self.assertEqual(process.returncode, -signal.SIGINT, errors)
        self.assertIn("the choices found so far are kept", errors)
        self.assertIn("before ms", out)

    def test_wrong_flags(self):
        for flags, message in ((["--budget=0"], "--budget: '0' is not a number above 0"), (["--device=reference"], "--device"),
                               (["--tune=off"], "unknown flag"), (["--no-cache"], "unknown flag")):
            process = self.ingot("tune", *TINY, *flags)
            self.assertEqual(process.returncode, 2, flags)
            self.assertIn(message, process.stderr)
        process = self.ingot("train", *TINY, f"--text={self.text}", "--tune=maybe")
        self.assertEqual(process.returncode, 2)
        self.assertIn("--tune", process.stderr)

    def test_a_model_alone(self):
        process = self.ingot("tune", "mlp", "--layers=32,16,4", "--batch=8", "--inference", "--budget=1", "--json")
        self.assertEqual(process.returncode, 0, process.stderr)


if __name__ == "__main__":
    unittest.main()
