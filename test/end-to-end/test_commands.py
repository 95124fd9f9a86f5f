"""Flags, errors, exit codes, JSON: what holds for every subcommand."""
import json
import os
import subprocess
import tempfile
import unittest

from support import INGOT, TINY, lines, run, write

IDENTITY = """func.func @forward(%x: tensor<2x2xf32> {graph.name = "x", graph.role = "input"})
    -> (tensor<2x2xf32> {graph.name = "y"}) {
  %0 = graph.add %x, %x : tensor<2x2xf32>
  return %0 : tensor<2x2xf32>
}
"""


class Usage(unittest.TestCase):
    def refused(self, expected, *arguments, code=2):
        process = run(*arguments)
        self.assertEqual(process.returncode, code, process.stderr)
        self.assertIn(expected, process.stderr)
        self.assertEqual(process.stdout, "")

    def test_wrong_words_get_suggestions(self):
        self.refused("did you mean 'train'?", "trian")
        self.refused("unknown flag '--stepz'; did you mean '--steps'?", "train", "gpt", "--stepz=3")
        self.refused("did you mean 'gpt'?", "train", "gtp", "--data=random")
        self.refused("did you mean 'gpt2-xl'?", "plan", "gpt", "--size=gpt2-xxl")
        self.refused("did you mean 'cosine'?", "train", "gpt", "--data=random", "--schedule=cosin")
        self.refused("did you mean 'kernels'?", "compile", "gpt", "--emit=kernel")
        self.refused("did you mean 'adamw'?", "compile", "gpt", "--train", "--optimizer=adanw")
        self.refused("did you mean 'cpu'?", "train", *TINY, "--data=random", "--device=cpuu")

    def test_wrong_values_name_their_flag(self):
        self.refused("--heads", "plan", "gpt", "--heads=three")
        self.refused("--width: 15 does not divide into 2 heads", "inspect", "gpt", "--width=15", "--heads=2")
        self.refused("--layers", "inspect", "gpt", "--layers=two")
        self.refused("--memory: 'banana' is not a size such as 500MB or 1.7GB", "plan", "gpt", "--memory=banana")
        self.refused("--memory: 1000 bytes are not enough: parameters, optimizer state and constants alone are", "plan", *TINY, "--memory=1kB", code=1)
        self.refused("--layers", "inspect", "mlp", "--layers=3")
        self.refused("--heads: does not apply to mlp", "inspect", "mlp", "--heads=2")
        self.refused("--clip: '-1' is not a number, 0 or more", "compile", "gpt", "--train", "--clip=-1")
        self.refused("--beta1", "compile", "gpt", "--train", "--beta1=1")
        self.refused("--function: there is no stop; functions are", "bench", "mlp", "--function=stop")
        self.refused("--device", "bench", "mlp", "--device=reference")
        self.refused("--profile", "train", "mlp", "--data=random", "--device=reference", "--profile=trace.json")
        self.refused("--resume: needs --out", "train", "gpt", "--data=random", "--resume")
        self.refused("data is needed", "train", "gpt")
        self.refused("--tokenizer: gpt2 needs --bpe", "train", "gpt", f"--text={__file__}", "--tokenizer=gpt2")
        self.refused("", "train")

    def test_nothing_to_do_shows_the_help(self):
        process = run()
        self.assertEqual(process.returncode, 2)
        self.assertIn("Subcommands:", process.stderr)
        for command in ["compile", "run", "train", "eval", "generate", "plan", "bench", "tune", "inspect", "check", "emulate",
                        "devices"]:
            helped = run(command, "--help")
            self.assertEqual(helped.returncode, 0)
            self.assertIn("--json" if command != "run" else "--input", helped.stdout)

    def test_what_cannot_be_printed_is_an_error(self):
        for arguments in (["devices"], ["--help"], ["train", "--help"], ["--version"]):
            with open("/dev/full", "w") as full:
                process = subprocess.run([INGOT, *arguments], stdout=full, stderr=subprocess.PIPE, text=True)
            self.assertEqual(process.returncode, 1, arguments)
            self.assertEqual(process.stderr, "ingot: error: stdout: cannot write\n")

    def test_files_that_are_not_there_or_wrong(self):
        with tempfile.TemporaryDirectory() as folder:
            self.refused("No such file", "inspect", f"{folder}/no.mlir", code=1)
            self.refused("", "run", f"{folder}/no.ingot", code=1)
            self.refused("holds no checkpoint", "generate", folder, code=1)
            garbage = write(folder, "garbage.ingot", os.urandom(5000))
            self.refused("garbage.ingot", "run", garbage, code=1)
            broken = write(folder, "broken.mlir", IDENTITY.replace("2x2xf32>\n  return", "3xf32>\n  return"))
            self.refused("broken.mlir:3:", "compile", broken, "--emit=graph", code=1)
            self.refused("keeps its sizes", "compile", write(folder, "m.mlir", IDENTITY), "--layers=2")
            self.refused("neither a .npy nor an IDX", "train", "mlp", f"--data={garbage}", code=1)
            empty = write(folder, "empty.txt", "")
            self.refused("empty.txt", "train", "gpt", f"--text={empty}", code=1)


class Inspect(unittest.TestCase):
    def test_a_model(self):
        report = lines(run("inspect", "gpt", "--size=gpt2", "--json"))[0]
        self.assertEqual(report["parameters"], 124439808)
        self.assertEqual(report["metadata"]["vocabulary"], 50257)
        by_name = {port["name"]: port for port in report["ports"]}
        self.assertEqual(by_name["h.11.mlp.c_fc.weight"]["shape"], [3072, 768])
        self.assertEqual(by_name["tokens"]["type"], "i32")
        self.assertIn("124439808 parameters", run("inspect", "gpt", "--size=gpt2").stdout)

    def test_graph_text_comes_from_standard_input(self):
        process = run("inspect", "-", "--json", stdin=IDENTITY)
        self.assertEqual(lines(process)[0]["operators"], 1, process.stderr)

    def test_devices(self):
        names = [device["name"] for device in json.loads(run("devices", "--json").stdout)]
        self.assertEqual([names[0], names[-1]], ["cpu", "reference"])
        self.assertIn("cpu: ", run("devices").stdout)


class Bench(unittest.TestCase):
    """What is measured is there and adds up; how fast it is says `./tools/dev bench`."""

    def test_a_training_step_kernel_by_kernel(self):
        report = lines(run("bench", *TINY, "--steps=2", "--json"))[0]
        self.assertEqual((report["function"], report["runs"]), ("step", 2))
        kernels = report["kernels"]
        self.assertEqual(sum(kernel["launches"] for kernel in kernels), report["launches"])
        self.assertAlmostEqual(sum(kernel["share"] for kernel in kernels), 1)
        self.assertEqual([kernel["ms"] for kernel in kernels], sorted((kernel["ms"] for kernel in kernels), reverse=True))
        head = next(kernel for kernel in kernels if kernel["ops"] == "lm_head")
        self.assertGreaterEqual(head["flops"], 2 * 4 * 8 * 16 * 128)
        self.assertEqual(head["root"], "contraction")
        for kernel in kernels:
            self.assertGreater(kernel["bytes"], 0, kernel)
            self.assertIn(kernel["bound_by"], ["FMA", "L2", "L3", "memory"])

    def test_files_and_tables(self):
        with tempfile.TemporaryDirectory() as folder:
            program = f"{folder}/twice.ingot"
            self.assertEqual(run("compile", write(folder, "twice.mlir", IDENTITY), "-o", program).returncode, 0)
            table = run("bench", program, "--steps=1")
            self.assertEqual(table.returncode, 0, table.stderr)
            self.assertIn("@forward", table.stdout)
            self.assertIn("all 1 kernels", table.stdout)
        self.assertIn("@forward", run("bench", *TINY, "--inference", "--steps=1").stdout)

    def test_profile_of_training(self):
        with tempfile.TemporaryDirectory() as folder:
            path = f"{folder}/trace.json"
            train = ["train", *TINY, "--data=random", "--json", f"--profile={path}"]

            def events(steps):
                self.summary = lines(run(*train, f"--steps={steps}"))[-1]["summary"]
                with open(path) as file:
                    return json.load(file)["traceEvents"]

            three = events(6)  # the second to the fourth
            self.assertEqual(len(three), 3 * self.summary["kernels"])
            self.assertEqual(len({event["args"]["kernel"] for event in three}), self.summary["distinct_kernels"])
            self.assertLess({"ops", "flops", "bytes", "of_roofline", "bound_by"}, set(three[0]["args"]))
            self.assertGreater(len(events(1)), self.summary["kernels"])  # the whole of it, initial values included

    def test_profile_that_cannot_be_written_is_refused_before_training(self):
        process = run("train", *TINY, "--data=random", "--json", "--steps=3", "--profile=/nowhere/trace.json")
        self.assertEqual(process.returncode, 1)
        self.assertIn("/nowhere/trace.json", process.stderr)
        self.assertEqual(process.stdout, "")


class Run(unittest.TestCase):
    """On the reference; test_training.py does the same on the CPU."""

    device = "reference"

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.model = write(self.folder.name, "twice.mlir", IDENTITY)

    def run_model(self, *arguments):
        return run("run", self.model, f"--device={self.device}", *arguments)

    def test_values_in_and_out(self):
        process = self.run_model("--input=2x2xf32=1,2,3,-4.5")
        self.assertEqual(process.stdout, "y: 2x2xf32=[2 4][6 -9]\n", process.stderr)
        self.assertEqual(self.run_model("--input=x=2x2xf32=1").stdout, "y: 2x2xf32=[2 2][2 2]\n")
        again = self.run_model("--input=2x2xf32=1", "--input=2x2xf32=2,3,4,5")
        self.assertEqual(again.stdout, "y: 2x2xf32=[2 2][2 2]\ny: 2x2xf32=[4 6][8 10]\n", again.stderr)

    def test_expected_outputs(self):
        fine = self.run_model("--input=2x2xf32=1,2,3,4", "--expected_output=2x2xf32=2,4,6,8")
        self.assertEqual(fine.returncode, 0, fine.stderr)
        wrong = self.run_model("--input=2x2xf32=1,2,3,4", "--expected_output=2x2xf32=2,4,6,9")
        self.assertEqual(wrong.returncode, 1)
        self.assertIn("y: differs", wrong.stderr)
        shape = self.run_model("--input=2x2xf32=1,2,3,4", "--expected_output=4xf32=2,4,6,8")
        self.assertEqual(shape.returncode, 1)

    def test_files(self):
        path = os.path.join(self.folder.name, "y.npy")
        self.assertEqual(self.run_model("--input=2x2xf32=1,2,3,4", f"--output=@{path}").returncode, 0)
        again = self.run_model(f"--input=@{path}", "--expected_output=2x2xf32=4,8,12,16")
        self.assertEqual(again.returncode, 0, again.stderr)

    def test_wrong_inputs(self):
        for arguments, expected in [([], "also needs x (2x2 f32)"),
                                    (["--input=2x2xf32=1,2,3"], "3 values for 4 elements"),
                                    (["--input=2x2xf33=1"], "f33"),
                                    (["--input=hello"], "neither @FILE"),
                                    (["--function=backward"], "functions are forward")]:
            process = self.run_model(*arguments)
            self.assertEqual(process.returncode, 2, process.stderr)
            self.assertIn(expected, process.stderr)
        self.assertEqual(self.run_model("--input=4xf32=1").returncode, 1)

    def test_a_program_without_its_parameters_is_refused(self):
        program = os.path.join(self.folder.name, "mlp.ingot")
        compiled = run("compile", "mlp", "--layers=3,4,3", "--batch=1", "-o", program)
        self.assertEqual(compiled.returncode, 0, compiled.stderr)
        self.assertIn("note: the program holds no values of its parameters", compiled.stderr)
        process = run("run", program, "--input=1x3xf32=1,2,3")
        self.assertEqual((process.returncode, process.stdout), (2, ""), process.stderr)
        self.assertIn("--parameters: " + program + " holds no values of its parameters ('layers.0.weight', …)", process.stderr)


if __name__ == "__main__":
    unittest.main()
