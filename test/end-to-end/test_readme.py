"""The IR in the folders' README files and in the descriptions of passes is real: every ```mlir block parses and verifies.

A block that opens with ```mlir --pass-name [--more] must, run through `ingot-opt` with these options,
give the next block of the file (names of values aside).
"""
import glob
import os
import re
import shlex
import subprocess
import textwrap
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
INGOT_OPT = os.path.join(os.path.dirname(os.environ["INGOT"]), "ingot-opt")
# In Passes.td blocks are indented as the description is.
BLOCK = re.compile(r"^[ ]*```mlir[ \t]*(.*?)\n(.*?)^[ ]*```", re.M | re.S)


def ingot_opt(text, options=()):
    return subprocess.run([INGOT_OPT, *options], input=text, text=True, capture_output=True)


class Readme(unittest.TestCase):
    def check(self, path):
        with open(path) as file:
            blocks = [(options, textwrap.dedent(text)) for options, text in BLOCK.findall(file.read())]
        for index, (options, text) in enumerate(blocks):
            with self.subTest(block=index):
                run = ingot_opt(text, shlex.split(options))
                self.assertEqual(run.returncode, 0, f"{path}, block {index}:\n{text}\n{run.stderr}")
                if options:
                    self.assertLess(index + 1, len(blocks), f"{path}: nothing shows what {options} gives")
                    after = ingot_opt(blocks[index + 1][1]).stdout
                    self.assertEqual(run.stdout, after, f"{path}: {options} does not give block {index + 1}")


def add_tests():
    readmes = glob.glob(os.path.join(ROOT, "*.md")) + glob.glob(os.path.join(ROOT, "*", "**", "README.md"), recursive=True)
    readmes = [path for path in readmes if not os.path.relpath(path, ROOT).startswith("build" + os.sep)]
    descriptions = glob.glob(os.path.join(ROOT, "passes", "**", "Passes.td"), recursive=True)
    for path in sorted([*readmes, *descriptions]):
        name = re.sub(r"\W", "_", os.path.relpath(path, ROOT).removesuffix(".md"))
        setattr(Readme, f"test_{name}", lambda self, path=path: self.check(path))


add_tests()

if __name__ == "__main__":
    unittest.main()
