"""ONNX files on the command line: run, inspect, check, compile, eval, train, convert."""
import glob
import gzip
import json
import os
import random
import struct
import tempfile
import unittest

import onnx_file
from support import LONG, lines, run, write

DATA = os.environ.get("INGOT_TEST_DATA",
                      os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "shared", "data"))
MNIST = os.path.join(DATA, "mnist")


class Onnx(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.fixed = write(self.folder, "fixed.onnx", onnx_file.classifier(16))
        self.open = write(self.folder, "open.onnx", onnx_file.classifier("batch"))
        self.rows = [[((4 * row + i) * 37 % 23 - 11) / 7 for i in range(4)] for row in range(16)]
        self.targets = [i % 3 for i in range(16)]
        self.x = write(self.folder, "x.npy", onnx_file.npy([16, 4], sum(self.rows, [])))
        self.t = write(self.folder, "t.npy", onnx_file.npy([16], self.targets, "q"))

    def succeed(self, *arguments):
        process = run(*arguments)
        self.assertEqual(process.returncode, 0, f"{arguments}: {process.stderr}")
        return process

    def fail(self, expected, *arguments, code=1):
        process = run(*arguments)
        self.assertEqual(process.returncode, code, process.stderr)
        self.assertIn(expected, process.stderr)

    def train(self, *arguments):
        process = self.succeed("train", self.fixed, f"--data={self.x},{self.t}", "--batch=all", "--lr=0.05", "--json",
                               *arguments)
        return [line["loss"] for line in lines(process) if "loss" in line]

    def test_inputs_decide_open_sizes(self):
        out = os.path.join(self.folder, "y.npy")
        self.succeed("run", self.open, f"--input=@{self.x}", f"--output=@{out}")
        self.succeed("run", self.fixed, f"--input=x=@{self.x}", f"--expected_output=@{out}")
        self.succeed("check", self.open, "--shapes=x:3x4")
        self.fail("x: batchx4 has sizes that are known at run time only: --shapes=x:… says them", "compile", self.open)
        self.fail("applies to ONNX files only", "compile", "mlp", "--shapes=x:3x4", code=2)
        self.assertIn("graph.relu", self.succeed("compile", self.open, "--shapes=x:3x4", "--emit=graph").stdout)

    def test_runs_of_other_shapes_have_programs_of_their_own(self):
        def batch(rows):
            return write(self.folder, f"x{rows}.npy", onnx_file.npy([rows, 4], sum(self.rows[:rows], [])))

        def runs(sizes, *arguments):
            process = self.succeed("run", self.open, *[f"--input=@{batch(rows)}" for rows in sizes], *arguments)
            return json.loads(process.stdout), process.stderr

        out = [os.path.join(self.folder, f"y{rows}.npy") for rows in range(8)]
        for rows in (2, 3, 5):
            self.succeed("run", self.open, f"--input=@{batch(rows)}", f"--output=@{out[rows]}", "--no-cache")
        expected = [f"--expected_output=@{out[rows]}" for rows in (2, 3, 2, 5)]
        report, log = runs((2, 3, 2, 5), "--json", "--no-cache", *expected)
        self.assertEqual((report["runs"], report["compilations"], report["programs"]), (4, 3, 3))
        self.assertEqual([line.split(" in ")[0] for line in log.splitlines()],
                         ["program 1 for x: 2x4", "program 2 for x: 3x4", "program 3 for x: 5x4"])
        report, log = runs((3, 4, 3), "--json", "--buckets=pow2", "--expected_output=@" + out[3], "--tolerance=0")
        self.assertEqual((report["runs"], report["compilations"], report["padded_runs"]), (3, 1, 2))
        self.fail("'x' is 3x4, not 2x4", "run", self.open, f"--input=@{batch(3)}", "--shapes=x:2x4", code=2)
        self.fail("--buckets", "run", self.open, f"--input=@{batch(3)}", "--buckets=some", code=2)
        process = self.run_open(2, 3, *[f"--output=@{path}" for path in out[:3]])
        self.assertEqual(process.returncode, 2)
        self.assertIn("has only 1 outputs in each of 2 runs", process.stderr)
        self.assertNotIn("program 1", process.stderr, "nothing was compiled for that")

    def run_open(self, *sizes_and_flags):
        """Runs of so many rows."""
        files = [write(self.folder, f"x{rows}.npy", onnx_file.npy([rows, 4], sum(self.rows[:rows], [])))
                 for rows in sizes_and_flags if isinstance(rows, int)]
        return run("run", self.open, *[f"--input=@{file}" for file in files],
                   *[flag for flag in sizes_and_flags if isinstance(flag, str)])

    def test_why_something_was_compiled_is_told_once(self):
        process = self.run_open(2, 2, 3, 2, "--explain-cache", f"--cache={self.folder}/cache")
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertEqual(process.stderr.count("cache: miss"), 2, process.stderr)

    def test_runs_before_one_that_fails_leave_their_outputs(self):
        wide = write(self.folder, "wide.npy", onnx_file.npy([2, 5], [0.0] * 10))
        out = os.path.join(self.folder, "first.npy")
        process = self.run_open(3, f"--input=@{wide}", f"--output=@{out}")
        self.assertEqual(process.returncode, 1)
        self.assertIn("dimension 1 is 4 in the file, not 5", process.stderr)
        self.succeed("run", self.open, f"--input=@{self.folder}/x3.npy", f"--expected_output=@{out}")
        self.fail("no first dimension of its inputs is open", "run", self.fixed, f"--input=@{self.x}", "--buckets=pow2")

    def test_inspect_needs_no_sizes(self):
        report = json.loads(self.succeed("inspect", self.open, "--json").stdout)
        self.assertEqual((report["parameters"], report["operators"]), (40, 4))
        ports = {port["name"]: (port["kind"], port["shape"]) for port in report["ports"]}
        self.assertEqual(ports, {"a": ("parameter", [4, 5]), "b": ("parameter", [5, 3]), "c": ("parameter", [5]),
                                 "x": ("input", [-1, 4]), "y": ("output", [-1, 3])})

    def test_training_follows_the_file(self):
        losses = self.train("--steps=60")
        self.assertLess(losses[-1], 0.8 * losses[0])
        self.assertEqual(losses, self.train("--steps=60"))
        self.assertEqual(losses, self.train("--epochs=60"))  # one batch is all of it
        halves = [f"--data={self.x},{self.t}", "--batch=4", "--epochs=3", "--eval-split=0.25", "--json"]
        self.assertEqual(sum("loss" in line for line in lines(self.succeed("train", self.open, *halves))), 9)
        self.fail("--epochs", "train", self.open, *halves, "--steps=4", code=2)
        frozen = self.train("--steps=60", "--freeze=a|c")
        names = write(self.folder, "names.txt", "b\n")
        self.assertEqual(frozen, self.train("--steps=60", f"--train-only=@{names}"))
        self.assertEqual(frozen[0], losses[0])
        self.assertNotEqual(frozen[-1], losses[-1])
        data = f"--data={self.x},{self.t}"
        self.fail("the model has no parameter 'd'", "train", self.fixed, data, "--steps=1",
                  f"--train-only=@{write(self.folder, 'wrong.txt', 'b d'.replace(' ', chr(10)))}", code=2)
        self.fail("'d.*' takes no parameter of the model", "train", self.fixed, data, "--steps=1", "--freeze=d.*", code=2)
        self.fail("the file's 'x' has 16 rows, not 4", "train", self.fixed, data, "--steps=1", "--batch=4", code=2)

    def test_exports_of_pytorch_train_as_they_do_there(self):
        for model in ("mlp", "lstm_classifier", "moe_dense"):
            folder = os.path.join(DATA, "zoo", model)
            if not os.path.isdir(folder):
                self.skipTest(f"{folder} is not there")
            with open(os.path.join(folder, "train.json")) as file:
                task = json.load(file)
            names = write(self.folder, "names.txt", "".join(name + "\n" for name in task["trainable"]))
            inputs = sorted(glob.glob(os.path.join(folder, "input_*.npy")))
            process = self.succeed(
                "train", os.path.join(folder, "model.onnx"),
                "--data=" + ",".join(inputs + [os.path.join(folder, "target.npy")]), "--batch=all",
                f"--loss={task['loss']}", f"--class-axis={task['class_axis']}", f"--optimizer={task['optimizer']}",
                f"--lr={task['lr']}", f"--weight-decay={task['weight_decay']}", "--schedule=constant", "--steps=20",
                f"--train-only=@{names}", "--json")
            losses = [line["loss"] for line in lines(process) if "loss" in line]
            self.assertEqual(len(losses), 20)
            for loss, expected in zip(losses, task["losses"]):
                self.assertAlmostEqual(loss / expected, 1, delta=1e-4, msg=model)

    def test_trained_weights_go_back_into_the_file(self):
        out = os.path.join(self.folder, "run")
        trained = os.path.join(self.folder, "trained.onnx")
        logits = os.path.join(self.folder, "logits.npy")
        self.train("--steps=30", f"--out={out}")
        self.succeed("convert", out, f"--model={self.fixed}", "-o", trained)
        self.succeed("run", out, f"--input=@{self.x}", f"--output=@{logits}")
        self.succeed("run", trained, f"--input=@{self.x}", f"--expected_output=@{logits}", "--tolerance=0")
        # A training that begins with the result goes on where the other one ended.
        more = lines(self.succeed("train", trained, f"--data={self.x},{self.t}", "--batch=all", "--steps=1", "--json"))
        longer = self.train("--steps=31")
        self.assertAlmostEqual(more[0]["loss"], longer[30], places=6)
        self.fail("--model: is needed", "convert", out, "-o", trained, code=2)

    def test_saved_text_holds_no_values(self):
        text = os.path.join(self.folder, "m.mlir")
        self.succeed("compile", self.fixed, "--emit=graph", "-o", text)
        self.fail("holds no values of its parameters ('a', …)", "run", text, f"--input=@{self.x}")
        self.fail("holds no values of its parameters ('a', …)", "train", text, f"--data={self.x},{self.t}", "--steps=1",
                  "--batch=all")

    def test_accuracy(self):
        report = json.loads(self.succeed("eval", self.open, f"--data={self.x},{self.t}", "--metric=accuracy",
                                         "--json").stdout)
        self.assertEqual(report["batches"], 1)
        self.assertEqual(report["accuracy"], onnx_file.accuracy(self.rows, self.targets))

    def test_many_slices_are_as_one_tensor(self):
        # 90 slices along the last dimension, of 1 to 3 elements, some of them twice, put together again.
        starts, widths, at = [], [], 0
        for i in range(90):
            starts.append(at)
            widths.append(i % 3 + 1)
            at += 0 if i % 7 == 3 else widths[-1]  # the next one begins at the same place
        size = starts[-1] + widths[-1]
        def number(name, value):
            return onnx_file.number(1, 1) + onnx_file.number(2, 7) + onnx_file.data(8, name) + \
                onnx_file.data(9, struct.pack("<q", value))
        def chosen(one):
            nodes = [onnx_file.node("Mul", ["x", "w"], ["h"], "first")]
            initializers = [onnx_file.floats("w", [size], [((5 * i) % 13 - 6) / 8 for i in range(size)]), number("axis", 1)]
            if one:
                places = [start + j for start, width in zip(starts, widths) for j in range(width)]
                initializers.append(onnx_file.number(1, len(places)) + onnx_file.number(2, 7) + onnx_file.data(8, "places") +
                                    onnx_file.data(9, struct.pack(f"<{len(places)}q", *places)))
                nodes.append(onnx_file.node("Gather", ["h", "places"], ["c"], "gather", onnx_file.data(
                    5, onnx_file.data(1, "axis") + onnx_file.number(3, 1) + onnx_file.number(20, 2))))
            else:
                for i, (start, width) in enumerate(zip(starts, widths)):
                    initializers += [number(f"s{i}", start), number(f"e{i}", start + width)]
                    nodes.append(onnx_file.node("Slice", ["h", f"s{i}", f"e{i}", "axis"], [f"p{i}"], f"slice{i}"))
                nodes.append(onnx_file.node("Concat", [f"p{i}" for i in range(90)], ["c"], "concat", onnx_file.data(
                    5, onnx_file.data(1, "axis") + onnx_file.number(3, 1) + onnx_file.number(20, 2))))
            nodes.append(onnx_file.node("Tanh", ["c"], ["y"], "tanh"))
            file = onnx_file.model(nodes, initializers, [onnx_file.port("x", [3, size])],
                                   [onnx_file.port("y", [3, sum(widths)])])
            return write(self.folder, f"slices{one}.onnx", file)
        x = write(self.folder, "wide.npy", onnx_file.npy([3, size], [((7 * i) % 17 - 8) / 9 for i in range(3 * size)]))
        t = write(self.folder, "wide-t.npy",
                  onnx_file.npy([3, sum(widths)], [((3 * i) % 19 - 9) / 9 for i in range(3 * sum(widths))]))
        losses = []
        for one in (False, True):
            process = self.succeed("train", chosen(one), f"--data={x},{t}", "--batch=all", "--loss=mse", "--optimizer=sgd",
                                   "--lr=20", "--steps=4", "--json")
            losses.append([line["loss"] for line in lines(process) if "loss" in line])
        self.assertLess(losses[0][3], 0.99 * losses[0][0])
        for sliced, gathered in zip(*losses):
            self.assertAlmostEqual(sliced, gathered, places=6)

    def data(self, rows):
        """The first rows alone, as files."""
        x = write(self.folder, f"x{rows}.npy", onnx_file.npy([rows, 4], sum(self.rows[:rows], [])))
        return f"--data={x}," + write(self.folder, f"t{rows}.npy", onnx_file.npy([rows], self.targets[:rows], "q"))

    def test_the_last_batch_may_hold_fewer_rows(self):
        for rows, batches in ((11, 1), (16, 1), (1, 1)):  # of a file that takes 16 at a time
            report = json.loads(self.succeed("eval", self.fixed, self.data(rows), "--json").stdout)
            self.assertEqual(report, {"accuracy": onnx_file.accuracy(self.rows[:rows], self.targets[:rows]),
                                      "batches": batches})
        for loss in (["--loss=cross_entropy"], ["--loss=cross_entropy", "--ignore-index=1"], ["--loss=nll"]):
            still = ["--optimizer=sgd", "--lr=1e-12", "--json"] + loss
            out = os.path.join(self.folder, loss[-1])
            whole = lines(self.succeed("train", self.open, self.data(11), "--batch=11", "--steps=1", *still))[0]["loss"]
            parts = [line["loss"] for line in lines(self.succeed("train", self.open, self.data(11), "--batch=4",
                                                                 "--epochs=2", f"--out={out}", *still)) if "loss" in line]
            self.assertEqual(len(parts), 6)
            if "--ignore-index=1" not in loss:  # then batches count by the targets that they do not ignore
                for epoch in (parts[:3], parts[3:]):
                    self.assertAlmostEqual((4 * epoch[0] + 4 * epoch[1] + 3 * epoch[2]) / 11, whole, places=5)
                report = json.loads(self.succeed("eval", out, self.data(11), "--json").stdout)
                self.assertAlmostEqual(report["loss"], whole, places=5)
                self.assertEqual(report["batches"], 3)
        # So does a checkpoint of a training without weights.
        out = os.path.join(self.folder, "plain")
        self.succeed("train", self.open, self.data(8), "--batch=4", "--epochs=1", f"--out={out}", *still[:3])
        report = json.loads(self.succeed("eval", out, self.data(11), "--json").stdout)
        whole = lines(self.succeed("train", self.open, self.data(11), "--batch=11", "--steps=1", *still[:3]))[0]["loss"]
        self.assertAlmostEqual(report["loss"], whole, places=5)
        process = self.succeed("train", self.open, self.data(11), "--batch=2", "--accumulate=2", "--epochs=2", *still[:3])
        self.assertEqual(sum("loss" in line for line in lines(process)), 4)
        self.assertIn("3 of 11 rows fill no batch and are left out of each epoch", process.stderr)

    @unittest.skipUnless(os.path.isdir(MNIST), "MNIST's test images are not there")
    def test_a_cnn_learns_digits(self):
        def part(name, header, size, first, count):
            with gzip.open(os.path.join(MNIST, f"t10k-{name}-ubyte.gz")) as file:
                content = file.read()
            head = content[:4] + struct.pack(">I", count) + content[8:header]
            return write(self.folder, f"{name}-{first}.idx",
                         head + content[header + first * size:header + (first + count) * size])

        def pair(first, count):
            return ",".join([part("images-idx3", 16, 784, first, count), part("labels-idx1", 8, 1, first, count)])

        model = write(self.folder, "cnn.onnx", onnx_file.cnn("batch"))
        trained, out = os.path.join(self.folder, "trained.onnx"), os.path.join(self.folder, "run")
        held_out, scale = pair(8000, 2000), "--scale=0.00392156862745098"
        self.succeed("train", model, f"--data={pair(0, 8000)}", scale, "--loss=cross_entropy", "--optimizer=adamw",
                     "--lr=2e-3", "--batch=64", "--epochs=3", f"--out={out}")
        report = json.loads(self.succeed("eval", out, f"--data={held_out}", "--json").stdout)
        self.assertGreaterEqual(report["accuracy"], 0.95)
        # The file with the trained weights reads the same digits.
        self.succeed("convert", out, f"--model={model}", "-o", trained)
        again = json.loads(self.succeed("eval", trained, f"--data={held_out}", scale, "--shapes=x:50x1x28x28",
                                        "--metric=accuracy", "--json").stdout)
        self.assertAlmostEqual(again["accuracy"], report["accuracy"], delta=0.0006)

    @unittest.skipUnless(os.path.exists(os.path.join(MNIST, "mnist-8.onnx")), "mnist-8.onnx is not there")
    def test_damage_ends_in_an_exit_code(self):
        with open(os.path.join(MNIST, "mnist-8.onnx"), "rb") as file:
            whole = file.read()
        image = write(self.folder, "image.npy", onnx_file.npy([1, 1, 28, 28], [0.5] * 784))
        random.seed(8)
        for number in range(200 if LONG else 40):
            content = bytearray(whole)
            for _ in range(random.randint(1, 6)):
                place = random.randrange(len(content))
                kind = random.randrange(4)
                if kind == 0:
                    content[place] = random.randrange(256)
                elif kind == 1:
                    content[place] ^= 1 << random.randrange(8)
                elif kind == 2:
                    del content[place:place + random.randint(1, 64)]
                else:
                    content[place:place] = content[:random.randint(1, 64)]
            path = write(self.folder, "damaged.onnx", bytes(content))
            process = run("run", path, f"--input=@{image}", timeout=60)
            self.assertIn(process.returncode, (0, 1, 2), f"file {number}: {process.stderr}")
            self.assertTrue(process.returncode == 0 or process.stderr.strip(), f"file {number} says nothing")

    @unittest.skipUnless(os.path.exists(os.path.join(MNIST, "mnist-8.onnx")), "mnist-8.onnx is not there")
    def test_mnist(self):
        report = json.loads(self.succeed(
            "eval", os.path.join(MNIST, "mnist-8.onnx"),
            f"--data={MNIST}/t10k-images-idx3-ubyte.gz,{MNIST}/t10k-labels-idx1-ubyte.gz", "--metric=accuracy",
            "--json").stdout)
        self.assertAlmostEqual(report["accuracy"], 0.9891, delta=0.0002)


if __name__ == "__main__":
    unittest.main()
