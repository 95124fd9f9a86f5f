"""The table of JSON keys in tools/README.md: every key that a command prints is in it, and every key of it is printed."""
import os
import re
import tempfile
import unittest

import onnx_file
from support import TEXT, TINY, lines, run, write

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MLP = ["mlp", "--layers=4,8,3", "--batch=4"]
# Keys of what did not happen in this test: they are documented, and printed only then.
RARE = {"check": {"ops[].problem", "outputs[].problem"},
        "check random": {"refused.*", "findings[].seed", "findings[].what", "findings[].graph"}, "devices": {"[].error"}}


def table():
    """{object: its keys} from the README."""
    with open(f"{ROOT}/tools/README.md") as file:
        text = file.read().split("<!-- json-keys")[1].split("\n\n")[0]
    rows = {}
    for line in text.splitlines()[3:]:
        _, name, keys, _ = line.split("|")
        rows[name.strip().replace("`", "")] = set(re.findall(r"`([^`]+)`", keys))
    return rows


def paths(value, prefix=""):
    """The keys of a document: `a.b`, `list[].c`."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from paths(inner, f"{prefix}.{key}" if prefix else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for inner in value:
            yield from paths(inner, f"{prefix}[]")
    else:
        yield prefix


def documented(path, keys):
    return path in keys or any(key.endswith(".*") and path.startswith(key[:-1]) for key in keys)


class JsonKeys(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.seen = {}

    def note(self, name, *documents):
        for document in documents:
            self.seen.setdefault(name, set()).update(paths(document))

    def json(self, *arguments, codes=(0,)):
        process = run(*arguments, "--json")
        self.assertIn(process.returncode, codes, process.stderr)
        return lines(process)

    def train(self, out, *arguments):
        report = self.json("train", *arguments, "--steps=3", f"--out={self.folder}/{out}")
        self.note("train, a step", *[line for line in report if "step" in line])
        self.note("train, an evaluation", *[line for line in report if "evaluation" in line])
        self.note("train, the last line", report[-1])

    def test_table_and_commands_agree(self):
        text = write(self.folder, "text.txt", TEXT)
        self.train("gpt", *TINY, f"--text={text}", "--eval-split=0.2")
        arrays = []
        for name, code, shape, data in (("x", 8, (32, 4), bytes(i * 7 % 251 for i in range(128))),
                                        ("y", 8, (32,), bytes(i % 3 for i in range(32)))):
            header = bytes([0, 0, code, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)
            arrays.append(write(self.folder, name, header + data))
        data = f"--data={','.join(arrays)}"
        self.train("mlp", *MLP, data, "--eval-split=0.25", "--scale=0.01")
        self.note("eval", *self.json("eval", f"{self.folder}/gpt", f"--text={text}", "--batches=1"))
        self.note("eval", *self.json("eval", f"{self.folder}/mlp", data))
        self.note("generate", *self.json("generate", f"{self.folder}/gpt", "--tokens=2", "--prompt=the"))
        program = f"{self.folder}/m.ingot"
        self.note("compile", *self.json("compile", *MLP, "-o", program))
        self.note("plan", *self.json("plan", *TINY), *self.json("plan", *TINY, "--memory=250kB"))
        self.note("bench", *self.json("bench", *TINY, "--steps=1"))
        self.note("tune", *self.json("tune", *MLP, "--budget=1", "--threads=1", f"--cache={self.folder}/cache"))
        model = write(self.folder, "m.onnx", onnx_file.classifier(16))
        self.note("eval of an ONNX file", *self.json("eval", model, data))
        self.note("run", *self.json("run", model, f"--input=16x4xf32={','.join('1' * 64)}"))
        self.note("inspect of a model", *self.json("inspect", *TINY))
        self.note("inspect of a program", *self.json("inspect", program))
        self.note("inspect of a checkpoint", *self.json("inspect", f"{self.folder}/gpt"))
        self.note("check", *self.json("check", *MLP))
        self.note("check random", *self.json("check", "random", "--graphs=3", "--seed=1"))
        self.note("devices", *self.json("devices"))
        ptx = write(self.folder, "k.ptx", """.version 8.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 p) {
  .reg .b64 %rd<2>;
  .reg .f32 %f<2>;
  ld.param.u64 %rd1, [p];
  ld.global.f32 %f1, [%rd1+4096];
  ret;
}
""")
        if "unknown command" not in run("emulate", ptx).stderr:
            self.note("emulate", *self.json("emulate", ptx, "--arg=4xf32=1", codes=(1,)))
        for name, keys in table().items():
            with self.subTest(object=name):
                seen = self.seen.get(name, set())
                if name == "emulate" and not seen:
                    continue  # this build has no emulator
                self.assertEqual(sorted(path for path in seen if not documented(path, keys)), [], "printed, not in the table")
                missing = {key for key in keys if not any(documented(path, {key}) for path in seen)}
                self.assertEqual(sorted(missing - RARE.get(name, set())), [], "in the table, not printed")
        self.assertEqual(sorted(self.seen), sorted(name for name in table() if name in self.seen or name != "emulate"))


if __name__ == "__main__":
    unittest.main()
