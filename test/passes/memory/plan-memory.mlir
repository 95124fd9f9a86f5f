// RUN: %ingot-opt --plan-memory %s | FileCheck %s
// Parameters of one bucket lie side by side, gradients in one buffer of the same layout. The update
// waits for the last reader of the old weights; a second function finds the parameters where the
// step left them.
module {
  func.func private @update(tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
      attributes {graph.kernel = "update", kernel.schedule = #kernel.schedule<arguments = [read, read, write], sharing = [0 with 0 same_point], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
  func.func private @gradients(tensor<4x4xf32>, tensor<20xf32>) -> (tensor<4x4xf32>, tensor<20xf32>)
      attributes {graph.kernel = "row", kernel.schedule = #kernel.schedule<arguments = [read, read, write, write], sharing = [], scratch = 256, launch_scratch = 0, launches = [pointwise grains 4 flops 0 bytes 0 sizes ()]>}
  func.func private @read(tensor<4x4xf32>) -> tensor<f32>
      attributes {graph.kernel = "row", kernel.schedule = #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
  // CHECK-LABEL: func.func @step(
  // CHECK-SAME: %[[ARENA:.*]]: memref<576xi8>)
  // CHECK-SAME: {bytes = 256 : i64, first = 0 : i64, kind = "gradient", last = 2 : i64, name = "gradients", offset = 256 : i64}
  // CHECK-SAME: {kind = "parameter", name = "w", offset = 0 : i64, type = tensor<4x4xf32>}
  // CHECK-SAME: {kind = "parameter", name = "b", offset = 128 : i64, type = tensor<20xf32>}
  // CHECK-SAME: {kind = "output", name = "loss", offset = 512 : i64, type = tensor<f32>}]
  // CHECK: kernel.call @gradients
  // CHECK: kernel.call @read
  // CHECK: %[[P:.*]] = memref.view %[[ARENA]][%c0{{.*}}][] : memref<576xi8> to memref<64xf32>
  // CHECK: %[[G:.*]] = memref.view %[[ARENA]][%c256{{.*}}][] : memref<576xi8> to memref<64xf32>
  // CHECK: %[[NEW:.*]] = memref.view %[[ARENA]][%c0{{.*}}][] : memref<576xi8> to memref<64xf32>
  // CHECK: kernel.call @update(%[[P]], %[[G]], %[[NEW]]
  func.func @step(%w: tensor<4x4xf32> {graph.name = "w", graph.role = "parameter", graph.donated = 0 : i64},
                  %b: tensor<20xf32> {graph.name = "b", graph.role = "parameter", graph.donated = 1 : i64})
      -> (tensor<4x4xf32>, tensor<20xf32>, tensor<f32> {graph.name = "loss"}) {
    %g:2 = call @gradients(%w, %b) : (tensor<4x4xf32>, tensor<20xf32>) -> (tensor<4x4xf32>, tensor<20xf32>)
    %p = graph.bucket %w, %b : tensor<4x4xf32>, tensor<20xf32> -> tensor<64xf32>
    %d = graph.bucket %g#0, %g#1 : tensor<4x4xf32>, tensor<20xf32> -> tensor<64xf32>
    %u = call @update(%p, %d) : (tensor<64xf32>, tensor<64xf32>) -> tensor<64xf32>
    %w1, %b1 = graph.unbucket %u : tensor<64xf32> -> tensor<4x4xf32>, tensor<20xf32>
    %loss = call @read(%w) : (tensor<4x4xf32>) -> tensor<f32>
    return %w1, %b1, %loss : tensor<4x4xf32>, tensor<20xf32>, tensor<f32>
  }
  // CHECK-LABEL: func.func @forward(
  // CHECK-SAME: {kind = "parameter", name = "b", offset = 128 : i64, type = tensor<20xf32>}, {kind = "parameter", name = "w", offset = 0 : i64
  func.func @forward(%b: tensor<20xf32> {graph.name = "b", graph.role = "parameter"},
                     %w: tensor<4x4xf32> {graph.name = "w", graph.role = "parameter"}) -> (tensor<f32> {graph.name = "y"}) {
    %y = call @read(%w) : (tensor<4x4xf32>) -> tensor<f32>
    return %y : tensor<f32>
  }
}
