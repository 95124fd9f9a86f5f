#!/usr/bin/env python3
"""Runs Ingot's tests: run.py BUILD_DIR [all] [FILTER].

gtest executables of BUILD_DIR/bin/tests, lit over test/**/*.mlir and the end-to-end tests of
test/end-to-end/test_*.py run side by side. Names that contain FILTER run (an executable, file or
test); `all` adds the long tiers: INGOT_LONG_TESTS=1, lint over the whole tree, and the unit tests of
the builds asan and tsan beside BUILD_DIR. The last line is
`N passed, N failed, N skipped`; the exit code is 1 if a test failed or if nothing ran.

Tests that draw numbers take their seed from INGOT_TEST_SEED, which is drawn afresh unless it is set; a run with failures
says which it was.
"""
import concurrent.futures
import dataclasses
import glob
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
LIT = "/usr/lib/llvm-22/bin/lit"
WORKERS = len(os.sched_getaffinity(0))
TIMEOUT = 1500  # seconds for one job; a hang is a failure, not a stuck run
LIMIT = 6000  # characters of a failing test's output that are worth printing


@dataclasses.dataclass
class Outcome:
    """What one job did: counts, and what a reader must see."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list = dataclasses.field(default_factory=list)  # (test, output)
    skips: list = dataclasses.field(default_factory=list)  # (test, reason)

    def add(self, test, state, text=""):
        if state == "passed":
            self.passed += 1
        elif state == "skipped":
            self.skipped += 1
            self.skips.append((test, text.strip() or "no reason given"))
        else:
            self.failed += 1
            self.failures.append((test, text))


@dataclasses.dataclass
class Job:
    name: str
    command: list
    read: object  # (Outcome, results path, process output, exit code) -> None
    environment: dict = dataclasses.field(default_factory=dict)
    timeout: int = TIMEOUT

    def run(self, environment):
        outcome = Outcome()
        start = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            results = os.path.join(folder, "results.json")
            command = [part.replace("{results}", results) for part in self.command]
            # TMPDIR of its own: tests of two jobs cannot meet in one file, and nothing stays behind.
            own = {**environment, **self.environment, "TMPDIR": folder}
            try:
                process = subprocess.run(
                    command, env=own, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT, text=True, errors="replace", timeout=self.timeout)
                output, code = process.stdout, process.returncode
            except subprocess.TimeoutExpired as expired:
                text = expired.stdout or b""
                output = text.decode(errors="replace") if isinstance(text, bytes) else text
                output, code = f"{output}\nstopped after {self.timeout} s", -1
            self.read(outcome, results, output, code)
            if code != 0 and not outcome.failed:
                outcome.add(self.name, "failed", f"exit code {code}\n{output}")
        return self, outcome, time.monotonic() - start


def load(path):
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        return None


# --- gtest ---------------------------------------------------------------------------------------


def section(output, test):
    """The part of a gtest run's output that belongs to one test."""
    match = re.search(
        rf"\[ RUN      \] {re.escape(test)}\n(.*?)(?=\[  (?:FAILED|SKIPPED) |\[       OK |\Z)", output, re.S)
    return match.group(1) if match else ""


def ending(code):
    """How a process ended that was not to."""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"


def read_gtest(outcome, results, output, code):
    report = load(results)
    if report is None:
        # It crashed: what it printed says how far it came.
        begun = re.findall(r"^\[ RUN      \] (\S+)", output, re.M)
        for test in begun:
            ended = re.search(rf"^\[ +(OK|FAILED|SKIPPED) +\] {re.escape(test)}\b", output, re.M)
            state = {"OK": "passed", "SKIPPED": "skipped"}.get(ended and ended.group(1), "failed")
            note = "" if ended else f"crashed ({ending(code)}); the tests behind it did not run\n"
            outcome.add(test, state, note + section(output, test))
        return
    for suite in report["testsuites"]:
        for case in suite["testsuite"]:
            if case["status"] == "NOTRUN":
                continue
            test = f"{suite['name']}.{case['name']}"
            if case.get("failures"):
                outcome.add(test, "failed", section(output, test))
            elif case["result"] == "SKIPPED":
                lines = [line for line in section(output, test).splitlines() if line.strip()]
                outcome.add(test, "skipped", lines[-1] if lines else "")
            else:
                outcome.add(test, "passed")


def gtest_jobs(build, pattern, label=""):
    """`label` tells a sanitized build's tests from the release build's."""
    for path in sorted(glob.glob(os.path.join(build, "bin", "tests", "*"))):
        if not os.access(path, os.X_OK) or os.path.isdir(path):
            continue
        name = os.path.basename(path)
        command = [path, "--gtest_output=json:{results}", "--gtest_color=no"]
        if pattern and pattern not in name:
            command.append(f"--gtest_filter=*{pattern}*")
        for shard in range(WORKERS):
            yield Job(f"{label}{name} {shard + 1}/{WORKERS}", command, read_gtest,
                      {"GTEST_TOTAL_SHARDS": str(WORKERS), "GTEST_SHARD_INDEX": str(shard)})


# --- lit -----------------------------------------------------------------------------------------

LIT_STATES = {"PASS": "passed", "XFAIL": "passed", "UNSUPPORTED": "skipped", "SKIPPED": "skipped"}


def read_lit(outcome, results, output, code):
    for test in (load(results) or {"tests": []})["tests"]:
        if test["code"] != "EXCLUDED":
            outcome.add(test["name"], LIT_STATES.get(test["code"], "failed"), test["output"])


def lit_jobs(build, pattern):
    files = [file for file in glob.glob(os.path.join(HERE, "**", "*.mlir"), recursive=True)
             if not pattern or pattern in os.path.relpath(file, HERE)]
    if not files:
        return
    if not os.path.exists(os.path.join(build, "bin", "ingot-opt")):
        yield Job("lit", ["true"],
                  lambda outcome, *_: outcome.add("lit", "skipped", "this build has no ingot-opt"))
        return
    command = [LIT, "-j1", "-q", "--allow-empty-runs", "--param", f"build={build}", "-o", "{results}"]
    if pattern:
        command += ["--filter", re.escape(pattern)]
    for shard in range(WORKERS):
        own = [f"--num-shards={WORKERS}", f"--run-shard={shard + 1}", HERE]
        yield Job(f"lit {shard + 1}/{WORKERS}", command + own, read_lit)


# --- end-to-end ----------------------------------------------------------------------------------


def read_python(outcome, results, output, code):
    for test, state, text in load(results) or []:
        outcome.add(test, state, text)


def python_jobs(build, pattern):
    for path in sorted(glob.glob(os.path.join(HERE, "end-to-end", "test_*.py"))):
        name = os.path.basename(path)[:-3]
        if not os.path.exists(os.path.join(build, "bin", "ingot")):
            yield Job(name, ["true"],
                      lambda outcome, *_, name=name: outcome.add(name, "skipped", "this build has no ingot"))
            continue
        tests = "" if pattern in name else pattern
        yield Job(name, [sys.executable, __file__, "--unittest", path, "{results}", tests], read_python)


def flatten(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def run_unittest(path, results, pattern):
    """One end-to-end file in a process of its own; writes [test, state, text] rows."""
    sys.path.insert(0, os.path.dirname(path))
    loader = unittest.TestLoader()
    tests = [test for test in flatten(loader.loadTestsFromName(os.path.basename(path)[:-3]))
             if pattern in test.id()]
    result = unittest.TestResult()
    unittest.TestSuite(tests).run(result)
    rows = {test.id(): (test.id(), "passed", "") for test in tests}
    for test, reason in result.skipped:
        rows[test.id()] = (test.id(), "skipped", reason)
    for test, text in result.failures + result.errors:
        # A failing subtest counts as its test.
        owner = getattr(test, "test_case", test).id()
        rows[owner] = (owner, "failed", rows.get(owner, ("", "", ""))[2] + text)
    for test in result.unexpectedSuccesses:
        rows[test.id()] = (test.id(), "failed", "succeeded, though marked as an expected failure")
    with open(results, "w") as file:
        json.dump(list(rows.values()), file)


# --- lint ----------------------------------------------------------------------------------------


def lint_jobs(build, pattern):
    if pattern and pattern not in "lint":
        return
    command = [sys.executable, os.path.join(ROOT, "tools", "lint"), build, "all"]
    yield Job("lint", command, lambda outcome, results, output, code:
              outcome.add("lint", "failed" if code else "passed", output if code else ""), timeout=4 * TIMEOUT)


# --- the run -------------------------------------------------------------------------------------


def environment_for(build, scratch, long):
    environment = dict(os.environ)
    environment["INGOT"] = os.path.join(build, "bin", "ingot")
    # Tests neither use nor fill the cache of the person who runs them.
    environment["XDG_CACHE_HOME"] = scratch
    shared = os.path.join(os.path.dirname(ROOT), "shared")
    if "SHARED" not in environment and os.path.isdir(shared):
        environment["SHARED"] = shared
    # Undefined behaviour fails a test instead of printing a line that nobody sees.
    environment.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    # LLVM's and MLIR's libraries are not instrumented: containers that cross into them look overrun.
    environment.setdefault("ASAN_OPTIONS", "detect_container_overflow=0")
    environment.setdefault("TSAN_OPTIONS", "halt_on_error=1")
    # One for the whole run, so that it is known of a test that crashes, too.
    environment.setdefault("INGOT_TEST_SEED", str(random.SystemRandom().randrange(2**32)))
    if long:
        environment["INGOT_LONG_TESTS"] = "1"
    return environment


def clip(text):
    text = text.strip("\n")
    if len(text) <= LIMIT:
        return text
    return f"{text[:LIMIT // 2]}\n… {len(text) - LIMIT} characters left out …\n{text[-LIMIT // 2:]}"


def report(job, outcome, seconds):
    if outcome.passed or outcome.failed:
        verdict = "FAILED" if outcome.failed else "ok"
        print(f"{verdict:6} {job.name}: {outcome.passed} passed, {outcome.failed} failed, "
              f"{outcome.skipped} skipped ({seconds:.1f} s)", flush=True)
    for test, text in outcome.failures:
        print(f"\n--- {test}\n{clip(text)}\n", flush=True)


def main(arguments):
    if arguments[:1] == ["--unittest"]:
        run_unittest(*arguments[1:])
        return 0
    if not arguments or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    build, rest = os.path.abspath(arguments[0]), arguments[1:]
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:  # a shell's background job or nohup; tests would inherit it
            signal.signal(number, signal.SIG_DFL)
    long = "all" in rest
    pattern = next((word for word in rest if word != "all"), "")
    jobs = [*python_jobs(build, pattern), *gtest_jobs(build, pattern), *lit_jobs(build, pattern)]
    if long:
        for sanitizer in ("asan", "tsan"):
            jobs += gtest_jobs(os.path.join(os.path.dirname(build), sanitizer), pattern, f"{sanitizer} ")
        jobs += lint_jobs(build, pattern)
    total = Outcome()
    with tempfile.TemporaryDirectory() as scratch, \
            concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        environment = environment_for(build, scratch, long)
        runs = [pool.submit(job.run, environment) for job in jobs]
        for run in concurrent.futures.as_completed(runs):
            job, outcome, seconds = run.result()
            report(job, outcome, seconds)
            total.passed += outcome.passed
            total.failed += outcome.failed
            total.skipped += outcome.skipped
            total.failures += outcome.failures
            total.skips += outcome.skips
    for test, reason in total.skips:
        print(f"skipped {test}: {reason}")
    for test, _ in total.failures:
        print(f"FAILED {test}")
    if total.failures:
        print(f"drawn from INGOT_TEST_SEED={environment['INGOT_TEST_SEED']}")
    if not total.passed + total.failed:
        print(f"nothing ran{f': no test matches {pattern!r}' if pattern else ''}")
    print(f"{total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
