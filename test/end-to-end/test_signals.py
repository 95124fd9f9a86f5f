"""How the process ends: signals, terminals that go away, pipes that close, disks that are full."""
import json
import os
import pty
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from support import INGOT, LONG, TEXT, TINY, lines, run, small_disk, write

MLP = ["mlp", "--layers=4,8,3", "--batch=2"]
ENDLESS = ["train", *MLP, "--data=random", "--steps=100000000"]


def last_step(folder):
    return lines(run("inspect", folder, "--json"))[0]["step"]


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


class Signals(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.out = f"{self.folder}/run"

    def train_until(self, action, before=None, arguments=()):
        """Starts a training, waits for its third step, acts; returns exit code, last step seen, errors."""
        command = [INGOT, *ENDLESS, f"--out={self.out}", "--json", *arguments]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              preexec_fn=before) as process:
            for _ in range(3):
                seen = json.loads(process.stdout.readline())["step"]
            action(process)
            _, errors = process.communicate(timeout=60)
        return process.returncode, seen, errors

    def test_every_signal_saves(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(signal=number):
                code, seen, errors = self.train_until(lambda process: process.send_signal(number))
                self.assertEqual(code, -number, errors)
                self.assertIn("interrupted: the running step is finished and saved", errors)
                self.assertGreaterEqual(last_step(self.out), seen)

    def test_ignored_signals_stay_ignored(self):
        def act(process):
            process.send_signal(signal.SIGHUP)  # nohup has it ignored
            for _ in range(200):
                process.stdout.readline()
            process.send_signal(signal.SIGTERM)

        code, _, errors = self.train_until(act, before=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.assertEqual(code, -signal.SIGTERM, errors)
        self.assertGreater(last_step(self.out), 100)

    def test_a_reader_that_goes_away_ends_the_training_in_order(self):
        code, seen, errors = self.train_until(lambda process: process.stdout.close())
        self.assertEqual(code, -signal.SIGPIPE, errors)
        self.assertGreaterEqual(last_step(self.out), seen)

    def test_a_second_signal_ends_at_once(self):
        def act(process):
            process.send_signal(signal.SIGSTOP)
            process.send_signal(signal.SIGTERM)
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGCONT)

        code, _, errors = self.train_until(act)
        self.assertIn(code, (-signal.SIGINT, -signal.SIGTERM), errors)

    def test_a_terminal_that_is_closed(self):
        """The session leader's terminal goes away: the kernel sends SIGHUP, and writing to it fails."""
        parent, child = pty.openpty()
        process = subprocess.Popen([INGOT, *ENDLESS, f"--out={self.out}"], stdin=child, stdout=child, stderr=child,
                                   preexec_fn=self.become_leader)
        os.close(child)
        output = b""
        while b"examples/s" not in output:
            output += os.read(parent, 4096)
        os.close(parent)
        self.assertEqual(process.wait(timeout=60), -signal.SIGHUP)
        self.assertGreaterEqual(last_step(self.out), 1)

    @staticmethod
    def become_leader():
        import fcntl
        import termios
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    @unittest.skipUnless(shutil.which("tmux"), "tmux is not installed")
    def test_in_tmux(self):
        socket = f"{self.folder}/tmux"
        tmux = ["tmux", "-S", socket, "-f", "/dev/null"]
        train = " ".join([INGOT, *ENDLESS, f"--out={self.out}"])
        environment = {**os.environ, "TERM": "xterm-256color"}
        subprocess.run([*tmux, "new-session", "-d", "-x", "100", "-y", "30", train], check=True, env=environment)
        self.addCleanup(subprocess.run, [*tmux, "kill-server"], capture_output=True)

        def screen():
            return subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True).stdout

        self.assertTrue(wait_for(lambda: "examples/s" in screen()), screen())
        time.sleep(1)
        shown = screen()
        self.assertEqual(shown.count("examples/s"), 1, shown)  # one live line, replaced in place
        subprocess.run([*tmux, "resize-window", "-x", "40", "-y", "10"], capture_output=True)
        subprocess.run([*tmux, "kill-session"], check=True)
        self.assertTrue(wait_for(lambda: os.path.exists(f"{self.out}/latest")))
        self.assertGreaterEqual(last_step(self.out), 1)


class Pipes(unittest.TestCase):
    """A reader that wants no more ends a command quietly; a disk that is full ends it with an error. Neither crashes."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        text, program, out = write(cls.folder, "text.txt", TEXT), f"{cls.folder}/m.ingot", f"{cls.folder}/run"
        assert run("compile", *MLP, "-o", program).returncode == 0
        assert run("train", *TINY, f"--text={text}", "--steps=1", f"--out={out}").returncode == 0
        ptx = write(cls.folder, "k.ptx", ".version 8.0\n.target sm_80\n.address_size 64\n.visible .entry k() { ret; }\n")
        cls.commands = [["--help"], ["--version"], ["inspect", "gpt"], ["inspect", "gpt", "--json"], ["inspect", program],
                        ["inspect", out, "--json"], ["compile", "gpt", "--emit=graph"], ["compile", *MLP, "--emit=llvm"],
                        ["compile", *MLP, "-o", "-"], ["compile", *MLP, "--json"], ["plan", *MLP], ["plan", *TINY, "--json"],
                        ["bench", *MLP, "--steps=1"], ["bench", *MLP, "--steps=1", "--json"], ["check", *TINY],
                        ["check", *MLP, "--json"], ["devices"], ["devices", "--json"],
                        ["eval", out, f"--text={text}", "--batches=1"], ["generate", out, "--tokens=5"],
                        ["generate", out, "--tokens=5", "--json"], ["train", *MLP, "--data=random", "--steps=3"],
                        ["train", *MLP, "--data=random", "--steps=300", "--json"],
                        ["run", "mlp", "--layers=2,2", "--batch=1", "--input=1x2xf32=1"],
                        ["tune", *MLP, "--budget=1", "--json"]]
        cls.commands += [[command, "--help"] for command in ("train", "emulate", "run")]
        if "unknown" not in run("emulate", "--help").stderr:
            cls.commands += [["emulate", ptx], ["emulate", ptx, "--json"]]

    def test_full_disk(self):
        for arguments in self.commands:
            with self.subTest(arguments=arguments), open("/dev/full", "w") as full:
                process = subprocess.run([INGOT, *arguments], stdout=full, stderr=subprocess.PIPE, text=True)
                self.assertEqual(process.returncode, 1, process.stderr)
                self.assertIn("cannot write", process.stderr)

    def test_errors_that_cannot_be_shown(self):
        for arguments in self.commands + [["train", "gtp"], ["inspect", "/no/such/file.mlir"]]:
            with self.subTest(arguments=arguments), open("/dev/full", "w") as full:
                process = subprocess.run([INGOT, *arguments], stdout=subprocess.PIPE, stderr=full)
                self.assertIn(process.returncode, (0, 1, 2))

    def test_closed_pipe(self):
        """SIGPIPE ends the command; where it is ignored, the failed write is an error."""
        for arguments in self.commands:
            for ignored, codes in ((False, (0, -signal.SIGPIPE)), (True, (1,))):
                with self.subTest(arguments=arguments, ignored=ignored):
                    reader, writer = os.pipe()
                    os.close(reader)
                    process = subprocess.run(
                        [INGOT, *arguments], stdout=writer, stderr=subprocess.PIPE, text=True, restore_signals=False,
                        preexec_fn=lambda: signal.signal(signal.SIGPIPE, signal.SIG_IGN if ignored else signal.SIG_DFL))
                    os.close(writer)
                    self.assertIn(process.returncode, codes, process.stderr)
                    if not ignored:
                        self.assertEqual(process.returncode, -signal.SIGPIPE, process.stderr)

    def test_closed_streams(self):
        for arguments in (["inspect", "gpt"], ["devices"], ["train", *MLP, "--data=random", "--steps=3"]):
            process = subprocess.run(f'exec "{INGOT}" {" ".join(arguments)} >&- 2>&-', shell=True)
            self.assertEqual(process.returncode, 1, arguments)


class SmallDisks(unittest.TestCase):
    """Trials on a file system of 256 kB."""

    def setUp(self):
        folder = small_disk(self, 256)
        self.folder = folder

    def test_a_cache_that_cannot_be_written_is_said_once(self):
        for cache in ("/proc/nowhere", self.folder):
            with self.subTest(cache=cache):
                if cache == self.folder:
                    write(self.folder, "filler", b"x" * 250_000)
                process = run("train", *TINY, "--data=random", "--steps=1", f"--cache={cache}")
                self.assertEqual(process.returncode, 0, process.stderr)
                self.assertEqual(process.stderr.count("the cache cannot be written"), 1, process.stderr)
                self.assertIn(cache, process.stderr)

    def test_files_that_do_not_fit(self):
        big = ["mlp", "--layers=500,500", "--batch=2"]
        for arguments in (["train", *big, "--data=random", "--steps=2", f"--out={self.folder}/run"],
                          ["run", "mlp", "--layers=500,500", "--batch=20", "--input=20x500xf32=1", f"--output=@{self.folder}/y.npy"],
                          ["compile", "gpt", "--train", "--emit=llvm", "-o", f"{self.folder}/x.mlir"],
                          ["compile", "gpt", "--train", "-o", f"{self.folder}/x.ingot"],
                          ["train", *big, "--data=random", "--steps=2", f"--profile={self.folder}/trace.json"]):
            with self.subTest(arguments=arguments):
                write(self.folder, "filler", b"x" * 253_000)
                process = run(*arguments)
                self.assertEqual(process.returncode, 1, process.stderr)
                self.assertIn("No space left on device", process.stderr)
                self.assertEqual([name for name in os.listdir(self.folder) if "partial" in name or name.startswith("x.")], [])

    def test_an_earlier_checkpoint_survives(self):
        small = ["train", "mlp", "--layers=50,50", "--batch=2", "--data=random", f"--out={self.folder}/run"]
        self.assertEqual(run(*small, "--steps=2").returncode, 0)
        free = os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize
        write(self.folder, "filler", b"x" * (free - 8192))
        process = run(*small, "--steps=4", "--resume")
        self.assertEqual(process.returncode, 1, process.stderr)
        self.assertIn("No space left on device", process.stderr)
        self.assertEqual(last_step(f"{self.folder}/run"), 2)
        os.remove(f"{self.folder}/filler")
        self.assertEqual(run(*small, "--steps=4", "--resume").returncode, 0)
        self.assertEqual(last_step(f"{self.folder}/run"), 4)


class Killed(unittest.TestCase):
    def test_twelve_times(self):
        """kill -9 at random moments; what is resumed in the end equals an undisturbed run."""
        import random
        draw = random.Random(9)
        with tempfile.TemporaryDirectory() as folder:
            command = ["train", *MLP, "--data=random", "--steps=4000", "--save-every=50"]
            self.assertEqual(run(*command, f"--out={folder}/whole").returncode, 0)
            for _ in range(12 if LONG else 4):
                with subprocess.Popen([INGOT, *command, f"--out={folder}/killed", "--resume"],
                                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                    try:
                        process.wait(timeout=draw.uniform(0.05, 0.7))
                    except subprocess.TimeoutExpired:
                        process.kill()
            process = run(*command, f"--out={folder}/killed", "--resume")
            self.assertEqual(process.returncode, 0, process.stderr)
            for kind in ("whole", "killed"):
                self.assertEqual(last_step(f"{folder}/{kind}"), 4000)
            with open(f"{folder}/whole/step-00004000.safetensors", "rb") as whole, \
                    open(f"{folder}/killed/step-00004000.safetensors", "rb") as killed:
                self.assertEqual(whole.read(), killed.read())


if __name__ == "__main__":
    unittest.main()
