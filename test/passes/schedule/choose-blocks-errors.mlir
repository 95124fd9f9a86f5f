// RUN: not %ingot-opt %s -choose-blocks="choices=a:deep=3" 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: cannot choose blocks of a: no block has a size 'deep'
// RUN: not %ingot-opt %s -choose-blocks="choices=a:depth=-3" 2>&1 | FileCheck %s --check-prefix=RANGE
// RANGE: cannot choose blocks of a: 'depth=-3' is not 1 to
// RUN: not %ingot-opt %s -choose-blocks="choices=a:tile_rows" 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: cannot choose blocks of a: 'tile_rows' is not 1 to 16
func.func private @a(%x: tensor<8x8xf32>) -> tensor<8x8xf32> attributes {graph.kernel = "contraction"} {
  return %x : tensor<8x8xf32>
}
