"""tools/demo with a stand-in for `ingot`: what it asks for and what it refuses."""
import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FORTUNES = "/usr/share/games/fortunes"

STAND_IN = """#!/usr/bin/env python3
import json, os, sys
with open(os.environ["CALLS"], "a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
for argument in sys.argv:
    if argument.startswith("--out="):
        os.makedirs(argument[6:])
        open(argument[6:] + "/loss.txt", "w").write("the plot\\n")
if "--json" in sys.argv:
    print(json.dumps({"summary": {"kernels": 60, "distinct_kernels": 20, "compile_ms": 1500.0,
                                  "step_ms_median": 20.0, "tokens_per_s": 38400.0,
                                  "planned_bytes": 30000000, "peak_rss_bytes": 90000000}}))
if sys.argv[1] == "generate":
    print("The end.")
sys.exit(int(os.environ.get("EXIT", "0")))
"""


@unittest.skipUnless(os.path.isdir(FORTUNES), "the Debian package fortunes is not installed")
class DemoTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.ingot = os.path.join(self.folder, "ingot")
        with open(self.ingot, "w", encoding="utf-8") as file:
            file.write(STAND_IN)
        os.chmod(self.ingot, 0o755)

    def demo(self, *arguments, **environment):
        calls = os.path.join(self.folder, "calls")
        process = subprocess.run(
            [os.path.join(ROOT, "tools", "demo"), self.ingot, *arguments], cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "CALLS": calls, **environment})
        with open(calls, encoding="utf-8") as file:
            return process, file.read()

    def test_trains_plots_and_writes(self):
        process, calls = self.demo()
        self.assertEqual(process.returncode, 0, process.stdout)
        for part in ("60 kernels a step (20 distinct), compiled in 1.50 s", "20.0 ms", "training 4000 steps",
                     "the plot", "The end."):
            self.assertIn(part, process.stdout)
        for part in ('"--steps=4000"', '"--eval-split=0.1"', '"--out=ingot-demo/model"', '"--prompt=The "'):
            self.assertIn(part, calls)

    def test_text_is_plain_english(self):
        self.demo()
        with open(os.path.join(self.folder, "ingot-demo", "text.txt"), "rb") as file:
            text = file.read()
        self.assertGreater(len(text), 1_000_000)
        self.assertLessEqual(set(text), {10, *range(32, 127)})
        self.assertNotIn(b"\n%\n", text)

    def test_runs_again(self):
        self.demo()
        process, _ = self.demo()
        self.assertEqual(process.returncode, 0, process.stdout)
        self.assertIn("starts afresh", process.stdout)

    def test_leaves_foreign_folders_alone(self):
        self.demo()
        foreign = os.path.join(self.folder, "mine")
        os.makedirs(foreign)
        with open(os.path.join(foreign, "thesis"), "w", encoding="utf-8"):
            pass
        process, _ = self.demo("mine")
        self.assertEqual(process.returncode, 1)
        self.assertEqual(os.listdir(foreign), ["thesis"])

    def test_passes_exit_codes_through(self):
        process, _ = self.demo(EXIT="3")
        self.assertEqual(process.returncode, 3, process.stdout)


if __name__ == "__main__":
    unittest.main()
