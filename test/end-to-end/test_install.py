"""`cmake --install` gives find_package(Ingot), wherever it is moved; README's example builds against it and trains, the
runtime runs a program without the compiler."""
import glob
import os
import re
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.dirname(os.path.dirname(os.path.abspath(os.environ["INGOT"])))
EXAMPLE = os.path.join(ROOT, "test", "install")


class Install(unittest.TestCase):
    def command(self, *arguments):
        process = subprocess.run(arguments, capture_output=True, text=True, timeout=900)
        self.assertEqual(process.returncode, 0, process.stdout + process.stderr)
        return process.stdout

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        with open(os.path.join(BUILD, "CMakeCache.txt")) as file:
            self.compiler = re.search(r"CMAKE_CXX_COMPILER:\w+=(.+)", file.read()).group(1)

    def build(self, prefix, *options):
        build = os.path.join(self.folder, f"build-{len(os.listdir(self.folder))}")
        self.command("cmake", "-S", EXAMPLE, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}",
                     f"-DCMAKE_CXX_COMPILER={self.compiler}", *options)
        self.command("cmake", "--build", build)
        return build

    def test_consumers_build_against_a_package_that_was_moved(self):
        first, prefix = os.path.join(self.folder, "first"), os.path.join(self.folder, "second", "prefix")
        self.command("cmake", "--install", BUILD, "--prefix", first)
        os.mkdir(os.path.dirname(prefix))
        os.rename(first, prefix)
        self.check_no_path_of_this_machine(prefix)
        self.check_headers(os.path.join(prefix, "include"))
        build = self.build(prefix)
        output = self.command(os.path.join(build, "example"))
        losses = [float(loss) for loss in re.findall(r"loss ([0-9.]+)", output)]
        self.assertEqual(len(losses), 4, output)
        self.assertLess(losses[-1], 0.2 * losses[0])
        self.assertIn("func.func", output)
        # The tools run where they are, with the libraries beside them.
        tool = os.path.join(prefix, "bin", "ingot")
        loaded = self.command("ldd", tool)
        for library in ("libMLIR", "libLLVM"):
            self.assertRegex(loaded, rf"{library}\.so\S* => {re.escape(os.path.realpath(prefix))}/|{library}\.so\S* => {re.escape(prefix)}/bin/\.\./")
        model = os.path.join(self.folder, "double.mlir")
        with open(model, "w") as file:
            file.write('func.func @forward(%x: tensor<3xf32> {graph.name = "x", graph.role = "input"}) -> '
                       '(tensor<3xf32> {graph.name = "y"}) {\n  %y = graph.add %x, %x : tensor<3xf32>\n'
                       '  return %y : tensor<3xf32>\n}\n')
        program = os.path.join(self.folder, "double.ingot")
        self.command(tool, "compile", model, "-o", program)
        self.assertEqual(self.command(os.path.join(build, "runtime"), program), "3xf32=[2 2 2]\n")
        self.assertNotRegex(self.command("ldd", os.path.join(build, "runtime")), "LLVM|MLIR")

        # Without the compiler's part nothing of LLVM is needed to build against the runtime.
        for path in glob.glob(os.path.join(prefix, "lib*", "**", "*"), recursive=True):
            if os.path.isfile(path) and re.search(r"LLVM|MLIR|ingot_(frontend|codegen|passes|ir)", os.path.basename(path)):
                os.remove(path)
        alone = self.build(prefix, "-DRUNTIME_ALONE=ON")
        self.assertEqual(self.command(os.path.join(alone, "runtime"), program), "3xf32=[2 2 2]\n")

    def check_no_path_of_this_machine(self, prefix):
        """No text names where LLVM or this build lie, and no program looks for libraries there."""
        for path in glob.glob(os.path.join(prefix, "**", "*"), recursive=True):
            if path.endswith((".cmake", ".h")):
                with open(path) as file:
                    text = file.read()
                for foreign in ("/usr/lib/llvm", ROOT + "/", os.path.join(self.folder, "first")):
                    self.assertNotIn(foreign, text, path)
        for tool in ("ingot", "ingot-opt"):
            dynamic = self.command("readelf", "-d", os.path.join(prefix, "bin", tool))
            paths = re.findall(r"(?:RPATH|RUNPATH).*\[(.*)\]", dynamic)
            self.assertEqual(len(paths), 1, dynamic)
            self.assertTrue(paths[0].startswith("$ORIGIN/"), paths)
            self.assertNotIn(":", paths[0])

    def check_headers(self, folder):
        """Installed is what the two headers of consumers reach, no more; none needs LLVM's."""
        root = os.path.join(folder, "ingot")
        reached, open_ones = set(), ["Ingot.h", "Runtime.h"]
        while open_ones:
            header = open_ones.pop()
            if header in reached:
                continue
            reached.add(header)
            with open(os.path.join(root, header)) as file:
                text = file.read()
            self.assertNotRegex(text, r"(mlir|llvm)::|include .(mlir|llvm)/")
            open_ones += re.findall(r'#include "([^"]+)"', text)
        installed = {os.path.relpath(path, root) for end in ("h", "def")
                     for path in glob.glob(os.path.join(root, "**", f"*.{end}"), recursive=True)}
        self.assertEqual(installed, reached)

    def test_readme_shows_the_example(self):
        with open(os.path.join(EXAMPLE, "example.cpp")) as file:
            example = file.read()
        with open(os.path.join(ROOT, "README.md")) as file:
            blocks = re.findall(r"```cpp\n(.*?)```", file.read(), re.S)
        self.assertIn(example, blocks)


if __name__ == "__main__":
    unittest.main()
