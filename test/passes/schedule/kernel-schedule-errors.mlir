// RUN: %ingot-opt %s -split-input-file -verify-diagnostics

// expected-error @+2 {{expected 'launches'}}
func.func private @missing(tensor<8xf32>) -> tensor<8xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, grains = 3>}

// -----

// expected-error @+2 {{there is no access 'reads'}}
func.func private @access(tensor<8xf32>) -> tensor<8xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [reads, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

// expected-error @+2 {{the size 'rows' stands twice}}
func.func private @twice(tensor<8xf32>) -> tensor<8xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes (rows = 1, rows = 2)]>}

// -----

// expected-error @+2 {{a kernel has one launch at least}}
func.func private @none(tensor<8xf32>) -> tensor<8xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = []>}

// -----

// expected-error @+2 {{grains, flops and bytes of a launch cannot be negative}}
func.func private @negative(tensor<8xf32>) -> tensor<8xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains -1 flops 0 bytes 0 sizes ()]>}

// -----

// expected-error @+2 {{there is no result 1 with an operand 0 to share memory with}}
func.func private @pair(tensor<8xf32>) -> tensor<8xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [1 with 0 same_point], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

// expected-error @+1 {{result 0 and operand 0 share memory but are not of one size}}
func.func private @size(tensor<9xf32>) -> tensor<8xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [0 with 0 same_point], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

// expected-error @+1 {{its arguments are not the kernel's 2 operands and 1 results}}
func.func private @arguments(tensor<8xf32>, tensor<8xf32>) -> tensor<8xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

// expected-error @+1 {{only kernels have schedules}}
func.func private @entry(tensor<8xf32>) -> tensor<8xf32> attributes {kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

func.func private @k(tensor<8xf32>) -> tensor<8xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
func.func @call(%x: memref<8xf32>) {
  // expected-error @+1 {{(2) @k takes}}
  kernel.call @k(%x) : memref<8xf32>
  return
}

// -----

func.func @call(%x: memref<8xf32>) {
  // expected-error @+1 {{(1) there is no scheduled kernel @absent}}
  kernel.call @absent(%x) : memref<8xf32>
  return
}

// -----

func.func private @k(tensor<8xf32>) -> tensor<8xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
func.func @call(%x: memref<8xf32>) {
  // expected-error @+1 {{(3) 2 of 2 arguments move outside a loop}}
  kernel.call @k(%x, %x) moving [32, 0] : memref<8xf32>, memref<8xf32>
  return
}

// -----

func.func private @k(tensor<8xf32>) -> tensor<8xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}
func.func @call(%x: memref<8xf32>) {
  kernel.loop 3 {
    // expected-error @+1 {{(3) 1 of 2 arguments move}}
    kernel.call @k(%x, %x) moving [32] : memref<8xf32>, memref<8xf32>
  }
  return
}

// -----

func.func @loop(%i: memref<i32>) {
  // expected-error @+1 {{(1) counts an i64 from 0 on}}
  kernel.loop 3 counter(%i : memref<i32>) {
  }
  return
}
