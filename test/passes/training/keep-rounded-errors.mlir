// RUN: not %ingot-opt %s --keep-rounded 2>&1 | FileCheck %s

// CHECK: error: the module has no function @step; the pass add-optimizer makes it
func.func @forward() { return }
