// RUN: not %ingot-opt %s --narrow-operands --split-input-file 2>&1 | FileCheck %s

// CHECK: error: the module has no function @forward; the frontend makes it
func.func @other() { return }
