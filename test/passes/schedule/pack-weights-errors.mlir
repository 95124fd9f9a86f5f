// RUN: %ingot-opt %s -split-input-file -verify-diagnostics

func.func private @size(%w: tensor<1056xf32>) -> tensor<20x33xf32> {
  // expected-error@+1 {{matrices of 1 x 21 x 33 are not all of 'tensor<20x33xf32>'}}
  %0 = kernel.unpack %w <tensor<20x33xf32>, matrices = 1, rows = 21, depth = 33, depth_last = true> : tensor<1056xf32> -> tensor<20x33xf32>
  return %0 : tensor<20x33xf32>
}

// -----

func.func private @memory(%w: tensor<660xf32>) -> tensor<20x33xf32> {
  // expected-error@+1 {{(1) unpacks 'tensor<20x33xf32>' from 'tensor<1056xf32>'}}
  %0 = kernel.unpack %w <tensor<20x33xf32>, matrices = 1, rows = 20, depth = 33, depth_last = true> : tensor<660xf32> -> tensor<20x33xf32>
  return %0 : tensor<20x33xf32>
}
