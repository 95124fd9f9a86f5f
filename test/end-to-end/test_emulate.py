"""`ingot emulate`: PTX of any origin, findings, results, exit codes."""
import json
import os
import resource
import tempfile
import unittest

from support import run, write

REVERSE = """.version 7.0
.target sm_80
.address_size 64
.visible .entry reverse(.param .u64 in, .param .u64 out, .param .u32 n)
{
  .reg .pred %p<2>;
  .reg .b32 %r<10>;
  .reg .b64 %rd<8>;
  .shared .align 4 .b8 tile[256];
  ld.param.u64 %rd1, [in];
  ld.param.u64 %rd2, [out];
  ld.param.u32 %r9, [n];
  mov.u32 %r1, %tid.x;
  setp.ge.u32 %p1, %r1, %r9;
  mul.wide.u32 %rd3, %r1, 4;
  add.s64 %rd4, %rd1, %rd3;
  @%p1 bra SKIP;
  ld.global.u32 %r2, [%rd4];
  shl.b32 %r3, %r1, 2;
  mov.u32 %r4, tile;
  add.u32 %r5, %r4, %r3;
  st.shared.u32 [%r5], %r2;
SKIP:
  BARRIER
  @%p1 bra END;
  sub.u32 %r6, %r9, %r1;
  sub.u32 %r6, %r6, 1;
  shl.b32 %r6, %r6, 2;
  add.u32 %r6, %r4, %r6;
  ld.shared.u32 %r7, [%r6];
  add.s64 %rd5, %rd2, %rd3;
  st.global.u32 [%rd5], %r7;
END:
  ret;
}
"""


class Emulate(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def kernel(self, barrier="bar.sync 0;"):
        return write(self.folder.name, "reverse.ptx", REVERSE.replace("BARRIER", barrier))

    def reverse(self, ptx, *more, values="1,2,3,4", n=4):
        return run("emulate", ptx, "--block=64", f"--arg=4xi32={values}", "--arg=4xi32", f"--arg={n}", *more)

    def test_results_come_back(self):
        out = os.path.join(self.folder.name, "out.npy")
        process = self.reverse(self.kernel(), f"--out=1:@{out}")
        self.assertEqual(process.returncode, 0, process.stdout + process.stderr)
        with open(out, "rb") as file:
            numbers = file.read()[-16:]
        self.assertEqual([int.from_bytes(numbers[i : i + 4], "little") for i in (0, 4, 8, 12)], [4, 3, 2, 1])
        self.assertIn("warp instructions", process.stdout)

    def test_a_missing_barrier_is_found(self):
        # Two warps: all 64 threads take part.
        ptx = self.kernel("")
        values = ",".join(str(i) for i in range(64))
        arguments = ["--block=64", f"--arg=64xi32={values}", "--arg=64xi32", "--arg=64"]
        process = run("emulate", ptx, *arguments, "--json")
        self.assertEqual(process.returncode, 1, process.stderr)
        report = json.loads(process.stdout)
        self.assertTrue({finding["check"] for finding in report["findings"]} & {"shared-race", "uninitialised-memory"})
        self.assertEqual(run("emulate", self.kernel(), *arguments).returncode, 0)
        off = run("emulate", self.kernel(""), *arguments, "--off=shared-race", "--off=uninitialised-memory")
        self.assertEqual(off.returncode, 0, off.stdout)

    def test_what_lies_outside_is_found_with_its_buffer(self):
        process = self.reverse(self.kernel(), n=5)
        self.assertEqual(process.returncode, 1)
        self.assertIn("0 bytes behind the end of 'argument 0'", process.stdout)
        self.assertIn("thread (4, 0, 0)", process.stdout)

    def test_wrong_words_are_refused(self):
        ptx = self.kernel()
        for expected, code, arguments in [
            ("takes 3 arguments, 1 were given", 2, [ptx, "--arg=1"]),
            ("there is no kernel 'other'", 2, [ptx, "--kernel=other"]),
            ("--grid: 'x' is not X, X,Y or X,Y,Z", 2, [ptx, "--grid=x"]),
            ("there is no check 'rase'", 2, [ptx, "--off=rase", "--arg=1", "--arg=1", "--arg=1"]),
            ("--grid: '4,0': 0 is too few", 2, [ptx, "--grid=4,0"]),
            ("--cluster: '0': 0 is too few", 2, [ptx, "--cluster=0"]),
            ("--threads: '-1' is not a whole number from 0 to 4096", 2, [ptx, "--threads=-1"]),
            ("--limit: '-1' is not a whole number, 0 or more", 2, [ptx, "--limit=-1"]),
            ("--shared: '4294967296' is not a whole number from 0 to 2147483647", 2, [ptx, "--shared=4294967296"]),
            ("'-4294967295' does not fit u32", 2, [ptx, "--arg=1", "--arg=1", "--arg=-4294967295"]),
            ("'-0x1ffffffff' does not fit u32", 2, [ptx, "--arg=1", "--arg=1", "--arg=-0x1ffffffff"]),
            ("'9999999999999xf32' is too large", 2, [ptx, "--arg=9999999999999xf32", "--arg=1", "--arg=1"]),
            ("'1.5' is no u32", 2, [ptx, "--arg=1", "--arg=1", "--arg=1.5"]),
            ("argument 0 is no buffer", 2, [ptx, "--arg=1", "--arg=1", "--arg=0", "--out=0:@x.npy"]),
            ("cannot open", 1, ["nothing.ptx"]),
            ("bytes of dynamic shared memory; sm_80 has", 1, [ptx, "--shared=999999", "--arg=1", "--arg=1", "--arg=0"]),
        ]:
            process = run("emulate", *arguments)
            self.assertEqual(process.returncode, code, (arguments, process.stderr))
            self.assertIn(expected, process.stderr)
            self.assertEqual(process.stdout, "", arguments)  # nothing has run
        unknown = write(self.folder.name, "unknown.ptx", REVERSE.replace("BARRIER", "frobnicate.u32 %r1;"))
        process = self.reverse(unknown)
        self.assertEqual(process.returncode, 1)
        self.assertIn("unknown.ptx:24", process.stderr)
        self.assertIn("frobnicate", process.stderr)

    def test_a_kernel_from_a_pipe_may_take_nothing(self):
        text = ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry nothing()\n{\nLOOP:\n  AGAIN\n  ret;\n}\n"
        process = run("emulate", "-", stdin=text.replace("AGAIN", ""))
        self.assertEqual(process.returncode, 0, process.stderr)
        endless = run("emulate", "-", "--limit=1000", stdin=text.replace("AGAIN", "bra LOOP;"))
        self.assertEqual(endless.returncode, 1, endless.stderr)
        self.assertIn("no-end: the launch has not ended after 1000", endless.stdout)
        # Grids of any size begin, and blocks that are over at once count for the limit, too; nothing is kept of them.
        for grid in ("2147483647", "2147483647,65535,65535"):
            many = run("emulate", "-", f"--grid={grid}", "--limit=100000", stdin=text.replace("AGAIN", ""))
            self.assertEqual(many.returncode, 1, many.stderr)
            self.assertIn("after 100000 instructions of warps: blocks are left to run", many.stdout)
        self.assertLess(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, 1 << 20)  # KiB
        broken = run("emulate", "-", stdin=text.replace("AGAIN", "frobnicate;"))
        self.assertEqual(broken.returncode, 1)
        self.assertIn("<stdin>:7", broken.stderr)
        empty = run("emulate", "-", stdin=text[: text.index(".visible")])
        self.assertEqual(empty.returncode, 1)
        self.assertIn("<stdin>: there is no kernel in it", empty.stderr)

    def test_scalars_that_no_f32_holds_are_refused(self):
        text = ".version 7.0\n.target sm_80\n.address_size 64\n.visible .entry k(.param .f32 x) { ret; }\n"
        self.assertIn("'1e300' does not fit f32", run("emulate", "-", "--arg=1e300", stdin=text).stderr)
        self.assertEqual(run("emulate", "-", "--arg=inf", stdin=text).returncode, 0)

    def test_the_report_comes_before_a_result_that_cannot_be_written(self):
        process = self.reverse(self.kernel(), "--out=1:@/nowhere/out.npy", n=5)
        self.assertEqual(process.returncode, 1)
        self.assertIn("cannot create the file", process.stderr)
        self.assertIn("0 bytes behind the end of 'argument 0'", process.stdout)


if __name__ == "__main__":
    unittest.main()
