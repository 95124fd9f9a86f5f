"""Which folder may include what: the layers of the house."""
import glob
import os
import re
import subprocess
import unittest

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
INCLUDE = re.compile(r'^#include ["<]([^">]+)[">]', re.MULTILINE)

# Prefixes of what a folder's files include of the project, MLIR and LLVM. The runtime is the lowest layer, and free of both;
# some of its headers are the words in which all others speak: errors, values, random bits, what a tensor is for, an index that
# is wrong, how a bucket holds tensors, what an options struct holds, what a training does about NaN, what aligned sizes are, how
# a tensor lies in memory. A backend makes programs.
WORDS = ["runtime/support/Result.h", "runtime/program/Tensor.h", "runtime/support/Philox.h", "runtime/program/Role.h",
         "runtime/program/IndexError.h", "runtime/program/Bucket.h", "runtime/support/Fields.h", "runtime/support/OnNonFinite.h",
         "runtime/support/Align.h", "runtime/program/Layout.h"]
ALLOWED = {
    "runtime": ["runtime/"],
    "ir": ["ir/", "mlir/", "llvm/", *WORDS],
    "passes": ["passes/", "ir/", "mlir/", "llvm/", "runtime/program/Program.h", *WORDS],
    "codegen": ["codegen/", "passes/", "ir/", "runtime/", "mlir/", "llvm/"],
    "frontend": ["frontend/", "codegen/", "passes/", "ir/", "runtime/", "mlir/", "llvm/"],
    "tools": ["tools/", "frontend/", "codegen/", "passes/", "ir/", "runtime/", "mlir/", "llvm/"],
}
# The libraries of the project that a folder's library links: those of the folders below.
LINKED = {
    "runtime": [],
    "ir": ["ingot_runtime"],
    "passes": ["ingot_ir", "ingot_runtime"],
    "codegen": ["ingot_passes", "ingot_ir", "ingot_runtime"],
    "frontend": ["ingot_codegen", "ingot_passes", "ingot_ir", "ingot_runtime"],
}
LINK = re.compile(r"target_link_libraries\(\s*(ingot_\w+)([^)]*)\)")
LAYERED = (*(f"{folder}/" for folder in ALLOWED), "test/", "mlir/", "llvm/")


def violations(folder, allowed, text):
    return [f"{folder} includes {path}" for path in INCLUDE.findall(text)
            if path.startswith(LAYERED) and not path.startswith(tuple(allowed))]


def link_violations(folder, allowed, text):
    """What the libraries made by a CMakeLists.txt link of the project, but for themselves and the precompiled header."""
    own = set(re.findall(r"add_library\((ingot_\w+)", text)) | {"ingot_pch"}
    return [f"{target} links {library}" for target, libraries in LINK.findall(text)
            for library in re.findall(r"\bingot_\w+", libraries) if library not in (*own, *allowed)]


class Layers(unittest.TestCase):
    def test_the_top_level_holds_the_house_alone(self):
        tracked = subprocess.run(["git", "-C", ROOT, "ls-files"], capture_output=True, text=True)
        if tracked.returncode:
            self.skipTest("this is no checkout")
        top = {path.split("/")[0] for path in tracked.stdout.splitlines()}
        self.assertEqual({name for name in top if not name.startswith(".")},
                         {*ALLOWED, "test", "CMakeLists.txt", "CMakePresets.json", "LICENSE", "README.md"})

    def test_no_library_links_one_above_it(self):
        found = []
        for folder, allowed in LINKED.items():
            files = glob.glob(f"{ROOT}/{folder}/**/CMakeLists.txt", recursive=True)
            texts = "".join(open(file).read() for file in files)
            self.assertIn(f"ingot_{folder}", texts)
            found += [f"{folder}: {what}" for what in link_violations(folder, allowed, texts)]
        self.assertEqual(found, [])

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
        self.assertEqual(link_violations("passes", LINKED["passes"],
                                         "add_library(ingot_passes a.cpp)\ntarget_link_libraries(ingot_passes PUBLIC ingot_ir\n ingot_codegen)"),
                         ["ingot_passes links ingot_codegen"])


if __name__ == "__main__":
    unittest.main()
