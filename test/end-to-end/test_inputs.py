"""What a command line may name: models, programs and checkpoints, told apart by their contents; stages that are
read back."""
import json
import os
import subprocess
import tempfile
import unittest

from support import INGOT, TEXT, TINY, lines, run, write

MLP = ["mlp", "--layers=4,8,3", "--batch=2"]


def run_bytes(*arguments, stdin=b""):
    return subprocess.run([INGOT, *arguments], input=stdin, capture_output=True, timeout=600)


class Kinds(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        path = cls.folder.name
        cls.model, cls.program, cls.run_folder = f"{path}/m.mlir", f"{path}/m.ingot", f"{path}/run"
        assert run("compile", *MLP, "--emit=graph", "-o", cls.model).returncode == 0
        assert run("compile", *MLP, "-o", cls.program).returncode == 0
        assert run("train", *MLP, "--data=random", "--steps=2", f"--out={cls.run_folder}").returncode == 0
        cls.checkpoint = f"{cls.run_folder}/step-00000002.safetensors"

    def refused(self, expected, *arguments):
        process = run(*arguments)
        self.assertEqual(process.returncode, 1, f"{arguments}: {process.stderr}")
        self.assertIn(expected, process.stderr)

    def test_a_program_where_a_model_is_wanted(self):
        for command in (["compile"], ["train", "--data=random"], ["plan"], ["tune"], ["check"]):
            self.refused("m.ingot: is not a model but a compiled program, which run, bench and inspect take",
                         command[0], self.program, *command[1:])

    def test_a_checkpoint_where_a_model_is_wanted(self):
        for path in (self.checkpoint, self.run_folder):
            for command in (["compile"], ["plan"], ["tune"], ["check"], ["bench"]):
                self.refused(f"{path}: is not a model but a checkpoint, which train, eval, generate, run, convert and "
                             "inspect take",
                             command[0], path, *command[1:])

    def test_something_else_where_a_checkpoint_is_wanted(self):
        for command in (["eval", "--data=random"], ["generate"]):
            self.refused("m.ingot: is not a checkpoint but a compiled program", command[0], self.program, *command[1:])
            self.refused("m.mlir: is not a checkpoint but a model", command[0], self.model, *command[1:])
        self.refused("m.ingot: is not a checkpoint", "run", *MLP, f"--parameters={self.program}")

    def test_contents_count_not_names(self):
        with tempfile.TemporaryDirectory() as folder:
            os.link(self.program, f"{folder}/program.mlir")
            os.link(self.model, f"{folder}/model.ingot")
            os.link(self.checkpoint, f"{folder}/weights.bin")
            for path, kind in (("program.mlir", "program"), ("model.ingot", "model"), ("weights.bin", "checkpoint")):
                self.assertEqual(lines(run("inspect", f"{folder}/{path}", "--json"))[0]["kind"], kind)
            self.refused("program.mlir: is not a model but a compiled program", "compile", f"{folder}/program.mlir")

    def test_a_single_checkpoint_file_runs(self):
        for path in (self.run_folder, self.checkpoint):
            process = run("run", path, "--input=2x4xf32=1")
            self.assertEqual(process.returncode, 0, process.stderr)

    def test_programs_to_and_from_pipes(self):
        program = run_bytes("compile", *MLP, "-o", "-")
        self.assertEqual(program.returncode, 0, program.stderr)
        with open(self.program, "rb") as file:
            self.assertEqual(program.stdout, file.read())
        self.assertNotIn("-", os.listdir("."))
        kind = json.loads(run_bytes("inspect", "-", "--json", stdin=program.stdout).stdout)["kind"]
        self.assertEqual(kind, "program")
        bench = run_bytes("bench", "-", "--steps=1", "--json", stdin=program.stdout)
        self.assertEqual(json.loads(bench.stdout)["function"], "forward", bench.stderr)
        with open(self.model, "rb") as file:
            bench = run_bytes("bench", "-", "--inference", "--steps=1", "--json", stdin=file.read())
        self.assertEqual(json.loads(bench.stdout)["function"], "forward", bench.stderr)
        damaged = run_bytes("inspect", "-", stdin=program.stdout[:1000])
        self.assertEqual(damaged.returncode, 1)
        self.assertIn(b"<stdin>: damaged", damaged.stderr)
        both = run("compile", *MLP, "-o", "-", "--json")
        self.assertEqual(both.returncode, 2)
        self.assertIn("--json: cannot be combined with -o -", both.stderr)

    def test_paths_that_break_the_file_system(self):
        for path in ("a" * 5000, "a" * 300 + ".mlir", "\x01", "/root/../" + "b/" * 3000):
            process = run("inspect", path)
            self.assertIn(process.returncode, (1, 2), process.stderr)
            self.assertTrue(process.stderr.startswith("ingot: error: "), process.stderr)


class Indices(unittest.TestCase):
    MODEL = """func.func @forward(%t: tensor<6x2xf32> {graph.name = "t", graph.role = "input"},
                   %i: tensor<2x4x{0}> {graph.name = "i", graph.role = "input"}) -> (tensor<2x4x2xf32> {graph.name = "y"}) {
  %c = graph.constant dense<2> : tensor<2x4x{0}>
  %j = graph.mul %i, %c : tensor<2x4x{0}>
  %y = graph.gather %t, %j dimension 0 : tensor<6x2xf32>, tensor<2x4x{0}> -> tensor<2x4x2xf32> loc("pick")
  return %y : tensor<2x4x2xf32>
}
"""

    def test_a_computed_index_outside_is_told_with_its_position(self):
        table = "--input=t=6x2xf32=" + ",".join(map(str, range(12)))
        for element, indices, said in (("i32", "0,1,2,0,0,3,-4,1", "6 at position 5"),
                                       ("i32", "-1,3,0,0,0,0,0,0", "-2 at position 0"),
                                       ("i64", "0,1,2,0,0,1,1,9000000000", "2147483647 or more at position 7"),
                                       ("i64", "0,1,2,0,-9000000000,9,9,9", "-2147483648 or less at position 4")):
            process = run("run", "-", table, f"--input=i=2x4x{element}={indices}", stdin=self.MODEL.replace("{0}", element))
            self.assertEqual(process.returncode, 1, process.stdout)
            self.assertIn(f"pick: an index is outside [0, 6): {said}", process.stderr)
        process = run("run", "-", table, "--input=i=2x4xi32=0,1,2,0,0,1,2,1", stdin=self.MODEL.replace("{0}", "i32"))
        self.assertEqual(process.returncode, 0, process.stderr)


class Stages(unittest.TestCase):
    """--emit, read back."""

    def test_no_stage_goes_back(self):
        stages = ["graph", "train", "linalg", "kernels", "schedule", "plan", "loops"]
        with tempfile.TemporaryDirectory() as folder:
            for late, stage in enumerate(stages):
                path = f"{folder}/x.{stage}.mlir"
                self.assertEqual(run("compile", *MLP, "--train", f"--emit={stage}", "-o", path).returncode, 0)
                for early in stages[:late]:
                    if stage == "train":
                        continue  # is the graph of the step
                    process = run("compile", path, f"--emit={early}")
                    self.assertEqual(process.returncode, 2, process.stderr)
                    self.assertEqual(process.stderr, f"ingot: error: {path}: holds stage {stage}, and no stage goes "
                                                     f"back to {early}\n")
                    self.assertEqual(process.stdout, "")

    def test_names_and_counts_survive(self):
        with tempfile.TemporaryDirectory() as folder:
            for training in ([], ["--train"]):
                command = ["compile", *TINY, *training, "--no-cache"]
                direct = run(*command, "-o", f"{folder}/direct.ingot")
                said = direct.stderr.split(" in ")[0]
                self.assertIn("operators became", said)
                wanted = lines(run("inspect", f"{folder}/direct.ingot", "--json"))[0]
                for stage in ["graph", "train", "linalg", "kernels", "schedule", "plan", "loops"]:
                    if not training and stage == "train":
                        continue
                    path = f"{folder}/{stage}.mlir"
                    self.assertEqual(run(*command, f"--emit={stage}", "-o", path).returncode, 0)
                    flags = training if stage == "graph" else []
                    if stage in ("linalg", "kernels", "loops") and not training:
                        self.assertGreater(lines(run("inspect", path, "--json"))[0]["operators"], 0)
                    again = run("compile", path, *flags, "--no-cache", "-o", f"{folder}/again.ingot")
                    self.assertEqual(again.returncode, 0, again.stderr)
                    self.assertEqual(again.stderr.split(" in ")[0], said, stage)
                    report = lines(run("inspect", f"{folder}/again.ingot", "--json"))[0]
                    # All tables; two compilations of one kernel may differ in the registers that LLVM chose.
                    for one in (report, wanted):
                        one.pop("code_bytes", None)
                    self.assertEqual(report, wanted, stage)

    def test_errors_name_nodes_after_a_stage_was_read_back(self):
        graph = run("compile", *TINY, "--emit=graph").stdout
        self.assertIn('loc("h.0.attn.c_attn")', graph)
        wrong = graph.replace("to [4, 8, 16] by", "to [4, 9, 16] by", 1)
        self.assertTrue(wrong != graph)
        process = run("compile", "-", stdin=wrong)
        self.assertEqual(process.returncode, 1)
        self.assertIn("h.0.attn: ", process.stderr)
        self.assertNotIn("see current operation", process.stderr)
        self.assertNotIn("%", process.stderr)


if __name__ == "__main__":
    unittest.main()
