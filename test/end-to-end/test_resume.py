"""`train --resume`: what it takes over, what it refuses, and that a run that was killed ends as one that was not."""
import json
import os
import random
import re
import signal
import subprocess
import tempfile
import unittest

from support import INGOT, LONG, OPTIMIZERS, TEXT, TINY, every_optimizer, lines, run, write

MLP = ["mlp", "--layers=4,8,3", "--batch=4"]


def idx(shape, values):
    return bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape) + bytes(values)


def contents(folder):
    with open(f"{folder}/latest") as file:
        name = file.read().strip()
    with open(f"{folder}/{name}", "rb") as checkpoint, open(f"{folder}/losses.json", "rb") as losses:
        return name, checkpoint.read(), losses.read()


def change_options(folder, change):
    """Rewrites what the newest checkpoint says of the options."""
    path = f"{folder}/{contents(folder)[0]}"
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header, tensors = json.loads(file.read(length)), file.read()
    options = json.loads(header["__metadata__"]["options"])
    change(options)
    header["__metadata__"]["options"] = json.dumps(options)
    del header["__metadata__"]["ingot.xxh3"]
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + tensors)


class Resume(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.text = write(self.folder, "text.txt", TEXT)
        self.arrays = ",".join([write(self.folder, "x", idx((64, 4), (i * 7 % 251 for i in range(256)))),
                                write(self.folder, "y", idx((64,), (i * i % 3 for i in range(64))))])

    def train(self, *arguments, code=0):
        process = run("train", *arguments)
        self.assertEqual(process.returncode, code, f"{arguments}: {process.stderr}")
        return process.stderr

    def path(self, name):
        return f"{self.folder}/{name}"

    def first_half(self):
        self.train(*MLP, f"--data={self.arrays}", "--scale=0.01", "--eval-split=0.25", "--lr=0.003", "--schedule=cosine",
                   "--warmup=3", "--decay-steps=40", "--optimizer=sgd", "--momentum=0.5", "--clip=2", "--seed=9",
                   "--eval-every=5", "--eval-batches=2", "--steps=10", f"--out={self.path('run')}")
        return ["train", "mlp", f"--data={self.arrays}", "--steps=40", f"--out={self.path('run')}", "--resume"]

    def test_every_option_is_restored_and_said(self):
        notes = self.train(*self.first_half()[1:])
        line = next(line for line in notes.splitlines() if line.startswith("note: restored from the checkpoint: "))
        self.assertEqual(set(line.split(": ")[2].split()),
                         {"--layers=4,8,3", "--batch=4", "--scale=0.01", "--eval-split=0.25", "--lr=0.003",
                          "--schedule=cosine", "--warmup=3", "--decay-steps=40", "--optimizer=sgd", "--momentum=0.5",
                          "--clip=2", "--seed=9", "--eval-every=5", "--eval-batches=2"})
        self.train(*MLP, f"--data={self.arrays}", "--scale=0.01", "--eval-split=0.25", "--lr=0.003", "--schedule=cosine",
                   "--warmup=3", "--optimizer=sgd", "--momentum=0.5", "--clip=2", "--seed=9", "--eval-every=5",
                   "--eval-batches=2", "--steps=40", f"--out={self.path('whole')}")
        self.assertEqual(contents(self.path("whole")), contents(self.path("run")))

    def test_what_must_be_the_same_is_refused_by_name(self):
        resume = self.first_half()
        other = ",".join([write(self.folder, "other", idx((64, 4), (i * 5 % 251 for i in range(256)))), self.path("y")])
        for expected, *changed in [("--scale: ", "--scale=0.02"), ("--eval-split: ", "--eval-split=0.5"),
                                   ("--data: ", f"--data={other}"), ("another model", "--batch=all"),
                                   ("another model", "--layers=4,9,3"),
                                   ("--momentum: RUN was trained with 0.5", "--momentum=0.6"),
                                   ("--optimizer: RUN was trained with sgd", "--optimizer=adam"),
                                   ("--seed: ", "--seed=8")]:
            with self.subTest(changed=changed):
                self.assertIn(expected.replace("RUN", self.path("run")), self.train(*resume[1:], *changed, code=2))
        before = contents(self.path("run"))
        self.train(*TINY, f"--text={self.text}", "--steps=2", f"--out={self.path('gpt')}")
        again = write(self.folder, "again.txt", TEXT[1:] + TEXT[0])
        refused = self.train(*TINY, f"--text={again}", "--steps=4", f"--out={self.path('gpt')}", "--resume", code=2)
        self.assertIn(f"--text: {self.path('gpt')} was trained with other data", refused)
        self.train(*TINY, f"--text={self.text}", "--steps=4", f"--out={self.path('gpt')}", "--resume")
        self.assertEqual(contents(self.path("run")), before)

    def test_another_tokenizer_is_refused_as_such(self):
        self.train(*TINY, f"--text={self.text}", "--steps=1", f"--out={self.path('run')}")
        refused = self.train("gpt", f"--text={self.text}", "--tokenizer=byte", "--steps=2", f"--out={self.path('run')}",
                             "--resume", code=2)
        self.assertIn(f"--tokenizer: {self.path('run')} was trained with another one, of ", refused)

    def test_defaults_are_not_said_to_be_restored(self):
        for optimizer in ("adamw", "sgd", "lion", "rmsprop", "lamb", "adafactor", "muon"):
            start = [*MLP, "--data=random", f"--optimizer={optimizer}", f"--out={self.path(optimizer)}"]
            self.train(*start, "--steps=1")
            self.assertNotIn("restored", self.train(*start, "--steps=2", "--resume"))
        refused = self.train(*MLP, "--data=random", "--steps=3", f"--out={self.path('adamw')}", "--resume",
                             "--loss-output=logits", code=2)
        self.assertIn(f"--loss-output: {self.path('adamw')} was trained with none", refused)

    def test_numbers_of_the_loss_are_restored(self):
        start = [*MLP, f"--data={self.arrays}", "--label-smoothing=0.2", "--class-weights=1,2,3"]
        self.train(*start, "--steps=6", f"--out={self.path('whole')}")
        self.train(*start, "--steps=3", f"--out={self.path('parts')}")
        resume = ["mlp", f"--data={self.arrays}", "--steps=6", f"--out={self.path('parts')}", "--resume"]
        for flag, was in [("--label-smoothing=0.1", "0.2"), ("--class-weights=1,2,4", "1,2,3"), ("--ignore-index=1", "unset")]:
            refused = self.train(*resume, flag, code=2)
            self.assertIn(f"{flag.split('=')[0]}: {self.path('parts')} was trained with {was}", refused)
        notes = self.train(*resume)
        self.assertIn("--class-weights=1,2,3 --label-smoothing=0.2", notes)
        self.assertEqual(contents(self.path("parts")), contents(self.path("whole")))

    def test_options_that_an_older_build_did_not_know_have_their_defaults(self):
        start = [*MLP, f"--data={self.arrays}", "--scale=0.01", "--optimizer=sgd", "--momentum=0.5"]
        self.train(*start, "--steps=6", f"--out={self.path('whole')}")
        self.train(*start, "--steps=3", f"--out={self.path('old')}")

        def forget(options):
            kept = {"training": ["loss", "optimizer", "momentum"], "run": ["schedule", "scale", "data"]}
            for part, names in kept.items():
                self.assertGreater(len(options[part]), len(names))
                options[part] = {name: options[part][name] for name in names}
            del options["run"]["schedule"]["warmup"]

        change_options(self.path("old"), forget)
        self.train("mlp", f"--data={self.arrays}", "--steps=6", f"--out={self.path('old')}", "--resume")
        self.assertEqual(contents(self.path("old")), contents(self.path("whole")))
        change_options(self.path("old"), lambda options: options.update(training=[]))
        self.assertIn("training: must be a JSON object", self.train(
            "mlp", f"--data={self.arrays}", "--steps=9", f"--out={self.path('old')}", "--resume", code=1))

    def test_mixed_precision_is_kept(self):
        start = [*TINY, f"--text={self.text}", "--eval-split=0.2", "--eval-every=2"]
        self.train(*start, "--dtype=bf16", "--steps=6", f"--out={self.path('whole')}")
        self.train(*start, "--steps=6", f"--out={self.path('wide')}")
        self.assertNotEqual(contents(self.path("wide"))[2], contents(self.path("whole"))[2])
        self.train(*start, "--dtype=bf16", "--steps=4", f"--out={self.path('parts')}")
        notes = self.train(*start, "--steps=6", f"--out={self.path('parts')}", "--resume")
        self.assertIn("restored from the checkpoint: --dtype=bf16", notes)
        self.assertEqual(contents(self.path("parts")), contents(self.path("whole")))
        # Weights and moments are f32: only they and their names say what a checkpoint holds.
        _, whole, _ = contents(self.path("whole"))
        self.assertEqual(set(re.findall(rb'"dtype":"(\w+)"', whole[:int.from_bytes(whole[:8], "little")])), {b"F32"})
        refused = self.train(*start, "--dtype=f32", "--steps=8", f"--out={self.path('whole')}", "--resume", code=2)
        self.assertIn(f"--dtype: {self.path('whole')} was trained with bf16", refused)
        for command in (["eval", f"--text={self.text}", "--batches=2"], ["generate", "--prompt=the ", "--tokens=3"]):
            process = run(command[0], self.path("whole"), *command[1:])
            self.assertEqual(process.returncode, 0, process.stderr)
        self.assertIn("--dtype", self.train(*TINY, "--data=random", "--steps=1", "--dtype=f16", code=2))

    def test_groups_are_said_as_flags(self):
        start = [*MLP, "--data=random", f"--out={self.path('run')}"]
        groups = ["--group=.*bias;frozen=true", "--group=layers\\.0.*;rate_factor=0.5;weight_decay=0"]
        self.train(*start, *groups, "--steps=2")
        spoken = [group.replace("=", "='", 1) + "'" for group in groups]
        self.assertIn(" ".join(spoken), self.train(*start, "--steps=3", "--resume"))
        self.train(*start, *groups, "--steps=4", "--resume")
        refused = self.train(*start, "--steps=5", "--resume", groups[0], code=2)
        self.assertIn(f"--group: {self.path('run')} was trained with '.*bias;frozen=true' and 'layers", refused)
        self.train(*MLP, "--data=random", f"--out={self.path('plain')}", "--steps=1")
        refused = self.train(*MLP, "--data=random", f"--out={self.path('plain')}", "--steps=2", "--resume", groups[0], code=2)
        self.assertIn(f"--group: {self.path('plain')} was trained with none", refused)

    def test_what_may_change_is_said(self):
        notes = self.train(*self.first_half()[1:], "--lr=0.001", "--eval-every=10")
        self.assertIn("note: --lr was 0.003 up to step 10\n", notes)
        self.assertIn("note: --eval-every was 5 up to step 10\n", notes)

    def test_the_horizon_of_a_schedule(self):
        resume = self.first_half()
        refused = self.train(*resume[1:], "--steps=50", code=2)
        self.assertIn("--steps: the checkpoint's cosine schedule ends at step 40: --decay-steps=40 keeps it, "
                      "--decay-steps=50 stretches it", refused)
        self.assertIn("note: --decay-steps was 40 up to step 10", self.train(*resume[1:], "--steps=12", "--decay-steps=50"))
        self.train(*resume[1:], "--steps=14", "--decay-steps=50")
        self.assertIn("--decay-steps: applies to --schedule", self.train(*MLP, "--data=random", "--decay-steps=3", code=2))

    def test_evaluating_scales_as_training_did(self):
        self.first_half()
        given, taken = (lines(run("eval", self.path("run"), f"--data={self.arrays}", "--json", *flags))[0]
                        for flags in (["--scale=0.01"], []))
        self.assertEqual(given, taken)
        self.assertNotEqual(given["loss"], lines(run("eval", self.path("run"), f"--data={self.arrays}", "--json", "--scale=1"))[0]["loss"])

    def test_every_optimizer_resumes_bit_identically(self):
        self.assertEqual(set(OPTIMIZERS), set(every_optimizer()))
        for optimizer, more in OPTIMIZERS.items():
            with self.subTest(optimizer=optimizer):
                start = [*MLP, "--data=random", f"--optimizer={optimizer}", *more, "--lr=0.01"]
                whole, half = self.path(f"whole-{optimizer}"), self.path(f"half-{optimizer}")
                self.train(*start, "--steps=20", f"--out={whole}")
                self.train(*start, "--steps=9", f"--out={half}")
                self.train(MLP[0], "--data=random", "--steps=20", f"--out={half}", "--resume")
                self.assertEqual(contents(whole), contents(half))

    def test_random_options_and_kills(self):
        """Bytes of checkpoint and losses equal those of an undisturbed run, whatever the options and the moment."""
        draw = random.Random()
        seed = draw.randrange(10**6)
        draw.seed(seed)
        for trial in range(12 if LONG else 3):
            options = draw.choice([[*MLP, f"--data={self.arrays}", "--scale=0.01"],
                                   [*TINY, f"--text={self.text}"],
                                   ["mlp", "--layers=4,8,3", "--batch=all", f"--data={self.arrays}"]])
            options += draw.choice([["--optimizer=sgd", f"--momentum={draw.choice([0, 0.9])}"], ["--beta1=0.8", "--weight-decay=0.1"], []])
            options += draw.choice([["--schedule=cosine", "--warmup=20"], ["--schedule=linear"], []])
            options += draw.choice([[], ["--clip=0.5"], ["--accumulate=2"] if "--batch=all" not in options else []])
            if "--batch=all" not in options:
                options += draw.choice([[], ["--eval-split=0.25", f"--eval-every={draw.randint(7, 60)}", "--eval-batches=2"]])
            model, data = options[0], next(option for option in options if option.startswith(("--data", "--text")))
            run_length = ["--steps=400", f"--save-every={draw.randint(5, 50)}"]
            start = [*options, f"--seed={draw.randrange(100)}", f"--lr={draw.choice([0.001, 0.01])}", *run_length]
            with self.subTest(seed=seed, trial=trial, options=start):
                whole, killed = self.path(f"whole{trial}"), self.path(f"killed{trial}")
                self.train(*start, f"--out={whole}")
                command = [INGOT, "train", *start, f"--out={killed}", "--resume"]
                for number in range(4):
                    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                        try:
                            process.wait(timeout=draw.uniform(0.05, 0.6))
                        except subprocess.TimeoutExpired:
                            process.send_signal(draw.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM]))
                    if os.path.exists(f"{killed}/latest"):  # from now on the checkpoint knows the options
                        command = [INGOT, "train", model, data, *run_length, f"--out={killed}", "--resume"]
                process = subprocess.run(command, capture_output=True, text=True)
                self.assertEqual(process.returncode, 0, process.stderr)
                self.assertEqual(contents(whole), contents(killed))
                steps = [step for step, _ in json.loads(contents(killed)[2])["validation"]]
                self.assertEqual(steps, sorted(set(steps)))


class OneWriter(unittest.TestCase):
    def test_a_second_run_is_refused_and_a_dead_ones_lock_is_taken_over(self):
        with tempfile.TemporaryDirectory() as folder:
            out = f"{folder}/run"
            command = ["train", *MLP, "--data=random", f"--out={out}", "--save-every=50", "--json"]
            with subprocess.Popen([INGOT, *command, "--steps=100000000"], stdout=subprocess.PIPE, text=True) as first:
                for _ in range(60):
                    first.stdout.readline()
                for flags in ([], ["--resume"]):
                    second = run(*command, "--steps=3", *flags)
                    self.assertEqual(second.returncode, 1, second.stderr)
                    self.assertIn(f"{out}: process {first.pid} writes there at this moment", second.stderr)
                self.assertEqual(sorted(os.listdir(folder)), ["run"])
                first.stdout.readline()
                first.kill()
            self.assertTrue(os.path.exists(f"{out}/.lock"))
            fresh = run(*command, "--steps=3")
            self.assertEqual(fresh.returncode, 0, fresh.stderr)
            self.assertEqual(sorted(os.listdir(folder)), ["run", "run.1"])
            self.assertFalse(os.path.exists(f"{out}/.lock") or os.path.exists(f"{out}.1/.lock"))


if __name__ == "__main__":
    unittest.main()
