"""`cmake --install` gives find_package(Ingot); README's example builds against it and trains."""
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

    def test_the_example_builds_against_the_installed_package(self):
        with open(os.path.join(BUILD, "CMakeCache.txt")) as file:
            compiler = re.search(r"CMAKE_CXX_COMPILER:\w+=(.+)", file.read()).group(1)
        with tempfile.TemporaryDirectory() as folder:
            prefix, build = os.path.join(folder, "prefix"), os.path.join(folder, "build")
            self.command("cmake", "--install", BUILD, "--prefix", prefix)
            self.check_headers(os.path.join(prefix, "include"))
            self.command("cmake", "-S", EXAMPLE, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}",
                         f"-DCMAKE_CXX_COMPILER={compiler}")
            self.command("cmake", "--build", build)
            output = self.command(os.path.join(build, "example"))
        losses = [float(loss) for loss in re.findall(r"loss ([0-9.]+)", output)]
        self.assertEqual(len(losses), 4, output)
        self.assertLess(losses[-1], 0.2 * losses[0])
        self.assertIn("func.func", output)

    def check_headers(self, folder):
        """The consumer needs no LLVM header."""
        headers = glob.glob(os.path.join(folder, "**", "*.h"), recursive=True)
        self.assertIn(os.path.join(folder, "ingot", "Ingot.h"), headers)
        for path in headers:
            with open(path) as file:
                self.assertNotRegex(file.read(), r"(mlir|llvm)::|include .(mlir|llvm)/")
        # Headers of a library that is not installed would compile and not link.
        rooms = os.path.join(folder, "ingot", "runtime")
        self.assertEqual(set(os.listdir(rooms)), {"cpu", "data", "program", "support", "training"})

    def test_readme_shows_the_example(self):
        with open(os.path.join(EXAMPLE, "example.cpp")) as file:
            example = file.read()
        with open(os.path.join(ROOT, "README.md")) as file:
            blocks = re.findall(r"```cpp\n(.*?)```", file.read(), re.S)
        self.assertIn(example, blocks)


if __name__ == "__main__":
    unittest.main()
