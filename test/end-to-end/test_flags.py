"""Every option of every command: its value, what it may be, and where it applies."""
import re
import os
import tempfile
import unittest

import onnx_file
from support import INGOT, TEXT, TINY, lines, run, write

COMMANDS = ["compile", "run", "train", "eval", "generate", "plan", "bench", "tune", "inspect", "check", "emulate", "convert",
            "devices"]
# What each command needs besides the option under test, so that it would do something without it.
SUBJECT = {"devices": [], "emulate": ["no.ptx"], "eval": ["no-such-run"], "generate": ["no-such-run"],
           "convert": ["no-such-run", "--output=x.safetensors"]}


def options(command):
    """(name, kind) of a command's options: kind is INT, FLOAT, TEXT or empty for a switch."""
    found = []
    for line in run(command, "--help").stdout.splitlines():
        match = re.match(r"  (?:-\w,)?(--[\w-]+)(?: ([A-Z]+))?", line)
        if match and match[1] != "--help":
            found.append((match[1], match[2] or ""))
    return found


def subject(command):
    return SUBJECT.get(command, ["mlp", "--layers=4,3"] if command != "inspect" else ["mlp"])


class EveryOption(unittest.TestCase):
    def refused(self, flag, value, *arguments):
        process = run(*arguments)
        self.assertEqual(process.returncode, 2, f"{arguments}: {process.stdout}{process.stderr}")
        self.assertIn(f"{flag}: ", process.stderr)
        self.assertIn(value, process.stderr)
        self.assertEqual(process.stdout, "")

    def test_every_command_has_options(self):
        self.assertEqual(dict(options("train"))["--steps"], "INT")
        self.assertEqual(dict(options("train"))["--lr"], "FLOAT")
        self.assertEqual(dict(options("train"))["--out"], "TEXT")
        self.assertEqual(dict(options("train"))["--json"], "")
        for command in COMMANDS:
            self.assertIn({"run": "--input", "convert": "--output"}.get(command, "--json"), dict(options(command)))

    def test_a_stream_is_no_directory(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            self.addCleanup(os.chdir, "/")
            for command in COMMANDS:
                for flag in {"--out", "--cache", "--dump-dir"} & set(dict(options(command))):
                    for words in ([f"{flag}=-"], [flag, "-"]):
                        self.refused(flag, "'-' is a stream", command, *subject(command), *words)
            self.refused("--output", "'-' is a stream", "convert", "no-such-run", "-o", "-")
            self.assertEqual(os.listdir("."), [])

    def test_a_missing_value_does_not_take_the_next_word(self):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            self.addCleanup(os.chdir, "/")
            for command in COMMANDS:
                known = options(command)
                for flag, kind in known:
                    if flag == "--prompt":
                        continue  # an empty prompt is a prompt
                    other = known[0][0] if known[0][0] != flag else known[-1][0]
                    forms = [[f"{flag}=", other], [f"{flag}=", "word"], [f"{flag}="]]
                    if kind:
                        forms = [[flag, other], [flag], [flag, f"{other}=1"], [flag, ""], *forms]
                    for words in forms if command == "train" else forms[::4]:
                        with self.subTest(command=command, words=words):
                            self.refused(flag, "a value is missing", command, *subject(command), *words)
            self.refused("-o", "a value is missing", "compile", "mlp", "-o")
            self.refused("-o", "a value is missing", "compile", "mlp", "-o", "--json")
            self.assertEqual(os.listdir("."), [], "a word became a file")

    def test_values_after_a_space_and_after_equals(self):
        with tempfile.TemporaryDirectory() as folder:
            for number, words in enumerate((["-o", f"{folder}/0.ingot"], [f"-o={folder}/1.ingot"],
                                            ["--output", f"{folder}/2.ingot"], [f"--output={folder}/3.ingot"])):
                self.assertEqual(run("compile", "mlp", "--layers=4,3", "--batch", "2", *words).returncode, 0)
                self.assertTrue(os.path.exists(f"{folder}/{number}.ingot"), words)

    def test_numbers_that_are_none_or_do_not_fit(self):
        never = ["x", "1x", "nan", "inf", "-inf", "-99999999999999999999", "0x10", " 1", "1 ", "++1", "1e400", "1,5", "--1"]
        for command in COMMANDS:
            for flag, kind in options(command):
                if kind not in ("INT", "FLOAT"):
                    continue
                wrong = never + (["99999999999999999999", "1.5", "1e3"] if kind == "INT" else [])
                for value in wrong if flag in ("--steps", "--lr") else [wrong[0], wrong[2], wrong[-3]]:
                    with self.subTest(command=command, flag=flag, value=value):
                        self.refused(flag, f"'{value}' is not a", command, *subject(command), f"{flag}={value}")

    def test_what_is_allowed_is_said(self):
        for expected, *arguments in [
                ("--steps: '-1' is not a whole number, 0 or more", "train", "mlp", "--steps=-1"),
                ("--steps: '99999999999999999999' is not a whole number from 0 to 9223372036854775807", "train", "mlp",
                 "--steps=99999999999999999999"),
                ("--seed: '-1' is not a whole number, 0 or more", "train", "mlp", "--seed=-1"),
                ("--beta1: '1' is not a number from 0 to below 1", "train", "mlp", "--beta1=1"),
                ("--epsilon: '0' is not a number above 0", "train", "mlp", "--epsilon=0"),
                ("--lr: 'nan' is not a number from 0 to 3.40", "train", "mlp", "--lr=nan"),
                ("--lr: '1e39' is not", "train", "mlp", "--lr=1e39"),
                ("--loss: unknown value 'mes'; did you mean 'mse'?", "train", "mlp", "--loss=mes"),
                ("--class-weights: 'x' is not a number, 0 or more", "train", "mlp", "--class-weights=1,x"),
                ("--class-weights: '' is not a number", "train", "mlp", "--class-weights=1,"),
                ("--label-smoothing: '1.5' is not a number from 0 to 1", "train", "mlp", "--label-smoothing=1.5"),
                ("--margin-power: '3' is not a whole number from 1 to 2", "train", "mlp", "--margin-power=3"),
                ("--keep: '0' is not a whole number, 1 or more", "train", "mlp", "--keep=0"),
                ("--eval-split: '1' is not a number from 0 to below 1", "train", "mlp", "--eval-split=1"),
                ("--threads: '5000' is not a whole number from 0 to 4096", "plan", "mlp", "--threads=5000"),
                ("--heads: '0' is not a whole number from 1 to 2147483648", "plan", "gpt", "--heads=0"),
                ("--layers: '0' is not a whole number from 1 to", "plan", "gpt", "--layers=0"),
                ("--layers: 'x' is not a whole number from 1 to", "plan", "mlp", "--layers=4,x"),
                ("--batch: '99999999999999999999' is not", "plan", "mlp", "--batch=99999999999999999999"),
                ("--memory: 'nan' is not a size", "plan", "mlp", "--memory=nan"),
                ("--memory: '1XB' is not a size", "plan", "mlp", "--memory=1XB"),
                ("--budget: '0' is not a number above 0", "tune", "mlp", "--budget=0"),
                ("--temperature: 'nan' is not a number, 0 or more", "generate", "x", "--temperature=nan")]:
            with self.subTest(arguments=arguments):
                process = run(*arguments)
                self.assertEqual(process.returncode, 2, process.stderr)
                self.assertIn(expected, process.stderr)

    def test_a_machine_is_described_by_its_caches(self):
        """Sizes of blocks follow what is said of a CPU, wherever the code is compiled."""
        def schedule(target):
            process = run("compile", "mlp", "--layers=2048,512,64", "--batch=512", "--emit=schedule",
                          f"--target=cpu:x86-64-v4{target}")
            self.assertEqual(process.returncode, 0, process.stderr)
            return process.stdout

        small = schedule(",l1=32K,l1_ways=8,l2=1M")
        self.assertNotEqual(small, schedule(",l1=48K,l1_ways=12,l2=2M"))
        self.assertEqual(small, schedule(",l2=1024K,l1=32K,l1_ways=8"))
        for word in ["l1=x", "l3=4M", "l2", "l2=0", "l2=3G", "l1=-4K", "l1_ways=65", "l1_ways=1K", ""]:
            with self.subTest(word=word):
                self.refused("--target", f"'{word}' says nothing of a CPU's caches", "compile", "mlp",
                             f"--target=cpu:x86-64-v4,{word}")

    def test_groups_of_parameters(self):
        fixed = ["train", "mlp", "--layers=4,3", "--batch=2", "--data=random", "--steps=2", "--json", "--lr=0.1"]
        losses = {}
        for name, groups in {"none": [], "frozen": [".*weight;frozen=true", ".*;rate_factor=0"],
                             "rates": [".*;rate_factor=0;weight_decay=0"], "same": [".*bias;rate_factor=1"]}.items():
            process = run(*fixed, *(f"--group={group}" for group in groups))
            self.assertEqual(process.returncode, 0, process.stderr)
            losses[name] = [line["loss"] for line in lines(process)[:2]]
        self.assertEqual(losses["none"], losses["same"])
        self.assertEqual(losses["frozen"], losses["rates"])
        self.assertNotEqual(losses["none"][1], losses["frozen"][1])
        for expected, group in [("frozen: 'maybe' is not true or false", "x;frozen=maybe"),
                                ("there is no 'rate'; there are pattern, frozen, rate_factor, weight_decay, adamw", "x;rate=1"),
                                ("'frozen' is not NAME=VALUE", "x;frozen"), ("'' is not NAME=VALUE", "x;"),
                                ("rate_factor: '-1' is not a number, 0 or more", "x;rate_factor=-1"),
                                ("does nothing for the optimizer adamw", ".*weight;adamw=true"),
                                ("'[' is no regular expression", "[")]:
            with self.subTest(group=group):
                self.refused("--group", expected, *fixed, f"--group={group}")

    def test_options_that_do_not_apply_are_named(self):
        with tempfile.TemporaryDirectory() as folder:
            text = write(folder, "text.txt", TEXT)
            run("compile", "mlp", "--layers=4,3", "--batch=2", "-o", f"{folder}/m.ingot")
            write(folder, "m.onnx", onnx_file.classifier(2))
            run("train", "mlp", "--layers=4,3", "--batch=2", "--data=random", "--steps=1", f"--out={folder}/run")
            random = ["--data=random", "--steps=0"]
            for flag, *arguments in [
                    ("--beta1", "train", "mlp", *random, "--optimizer=sgd", "--beta1=0.5"),
                    ("--epsilon", "train", "mlp", *random, "--optimizer=sgd", "--epsilon=1"),
                    ("--momentum", "train", "mlp", *random, "--momentum=0.5"),
                    ("--epsilon", "train", "mlp", *random, "--optimizer=lion", "--epsilon=1"),
                    ("--dampening", "train", "mlp", *random, "--optimizer=rmsprop", "--dampening=0.5"),
                    ("--dampening", "train", "mlp", *random, "--optimizer=sgd", "--dampening=0.5"),
                    ("--nesterov", "train", "mlp", *random, "--optimizer=adagrad", "--nesterov"),
                    ("--centered", "train", "mlp", *random, "--optimizer=sgd", "--centered"),
                    ("--rho", "train", "mlp", *random, "--optimizer=nadam", "--rho=0.5"),
                    ("--momentum", "train", "mlp", *random, "--optimizer=adam", "--momentum=0.5"),
                    ("--momentum", "train", "mlp", *random, "--optimizer=lamb", "--momentum=0.5"),
                    ("--beta2", "train", "mlp", *random, "--optimizer=adafactor", "--beta2=0.5"),
                    ("--nesterov", "train", "mlp", *random, "--optimizer=muon", "--nesterov"),
                    ("--match-rms", "train", "mlp", *random, "--optimizer=adamw", "--match-rms"),
                    ("--update-limit", "train", "mlp", *random, "--optimizer=lamb", "--update-limit=2"),
                    ("--margin", "train", "mlp", *random, "--margin=2"),
                    ("--class-axis", "train", "mlp", *random, "--loss=mse", "--class-axis=0"),
                    ("--ignore-index", "train", "mlp", *random, "--loss=huber", "--ignore-index=2"),
                    ("--label-smoothing", "train", "mlp", *random, "--loss=nll", "--label-smoothing=0.1"),
                    ("--loss-reduction", "train", "mlp", *random, "--loss=none", "--loss-reduction=sum"),
                    ("--heads", "train", "mlp", *random, "--heads=2"),
                    ("--tokenizer", "train", "mlp", *random, "--tokenizer=byte"),
                    ("--scale", "train", "mlp", *random, "--scale=2"),
                    ("--scale", "train", *TINY, f"--text={text}", "--scale=2"),
                    ("--eval-split", "train", "mlp", *random, "--eval-split=0.1"),
                    ("--eval-every", "train", *TINY, f"--text={text}", "--eval-every=2"),
                    ("--save-every", "train", "mlp", *random, "--save-every=2"),
                    ("--keep", "train", "mlp", *random, "--keep=2"),
                    ("--memory", "train", "mlp", *random, "--device=reference", "--memory=1GB"),
                    ("--no-cache", "train", "mlp", *random, "--device=reference", "--no-cache"),
                    ("--tf32", "train", "mlp", *random, "--device=reference", "--tf32"),
                    ("--tf32", "train", "mlp", *random, "--tf32"),
                    ("--cache", "train", "mlp", *random, "--no-cache", f"--cache={folder}/cache"),
                    ("--loss", "compile", "mlp", "--loss=mse"),
                    ("--clip", "plan", "mlp", "--inference", "--clip=1"),
                    ("--json", "compile", "mlp", "--emit=graph", "--json"),
                    ("--device", "compile", "mlp", "--device=reference"),
                    ("--top", "plan", "mlp", "--json", "--top=3"),
                    ("--top", "bench", "mlp", "--json", "--top=3"),
                    ("--optimizer", "bench", "mlp", "--inference", "--optimizer=sgd"),
                    ("--batch", "bench", f"{folder}/m.ingot", "--batch=3"),
                    ("--target", "bench", f"{folder}/m.ingot", "--target=cpu"),
                    ("--layers", "run", f"{folder}/m.ingot", "--layers=3,4"),
                    ("--layers", "run", f"{folder}/run", "--layers=3,4"),
                    ("--seed", "run", f"{folder}/run", "--seed=3"),
                    ("--seed", "run", f"{folder}/m.onnx", "--seed=3"),
                    ("--buckets", "run", f"{folder}/m.onnx", "--function=init", "--buckets=pow2"),
                    ("--buckets", "run", f"{folder}/m.ingot", "--buckets=pow2"),
                    ("--buckets", "run", f"{folder}/run", "--buckets=pow2"),
                    ("--buckets", "run", "mlp", "--buckets=off"),
                    ("--parameters", "run", f"{folder}/run", f"--parameters={folder}/run"),
                    ("--tolerance", "run", f"{folder}/run", "--tolerance=1"),
                    ("--loss", "check", "mlp", "--loss=mse"),
                    ("--seed", "eval", f"{folder}/run", f"--text={text}", "--seed=3"),
                    ("--top-k", "generate", f"{folder}/run", "--temperature=0", "--top-k=3"),
                    ("--heads", "inspect", "mlp", "--heads=2"),
                    ("--width", "inspect", f"{folder}/run", "--width=2")]:
                with self.subTest(arguments=arguments):
                    process = run(*arguments)
                    self.assertEqual(process.returncode, 2, process.stderr)
                    self.assertIn(f"ingot: error: {flag}: ", process.stderr)
                    self.assertEqual(process.stdout, "")
            tokenizer = run("eval", f"{folder}/run", f"--text={text}", "--tokenizer=byte")
            self.assertEqual(tokenizer.returncode, 2)
            self.assertIn("unknown flag '--tokenizer'; train takes it; see ingot eval --help", tokenizer.stderr)

    def test_a_tolerance_that_is_no_number_does_not_pass(self):
        with tempfile.TemporaryDirectory() as folder:
            model = write(folder, "m.mlir", """func.func @forward(%x: tensor<2xf32> {graph.name = "x", graph.role = "input"})
    -> (tensor<2xf32> {graph.name = "y"}) {
  return %x : tensor<2xf32>
}
""")
            command = ["run", model, "--device=reference", "--input=2xf32=1,2"]
            process = run(*command, "--expected_output=2xf32=9,9", "--tolerance=nan")
            self.assertEqual(process.returncode, 2)
            self.assertIn("--tolerance: 'nan' is not a number, 0 or more", process.stderr)
            self.assertEqual(run(*command, "--expected_output=2xf32=nan,2").returncode, 1)
            self.assertEqual(run(*command, "--expected_output=2xf32=inf,2", "--tolerance=1e300").returncode, 1)

    def test_elements_that_do_not_fit_their_type(self):
        for text, expected in [("2xi8=1,200", "'200' does not fit i8"), ("1xu8=-1", "'-1' does not fit u8"),
                               ("1xi1=2", "'2' does not fit i1"), ("1xf32=1e39", "'1e39' does not fit f32"),
                               ("1xf16=70000", "'70000' does not fit f16"), ("1xf64=1e400", "'1e400' does not fit f64"),
                               ("1xi64=99999999999999999999", "'99999999999999999999' does not fit i64"),
                               ("1xi32=nan", "nan is not a whole number"), ("1xi32=1.5", "1.5 is not a whole number"),
                               ("1xf32=1x", "'1x' is not a number"), ("9999999999x9999999999xf32=1", "is too large")]:
            with self.subTest(text=text):
                process = run("run", "mlp", "--layers=2,2", "--device=reference", f"--input={text}")
                self.assertEqual(process.returncode, 2, process.stderr)
                self.assertIn(f"--input: ", process.stderr)
                self.assertIn(expected, process.stderr)

    def test_integers_keep_all_their_bits(self):
        model = """func.func @forward(%x: tensor<3xi64> {graph.name = "x", graph.role = "input"})
    -> (tensor<3xi64> {graph.name = "y"}) {
  return %x : tensor<3xi64>
}
"""
        process = run("run", "-", "--device=reference", stdin=model,
                      *["--input=3xi64=9007199254740993,-9223372036854775808,1e3"])
        self.assertEqual(process.stdout, "y: 3xi64=[9007199254740993 -9223372036854775808 1000]\n", process.stderr)


class PrintAfter(unittest.TestCase):
    def test_every_pass_of_the_pipeline_is_known(self):
        unknown = run("compile", "mlp", "--print-after=form-kernel")
        self.assertEqual(unknown.returncode, 2)
        self.assertIn("--print-after: there is no pass 'form-kernel'; did you mean 'form-kernels'?", unknown.stderr)
        names = unknown.stderr.rsplit("passes are ", 1)[1].strip().split(", ")
        for name in ["canonicalize", "cse", "differentiate", "graph-to-linalg", "form-kernels", "plan-memory"]:
            self.assertIn(name, names)
        printed = run("compile", "mlp", "--layers=4,3", "--train", f"--print-after={','.join(names)}")
        self.assertEqual(printed.returncode, 0, printed.stderr)
        for name in names:
            if name != "choose-blocks":  # runs where something was tuned
                self.assertRegex(printed.stderr, rf"IR Dump After .*\({name}\)")

    def test_a_pass_that_does_not_run_is_refused(self):
        for name, *emit in [("lower-kernels",), ("plan-memory", "--emit=graph"), ("lower-kernels", "--emit=llvm")]:
            late = run("compile", "mlp", "--layers=4,3", f"--print-after={name}", *emit)
            self.assertEqual(late.returncode, 2)
            self.assertIn(f"--print-after: pass '{name}' runs after stage", late.stderr)
        loops = run("compile", "mlp", "--layers=4,3", "--print-after=lower-kernels", "--emit=loops")
        self.assertRegex(loops.stderr, r"IR Dump After .*\(lower-kernels\)")

    def test_only_what_is_wanted(self):
        printed = run("compile", "mlp", "--layers=4,3", "--print-after=form-kernels").stderr
        self.assertEqual(printed.count("IR Dump After"), 1)


if __name__ == "__main__":
    unittest.main()
