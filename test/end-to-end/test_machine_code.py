"""`ingot compile --emit=cubin`: a training step's kernels as NVRTC assembles them, beside ptxas."""
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

    def test_what_cannot_be_assembled_is_refused(self):
        process = run(*MODEL, "--target=cuda:sm_80", "--emit=cubin", "-o", "-", environment={"INGOT_NVRTC": "/missing"})
        self.assertEqual((process.returncode, process.stdout), (1, ""))
        self.assertIn("NVRTC is not there; INGOT_NVRTC or CUDA_HOME may say where it is", process.stderr)
        self.assertIn("stage ptx is of cuda targets", run(*MODEL, "--emit=cubin").stderr)


if __name__ == "__main__":
    unittest.main()
