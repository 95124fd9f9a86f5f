"""Which folder may include what: the layers of the house."""
import glob
import os
import re
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
INCLUDE = re.compile(r'^#include ["<]([^">]+)[">]', re.MULTILINE)

# Prefixes of what a folder's files include of the project, MLIR and LLVM. The runtime is the lowest layer, and free of both;
# its Result, Tensor and Philox are the words in which all others speak of errors, values and random bits.
WORDS = ["runtime/support/Result.h", "runtime/program/Tensor.h", "runtime/support/Philox.h"]
ALLOWED = {
    "runtime": ["runtime/"],
    "ir": ["ir/", "mlir/", "llvm/", *WORDS],
    "passes": ["passes/", "ir/", "mlir/", "llvm/", *WORDS],
    "codegen": ["codegen/", "passes/", "ir/", "runtime/", "mlir/", "llvm/"],
    "frontend": ["frontend/", "codegen/", "passes/", "ir/", "runtime/", "mlir/", "llvm/"],
    "tools": ["tools/", "frontend/", "codegen/", "passes/", "ir/", "runtime/", "mlir/", "llvm/"],
}
LAYERED = (*(f"{folder}/" for folder in ALLOWED), "test/", "mlir/", "llvm/")


def violations(folder, allowed, text):
    return [f"{folder} includes {path}" for path in INCLUDE.findall(text)
            if path.startswith(LAYERED) and not path.startswith(tuple(allowed))]


class Layers(unittest.TestCase):
    def test_no_folder_includes_what_stands_above_it(self):
        found = []
        for folder, allowed in ALLOWED.items():
            files = [file for end in ("h", "cpp", "td") for file in glob.glob(f"{ROOT}/{folder}/**/*.{end}", recursive=True)]
            self.assertGreater(len(files), 10, folder)
            for file in files:
                with open(file) as source:
                    found += [f"{os.path.relpath(file, ROOT)}: {what}" for what in violations(folder, allowed, source.read())]
        self.assertEqual(found, [])

    def test_what_would_be_found(self):
        self.assertEqual(violations("ir", ALLOWED["ir"], '#include "runtime/program/Device.h"\n#include "runtime/program/Tensor.h"\n'),
                         ["ir includes runtime/program/Device.h"])
        self.assertEqual(violations("runtime", ALLOWED["runtime"], '#include "llvm/ADT/APInt.h"\n#include <vector>\n'),
                         ["runtime includes llvm/ADT/APInt.h"])


if __name__ == "__main__":
    unittest.main()
