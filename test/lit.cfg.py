"""lit configuration for the .mlir tests; run by test/run.py with --param build=DIR."""
import os

import lit.formats

build = lit_config.params["build"]
config.name = "ingot"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.excludes = ["golden", "benchmark", "inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = os.path.join(build, "test")

# The first match wins, so the longer name stands first.
config.substitutions += [
    ("%ingot-opt", os.path.join(build, "bin", "ingot-opt")),
    ("%ingot", os.path.join(build, "bin", "ingot")),
    (r"FileCheck(-22)?\b", "FileCheck-22"),
]
config.environment["PATH"] = os.environ["PATH"]
for variable in ("INGOT_CACHE_DIR", "XDG_CACHE_HOME", "HOME", "ASAN_OPTIONS", "UBSAN_OPTIONS"):
    if variable in os.environ:
        config.environment[variable] = os.environ[variable]
