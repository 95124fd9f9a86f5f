"""The CPU device through the binary: everything that holds on the reference, and what only it does."""
import tempfile
import time
import unittest

import test_commands
import test_training
from support import TINY, lines, run, write


class Training(test_training.OnTheReference):
    device = "cpu"

    def test_both_devices_agree(self):
        losses = {}
        for device in ("cpu", "reference"):
            process = run("train", *TINY, f"--text={self.text}", "--steps=10", "--seed=5", "--json",
                          f"--device={device}")
            self.assertEqual(process.returncode, 0, process.stderr)
            losses[device] = [line["loss"] for line in lines(process) if "loss" in line]
        for ours, expected in zip(losses["cpu"], losses["reference"]):
            self.assertAlmostEqual(ours, expected, delta=1e-4 * expected)

    def test_every_thread_count_gives_the_same_bytes(self):
        for threads in (1, 2, 3):
            self.train("--steps=5", f"--threads={threads}", out=f"threads{threads}")
        self.assertEqual(len({test_training.newest(self.path(f"threads{threads}")) for threads in (1, 2, 3)}), 1)

    def test_compile_then_run_a_file(self):
        program = self.path("step.ingot")
        process = run("compile", *TINY, "--train", "-o", program, "--json")
        self.assertEqual(process.returncode, 0, process.stderr)
        self.assertGreater(lines(process)[0]["kernels"], 0)
        report = lines(run("inspect", program, "--json"))[0]
        self.assertEqual({function["name"] for function in report["functions"]},
                         {"init", "step", "evaluate", "forward"})
        ran = run("run", program, "--input=4x8xi32=1", "--seed=1")
        self.assertEqual(ran.returncode, 0, ran.stderr)

    def test_every_stage_prints(self):
        for stage in ["graph", "train", "linalg", "kernels", "schedule", "plan", "loops", "llvm", "program"]:
            process = run("compile", *TINY, "--train", f"--emit={stage}")
            self.assertEqual(process.returncode, 0, process.stderr)
            self.assertGreater(len(process.stdout), 1000)

    def test_a_printed_stage_compiles_to_the_same_bits(self):
        outputs = set()
        for stage in ["graph", "train", "linalg", "kernels", "schedule", "plan", "loops"]:
            text, program, logits = (self.path(stage + end) for end in (".mlir", ".ingot", ".npy"))
            for command in (["compile", *TINY, "--train", f"--emit={stage}", "-o", text],
                            ["compile", text, "--train", "-o", program],
                            ["run", program, "--input=4x8xi32=1", "--seed=1", f"--output=@{logits}"]):
                process = run(*command)
                self.assertEqual(process.returncode, 0, f"{stage}: {process.stderr}")
            with open(logits, "rb") as file:
                outputs.add(file.read())
        self.assertEqual(len(outputs), 1)

    def test_a_warm_kernel_cache_runs_no_emitter(self):
        cache = self.path("kernels")
        first = lines(run("compile", *TINY, "--train", "--json", f"--cache={cache}"))[0]
        self.assertEqual(first["emitted_kernels"], first["scheduled_kernels"])
        self.assertEqual(first["cached_kernels"], 0)
        # Another learning rule: another program of which most kernels are the same.
        other = lines(run("compile", *TINY, "--train", "--optimizer=sgd", "--json", f"--cache={cache}"))[0]
        self.assertGreater(other["cached_kernels"], 10)
        self.assertEqual(other["emitted_kernels"], other["scheduled_kernels"] - other["cached_kernels"])
        # Passes that are watched run again; the emitters do not.
        again = run("compile", *TINY, "--train", "--timing", f"--cache={cache}")
        self.assertIn(f"kernels: {first['scheduled_kernels']} scheduled, 0 emitted, {first['scheduled_kernels']} from the cache",
                      again.stderr)

    def test_a_graph_of_20000_ops_is_planned(self):
        tensor, weight, layers = "tensor<4x8xf32>", "tensor<8x8xf32>", 4000
        arguments = [f'%w{i}: {weight} {{graph.name = "w{i}", graph.role = "parameter"}}' for i in range(20)]
        arguments.append(f'%y0: {tensor} {{graph.name = "x", graph.role = "input"}}')
        text = [f"func.func @forward({', '.join(arguments)}) -> ({tensor} {{graph.name = \"y\"}}) {{"]
        for i in range(layers):
            text += [f"%a{i} = graph.linear %y{i}, %w{i % 20} : {tensor}, {weight} -> {tensor}",
                     f"%b{i} = graph.tanh %a{i} : {tensor}",
                     f"%c{i} = graph.mul %b{i}, %a{i} : {tensor}",
                     f"%d{i} = graph.add %c{i}, %y{i} : {tensor}",
                     f"%y{i + 1} = graph.relu %d{i} : {tensor}"]
        text.append(f"return %y{layers} : {tensor}\n}}")
        model, plan = self.path("large.mlir"), self.path("plan.mlir")
        with open(model, "w") as file:
            file.write("\n".join(text))
        process = run("compile", model, "--emit=plan", "-o", plan)
        self.assertEqual(process.returncode, 0, process.stderr)
        with open(plan) as file:
            self.assertEqual(file.read().count("kernel.call"), layers)

    def test_the_plan_adds_up(self):
        report = lines(run("plan", *TINY, "--json"))[0]
        self.assertEqual(report["persistent_bytes"] % 64, 0)
        self.assertGreaterEqual(report["planned_bytes"], report["persistent_bytes"])
        self.assertEqual(report["bytes"]["state"], 2 * report["bytes"]["parameter"])
        self.assertIn("planned", run("plan", *TINY).stdout)

    def test_the_plan_predicts_what_fitting_costs(self):
        model = ["gpt", "--layers=4", "--heads=2", "--width=64", "--sequence=256", "--batch=2", "--threads=1"]
        free = lines(run("plan", *model, "--json"))[0]
        self.assertGreater(free["predicted_ms"], 0)
        self.assertNotIn("recomputation", free)
        budget = int(0.85 * free["planned_bytes"])
        fitted = lines(run("plan", *model, f"--memory={budget}", "--json"))[0]
        self.assertLessEqual(fitted["planned_bytes"], budget)
        self.assertGreater(fitted["recomputation"]["flops"], 0)
        shown = run("plan", *model, f"--memory={budget}").stdout
        self.assertIn("ms a run on 1 thread, at the machine's limits", shown)
        self.assertIn("to fit: +", shown)

    def test_the_cache_explains_itself(self):
        with tempfile.TemporaryDirectory() as cache:
            compile_once = ["compile", *TINY, "--train", f"--cache={cache}", "--explain-cache"]
            self.assertIn("cache: miss: ", run(*compile_once).stderr)
            self.assertIn("cache: hit, the whole program", run(*compile_once).stderr)

    def test_check_passes(self):
        for precision in ([], ["--dtype=bf16"]):
            process = run("check", "gpt", "--layers=1", "--heads=2", "--width=16", "--sequence=8", "--batch=2",
                          "--vocab=19", "--train", "--seed", str(int(time.time())), *precision)
            self.assertEqual(process.returncode, 0, process.stdout + process.stderr)

    def test_check_takes_what_regions_read_from_outside(self):
        with tempfile.TemporaryDirectory() as folder:
            model = write(folder, "branch.mlir", '''
func.func @forward(%x: tensor<4xf32> {graph.name = "x", graph.role = "input"}, %c: tensor<i1> {graph.name = "c", graph.role = "input"})
    -> (tensor<4xf32> {graph.name = "y"}) {
  %two = graph.constant dense<2.0> : tensor<4xf32>
  %y = graph.if %c : tensor<i1> -> (tensor<4xf32>) {
    %t = graph.mul %x, %two : tensor<4xf32>
    graph.yield %t : tensor<4xf32>
  } else {
    %t = graph.tanh %x : tensor<4xf32>
    graph.yield %t : tensor<4xf32>
  }
  return %y : tensor<4xf32>
}''')
            process = run("check", model)
            self.assertEqual(process.returncode, 0, process.stdout + process.stderr)
            self.assertIn("1 outputs and 1 ops compared, 0 wrong", process.stdout)


class Run(test_commands.Run):
    device = "cpu"


if __name__ == "__main__":
    unittest.main()
