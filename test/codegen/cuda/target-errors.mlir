// RUN: not %ingot-opt %s --schedule-kernels=target=cuda:sm_70 2>&1 | FileCheck %s
// CHECK: unknown target 'cuda:sm_70'; GPUs are cuda:sm_80, cuda:sm_90a, cuda:sm_100a
func.func private @k(%x: tensor<8xf32>) -> tensor<8xf32> attributes {graph.kernel = "elementwise"} {
  return %x : tensor<8xf32>
}
