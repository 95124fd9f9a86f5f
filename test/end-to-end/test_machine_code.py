"""`ingot compile --emit=cubin`: a training step's kernels as NVRTC assembles them, beside ptxas."""
import json
import os
import shutil
import struct
import subprocess
import tempfile
import unittest

from support import run

MODEL = ["compile", "mlp", "--layers=12,9,5", "--train", "--optimizer=adamw"]


def ptxas():
    """The assembler of the CUDA toolkit; None without one."""
    paths = [os.path.join(os.environ.get(name, ""), "bin", "ptxas") for name in ("CUDA_HOME", "CUDA_PATH")
             if os.environ.get(name)]
    return next((path for path in [*paths, shutil.which("ptxas"), "/usr/local/cuda/bin/ptxas"]
                 if path and os.access(path, os.X_OK)), None)


def code_of(cubin):
    """The machine code of each kernel of an ELF file."""
    with open(cubin, "rb") as file:
        data = file.read()
    table, = struct.unpack_from("<Q", data, 0x28)
    count, names = struct.unpack_from("<HH", data, 0x3c)
    sections = [struct.unpack_from("<IIQQQQ", data, table + 64 * i) for i in range(count)]
    code = {}
    for name, _, _, _, offset, size in sections:
        start = sections[names][4] + name
        name = data[start:data.index(b"\0", start)].decode()
        if name.startswith(".text."):
            code[name] = data[offset:offset + size]
    return code


class MachineCode(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def emit(self, stage, target):
        path = os.path.join(self.folder, stage)
        return path, run(*MODEL, f"--target={target}", f"--emit={stage}", "-o", path)

    def test_the_machine_code_is_that_of_ptxas(self):
        for architecture in ("sm_80", "sm_90a"):
            cubin, process = self.emit("cubin", "cuda:" + architecture)
            if "NVRTC is not there" in process.stderr:
                self.skipTest(process.stderr.strip())
            self.assertEqual((process.returncode, process.stderr), (0, ""), "spills, or remarks of the assembler")
            ours = code_of(cubin)
            self.assertGreater(len(ours), 5)
            if not ptxas():
                continue
            ptx, process = self.emit("ptx", "cuda:" + architecture)
            self.assertEqual(process.returncode, 0, process.stderr)
            with open(ptx) as file:
                text = file.read()
            with open(ptx, "w") as file:
                file.write(text.replace("\n.reqntid ", "\n.maxntid "))  # C++ has launch bounds alone
            expected = os.path.join(self.folder, "expected")
            subprocess.run([ptxas(), f"--gpu-name={architecture}", ptx, "-o", expected], check=True)
            theirs = code_of(expected)
            self.assertEqual([name for name in theirs if theirs[name] != ours.get(name)], [])
            self.assertEqual(ours.keys(), theirs.keys())

    def test_the_instructions_as_text(self):
        sass, process = self.emit("sass", "cuda:sm_80")
        if "is not there" in process.stderr:
            self.skipTest(process.stderr.strip())
        self.assertEqual((process.returncode, process.stderr), (0, ""))
        with open(sass) as file:
            text = file.read()
        self.assertIn("EXIT", text)
        self.assertIn(".text.contraction_", text)
        missing = run(*MODEL, "--target=cuda:sm_80", "--emit=sass", environment={"INGOT_NVDISASM": "/missing"})
        self.assertEqual((missing.returncode, missing.stdout), (1, ""))
        self.assertIn("nvdisasm of the CUDA toolkit is not there; INGOT_NVDISASM or CUDA_HOME may say where it is",
                      missing.stderr)

    def test_files_hold_machine_code_that_the_cache_keeps(self):
        cache = f"--cache={os.path.join(self.folder, 'cache')}"

        def compiled(name, *options, environment=None):
            path = os.path.join(self.folder, name)
            process = run(*MODEL, "--target=cuda:sm_80", cache, "-o", path, *options, environment=environment)
            self.assertEqual(process.returncode, 0, process.stderr)
            with open(path, "rb") as file:
                return file.read(), process.stderr

        alone, note = compiled("ptx.ingot", environment={"INGOT_NVRTC": "/missing"})
        self.assertIn("note: the file holds PTX alone, which the driver compiles when it is loaded", note)
        cold, note = compiled("cold.ingot")
        if "PTX alone" in note:
            self.skipTest(note.strip())
        self.assertIn("of machine code for sm_80, just now made by NVRTC", note)
        warm, note = compiled("warm.ingot")
        self.assertIn("of machine code for sm_80, found in the cache", note)
        self.assertEqual(cold, warm)
        self.assertGreater(cold.count(b"\x7fELF"), alone.count(b"\x7fELF"))
        # The PTX machine runs the PTX of the same file.
        process = run("run", os.path.join(self.folder, "cold.ingot"), "--function=init", "--device=cuda:emulated")
        self.assertNotIn("cubin", process.stderr)

    def test_resources_keep_to_what_is_written_down(self):
        with open(os.path.join(os.path.dirname(__file__), "resources.json")) as file:
            expected = json.load(file)
        for name, case in expected["steps"].items():
            for architecture, roots in case["roots"].items():
                process = run("compile", *case["model"], "--train", f"--target=cuda:{architecture}", "--emit=resources")
                if "NVRTC is not there" in process.stderr:
                    self.skipTest(process.stderr.strip())
                self.assertEqual((process.returncode, process.stderr), (0, ""), name)
                *rows, total = process.stdout.splitlines()
                columns = rows[0].split()
                found = [dict(zip(columns, row.split())) for row in rows[1:]]
                with self.subTest(step=name, architecture=architecture):
                    self.assertIn(" 0 bytes of spills", total)
                    self.assertEqual({row["root"] for row in found}, set(roots))
                    for row in found:
                        bound = roots[row["root"]]
                        self.assertLessEqual(int(row["regs"]), bound["regs"], row)
                        self.assertLessEqual(int(row["shared"]), bound["shared"], row)
                        self.assertGreaterEqual(int(row["occup%"]), bound["occup%"], row)

    def test_what_cannot_be_assembled_is_refused(self):
        process = run(*MODEL, "--target=cuda:sm_80", "--emit=cubin", "-o", "-", environment={"INGOT_NVRTC": "/missing"})
        self.assertEqual((process.returncode, process.stdout), (1, ""))
        self.assertIn("NVRTC is not there; INGOT_NVRTC or CUDA_HOME may say where it is", process.stderr)
        for form in ("cubin", "sass", "resources"):
            self.assertIn("stage ptx is of cuda targets", run(*MODEL, f"--emit={form}").stderr)


if __name__ == "__main__":
    unittest.main()
