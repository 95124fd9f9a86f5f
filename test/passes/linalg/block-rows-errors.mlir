// RUN: not %ingot-opt %s --block-rows=limit=0 2>&1 | FileCheck %s
// CHECK: error: limit must be positive, but is 0
module {}
