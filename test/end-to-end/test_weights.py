"""Weights of other programs: GPT-2 as Hugging Face's transformers write it, read, trained, and written back."""
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

from support import LONG, TEXT, TINY, lines, run, write

GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden")
GPT2 = os.path.join(GOLDEN, "gpt2")


def read_safetensors(path):
    """(header, bytes by tensor) of a file."""
    with open(path, "rb") as file:
        data = file.read()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    body = data[8 + size:]
    tensors = {name: (row["dtype"], row["shape"], body[slice(*row["data_offsets"])])
               for name, row in header.items() if name != "__metadata__"}
    return header.get("__metadata__", {}), tensors


def write_safetensors(path, tensors, metadata=None):
    header, body = {}, b""
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + body)


class Weights(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.copy = self.path("gpt2")
        shutil.copytree(GPT2, self.copy)

    def path(self, name):
        return os.path.join(self.folder, name)

    def succeed(self, *arguments, **options):
        process = run(*arguments, **options)
        self.assertEqual(process.returncode, 0, f"{arguments}: {process.stderr}")
        return process

    def fail(self, expected, *arguments, code=1):
        process = run(*arguments)
        self.assertEqual(process.returncode, code, process.stderr)
        self.assertIn(expected, process.stderr)

    def agrees(self, weights, tolerance=1e-5, reference=GPT2, *arguments):
        return self.succeed("run", weights, f"--input=@{reference}/tokens.npy",
                            f"--expected_output=@{reference}/logits.npy", f"--tolerance={tolerance}", *arguments)

    def test_logits_are_those_of_transformers(self):
        self.agrees(GPT2)
        self.agrees(GPT2, 1e-5, GPT2, "--device=reference")
        self.agrees(f"{GPT2}/model.safetensors")  # config.json is beside it
        self.succeed("compile", "gpt", "--layers=2", "--heads=3", "--width=12", "--sequence=7", "--vocab=258", "--batch=4",
                     "-o", self.path("gpt.ingot"))
        self.succeed("run", self.path("gpt.ingot"), f"--parameters={GPT2}", f"--input=@{GPT2}/tokens.npy",
                     f"--expected_output=@{GPT2}/logits.npy", "--tolerance=1e-5")

    def test_there_and_back_is_the_same_bytes(self):
        self.succeed("convert", GPT2, "-o", self.path("p.safetensors"), "--form=ingot")
        self.assertEqual(lines(run("inspect", self.path("p.safetensors"), "--json"))[0]["model"]["heads"], 3)
        self.succeed("convert", self.path("p.safetensors"), "-o", self.path("again"))
        metadata, tensors = read_safetensors(f"{GPT2}/model.safetensors")
        _, again = read_safetensors(self.path("again/model.safetensors"))
        self.assertEqual(tensors, again)
        with open(self.path("again/config.json")) as file:
            self.assertEqual(json.load(file)["n_head"], 3)
        self.agrees(self.path("again"))

    def test_shards(self):
        self.succeed("convert", GPT2, "-o", self.path("shards"), "--shard=8kB")
        files = sorted(os.listdir(self.path("shards")))
        self.assertGreater(len(files), 3)
        self.assertIn("model.safetensors.index.json", files)
        self.agrees(self.path("shards"))
        self.agrees(self.path("shards/model.safetensors.index.json"))
        # What the index names must be there, beside it.
        index = self.path("shards/model.safetensors.index.json")
        with open(index) as file:
            rows = json.load(file)
        for name, file, error in (("transformer.wte.weight", "../gpt2/model.safetensors", "is not the name of a file beside"),
                                  ("transformer.wte.weight", files[-2], "lacks 'transformer.wte.weight'"),
                                  ("transformer.wte.weight", "none.safetensors", "none.safetensors")):
            changed = {**rows, "weight_map": {**rows["weight_map"], name: file}}
            if rows["weight_map"][name] != file:
                write(self.folder, index, json.dumps(changed))
                self.fail(error, "run", index, "--input=4x7xi32=1")

    def test_narrow_types(self):
        for dtype, tolerance in (("f16", 1e-2), ("bf16", 1e-1)):
            self.succeed("convert", GPT2, "-o", self.path(dtype), f"--type={dtype}")
            self.assertEqual(len(os.listdir(self.path(dtype))), 2)
            _, tensors = read_safetensors(self.path(f"{dtype}/model.safetensors"))
            self.assertEqual({row[0] for row in tensors.values()}, {dtype.upper()})
            self.agrees(self.path(dtype), tolerance)

    def test_metadata_of_others_is_kept(self):
        metadata, tensors = read_safetensors(f"{GPT2}/model.safetensors")
        plain = {name.removeprefix("transformer."): row for name, row in tensors.items()}
        plain["lm_head.weight"] = plain["wte.weight"]  # tied, and masks of old versions
        plain["h.0.attn.bias"] = ("F32", [1, 1, 7, 7], bytes(4 * 49))
        write_safetensors(f"{self.copy}/model.safetensors", plain, {"format": "pt", "author": "someone"})
        self.agrees(self.copy)
        self.succeed("convert", self.copy, "-o", self.path("kept.safetensors"))
        metadata, _ = read_safetensors(self.path("kept.safetensors"))
        self.assertEqual(metadata["author"], "someone")
        self.succeed("convert", self.copy, "-o", self.path("own.safetensors"), "--form=ingot")
        self.succeed("convert", self.path("own.safetensors"), "-o", self.path("kept2.safetensors"))
        self.assertEqual(read_safetensors(self.path("kept2.safetensors"))[0]["author"], "someone")

    def test_heads(self):
        os.remove(f"{self.copy}/config.json")
        self.fail("does not say how many heads its width of 12 has", "run", self.copy, "--input=4x7xi32=1")
        # What Ingot writes says it itself.
        self.succeed("convert", GPT2, "-o", self.path("alone.safetensors"))
        self.agrees(self.path("alone.safetensors"))

    def test_what_is_no_gpt2_is_refused_by_name(self):
        metadata, tensors = read_safetensors(f"{GPT2}/model.safetensors")
        file = f"{self.copy}/model.safetensors"

        def refused(expected, changed):
            write_safetensors(file, changed, metadata)
            self.fail(expected, "run", self.copy, "--input=4x7xi32=1")

        refused("rotary.weight: is no tensor of the family gpt", {**tensors, "transformer.rotary.weight": ("F32", [1], bytes(4))})
        refused("lacks 'h.1.mlp.c_fc.bias'", {n: t for n, t in tensors.items() if n != "transformer.h.1.mlp.c_fc.bias"})
        refused("its output matrix is not its embedding", {**tensors, "lm_head.weight": ("F32", [258, 12], bytes(4 * 258 * 12))})
        dtype, shape, data = tensors["transformer.h.0.attn.c_attn.weight"]
        refused("'h.0.attn.c_attn.weight' is f32 12x36", {**tensors, "transformer.h.0.attn.c_attn.weight": (dtype, shape[::-1], data)})
        refused("weights are f32, f16 or bf16", {**tensors, "transformer.ln_f.bias": ("I32", [12], bytes(48))})
        refused("are not those of GPT-2 or of a list of linear layers", {"encoder.x": ("F32", [1], bytes(4))})
        write_safetensors(file, tensors, metadata)
        with open(f"{self.copy}/config.json") as text:
            config = json.load(text)
        for key, value in (("activation_function", "relu"), ("layer_norm_epsilon", 1e-3), ("model_type", "opt"), ("n_head", 5)):
            write(self.copy, "config.json", json.dumps({**config, key: value}))
            self.fail("config.json" if key != "n_head" else "does not divide into 5 heads", "run", self.copy, "--input=4x7xi32=1")

    def test_training_begins_with_them(self):
        tokens = ["--text=" + write(self.folder, "t.txt", TEXT), "--tokenizer=byte"]
        process = self.succeed("train", GPT2, *tokens, "--batch=3", "--steps=6", f"--out={self.path('run')}", "--json",
                               "--save-every=3")
        first = lines(process)[0]["loss"]
        # The same parameters, the same batch, no update: the same loss, and not that of random ones.
        again = lines(self.succeed("train", self.path("run/step-00000003.safetensors"), *tokens, "--batch=3", "--steps=1",
                                   "--json"))[0]["loss"]
        self.assertNotEqual(first, again)
        own = lines(self.succeed("train", "gpt", "--layers=2", "--heads=3", "--width=12", "--sequence=7", "--vocab=258",
                                 "--batch=3", *tokens, "--steps=1", "--json"))[0]["loss"]
        self.assertGreater(abs(own - first), 0.1)
        self.succeed("convert", self.path("run"), "-o", self.path("tuned"))
        self.succeed("generate", self.path("run"), "--prompt=the", "--tokens=5", "--json")
        # A run goes on as any other.
        self.succeed("train", GPT2, *tokens, "--batch=3", "--steps=6", f"--out={self.path('whole')}")
        self.succeed("train", GPT2, *tokens, "--batch=3", "--steps=3", f"--out={self.path('parts')}")
        self.succeed("train", GPT2, "--text=" + self.path("t.txt"), "--steps=6", f"--out={self.path('parts')}", "--resume")
        with open(self.path("whole/step-00000006.safetensors"), "rb") as a:
            with open(self.path("parts/step-00000006.safetensors"), "rb") as b:
                self.assertEqual(a.read(), b.read())

    def test_parameters_alone_begin_a_training(self):
        text = "--text=" + write(self.folder, "t.txt", TEXT)
        self.succeed("train", *TINY, text, "--steps=3", f"--out={self.path('run')}")
        self.succeed("convert", self.path("run"), "-o", self.path("alone.safetensors"), "--form=ingot")
        _, tensors = read_safetensors(self.path("alone.safetensors"))
        self.assertFalse([name for name in tensors if name.startswith("adam.")])
        begun = lines(self.succeed("train", self.path("alone.safetensors"), text, "--steps=2", "--json",
                                   f"--out={self.path('next')}"))
        self.assertEqual([line["step"] for line in begun if "step" in line], [1, 2])
        other = lines(self.succeed("train", self.path("run"), text, "--steps=2", "--json"))
        self.assertEqual(other[0]["loss"], begun[0]["loss"])

    def test_generate_and_eval(self):
        self.fail("holds no tokenizer to write with", "generate", GPT2)
        # GPT-2's tokenizer beside the weights: bytes, one merge, and the end of text.
        printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
        form = {byte: chr(byte) for byte in printable}
        for count, byte in enumerate(b for b in range(256) if b not in form):
            form[byte] = chr(256 + count)
        vocabulary = {form[byte]: byte for byte in range(256)}
        vocabulary.update({"th": 256, "<|endoftext|>": 257})
        write(self.copy, "vocab.json", json.dumps(vocabulary))
        write(self.copy, "merges.txt", "#version: 0.2\nt h\n")
        self.succeed("generate", self.copy, "--prompt=the", "--tokens=4", "--json")
        text = "--text=" + write(self.folder, "t.txt", TEXT)
        report = lines(self.succeed("eval", self.copy, text, "--batches=2", "--json"))[0]
        self.assertGreater(report["loss"], 1)
        self.fail("--bpe: is needed", "eval", GPT2, text, code=2)
        self.succeed("convert", self.copy, "-o", self.path("with"))
        self.assertIn("vocab.json", os.listdir(self.path("with")))
        self.succeed("generate", self.path("with"), "--prompt=the", "--tokens=4", "--json")

    def test_an_mlp(self):
        self.succeed("train", "mlp", "--layers=4,5,3", "--batch=2", "--data=random", "--steps=2", f"--out={self.path('run')}")
        self.succeed("convert", self.path("run"), "-o", self.path("mlp.safetensors"))
        one = self.succeed("run", self.path("mlp.safetensors"), "--input=64x4xf32=1").stdout
        self.assertIn("64x3xf32", one)

    @unittest.skipUnless(LONG, "long tier: needs PyPI")
    def test_transformers_itself(self):
        record = os.path.join(GOLDEN, "record-gpt2")
        for options in ([], ["--shard=8kB"], ["--type=bf16"]):
            ours = self.path("ours")
            shutil.rmtree(ours, ignore_errors=True)
            self.succeed("train", "gpt", "--layers=2", "--heads=2", "--width=16", "--sequence=8", "--batch=4", "--lr=0.01",
                         "--text=" + write(self.folder, "t.txt", TEXT), "--tokenizer=byte", "--steps=20",
                         f"--out={self.path('run')}")
            self.succeed("convert", self.path("run"), "-o", ours, *options)
            header = "{'descr': '<i4', 'fortran_order': False, 'shape': (4, 8), }"
            header += " " * (-(10 + len(header) + 1) % 64) + "\n"
            write(ours, "tokens.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() +
                  struct.pack("<32i", *((i * 37) % 256 for i in range(32))))
            subprocess.run([sys.executable, record, "--check", ours], check=True, timeout=1400)
            self.agrees(ours, 1e-5, ours)


if __name__ == "__main__":
    unittest.main()
