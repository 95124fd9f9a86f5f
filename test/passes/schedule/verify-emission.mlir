// RUN: %ingot-opt %s -split-input-file -verify-diagnostics -verify-stage=stage=loops

// A point is read after it was stored.
func.func private @k.0(%x: memref<64xf32>, %y: memref<64xf32>, %lo: index, %hi: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  scf.for %i = %c0 to %c64 step %c16 {
    %a = vector.load %x[%i] : memref<64xf32>, vector<16xf32>
    vector.store %a, %y[%i] : memref<64xf32>, vector<16xf32>
    // expected-error @+1 {{may read operand 0 after that point of result 0}}
    %b = vector.load %x[%i] : memref<64xf32>, vector<16xf32>
  }
  return
}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [0 with 0 same_point], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

// A neighbour may have been stored.
func.func private @k.0(%x: memref<64xf32>, %y: memref<64xf32>, %lo: index, %hi: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %c63 = arith.constant 63 : index
  scf.for %i = %c0 to %c64 step %c1 {
    %back = arith.subi %c63, %i : index
    // expected-error @+1 {{may read operand 0 after that point of result 0}}
    %a = memref.load %x[%back] : memref<64xf32>
    memref.store %a, %y[%i] : memref<64xf32>
  }
  return
}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [0 with 0 same_point], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

// Every iteration reads what the one before stored.
func.func private @k.0(%x: memref<64xf32>, %y: memref<64xf32>, %lo: index, %hi: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  scf.for %i = %c0 to %c64 step %c1 {
    scf.for %j = %c0 to %c16 step %c1 {
      %a = memref.load %x[%i] : memref<64xf32>
      // expected-error @+1 {{stores one point in several iterations}}
      memref.store %a, %y[%i] : memref<64xf32>
    }
  }
  return
}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [0 with 0 same_point], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

// The row is read again after part of it was stored.
func.func private @k.0(%x: memref<64xf32>, %y: memref<64xf32>, %lo: index, %hi: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %c4 = arith.constant 4 : index
  scf.for %r = %c0 to %c4 step %c1 {
    %row = arith.muli %r, %c16 : index
    scf.for %i = %c0 to %c16 step %c1 {
      %at = arith.addi %row, %i : index
      %a = memref.load %x[%at] : memref<64xf32>
      memref.store %a, %y[%at] : memref<64xf32>
    }
    scf.for %i = %c0 to %c16 step %c1 {
      %at = arith.addi %row, %i : index
      // expected-error @+1 {{may read operand 0 after that row of result 0}}
      %a = memref.load %x[%at] : memref<64xf32>
    }
  }
  return
}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [0 with 0 same_row of 16], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

// The read reaches into the next row.
func.func private @k.0(%x: memref<64xf32>, %y: memref<64xf32>, %lo: index, %hi: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %c4 = arith.constant 4 : index
  scf.for %r = %c0 to %c4 step %c1 {
    %row = arith.muli %r, %c16 : index
    scf.for %i = %c0 to %c16 step %c1 {
      %at = arith.addi %row, %i : index
      // expected-error @+1 {{may read operand 0 after another row of result 0}}
      %a = vector.load %x[%at] : memref<64xf32>, vector<16xf32>
    }
    %b = memref.load %y[%row] : memref<64xf32>
    memref.store %b, %y[%row] : memref<64xf32>
  }
  return
}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [0 with 0 same_row of 16], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

// A read before the row is stored is what the schedule says.
func.func private @k.0(%x: memref<64xf32>, %y: memref<64xf32>, %lo: index, %hi: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %c4 = arith.constant 4 : index
  scf.for %r = %c0 to %c4 step %c1 {
    %row = arith.muli %r, %c16 : index
    %first = memref.load %x[%row] : memref<64xf32>
    scf.for %i = %c0 to %c16 step %c1 {
      %at = arith.addi %row, %i : index
      %a = memref.load %x[%at] : memref<64xf32>
      %b = arith.addf %a, %first : f32
      memref.store %b, %y[%at] : memref<64xf32>
    }
  }
  return
}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [0 with 0 same_row of 16], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

// Wherever the reads are: nothing was stored yet, and no other grain runs.
func.func private @k.0(%x: memref<64xf32>, %y: memref<64xf32>, %lo: index, %hi: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  scf.for %i = %c0 to %c3 step %c1 {
    %at = arith.muli %lo, %i : index
    %a = vector.load %x[%at] : memref<64xf32>, vector<16xf32>
  }
  %b = memref.load %y[%c3] : memref<64xf32>
  memref.store %b, %y[%c3] : memref<64xf32>
  return
}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [0 with 0 same_row of 1], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

// Another grain may have stored it.
func.func private @k.0(%x: memref<64xf32>, %y: memref<64xf32>, %lo: index, %hi: index) {
  %c3 = arith.constant 3 : index
  %at = arith.addi %lo, %c3 : index
  // expected-error @+1 {{may read operand 0 after another row of result 0}}
  %a = memref.load %x[%at] : memref<64xf32>
  memref.store %a, %y[%lo] : memref<64xf32>
  return
}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [0 with 0 same_row of 1], scratch = 0, launch_scratch = 0, launches = [pointwise grains 2 flops 0 bytes 0 sizes ()]>}

// -----

// Without sharing anything goes.
func.func private @k.0(%x: memref<64xf32>, %y: memref<64xf32>, %lo: index, %hi: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  scf.for %i = %c0 to %c64 step %c1 {
    %a = memref.load %x[%i] : memref<64xf32>
    memref.store %a, %y[%i] : memref<64xf32>
    %b = memref.load %x[%i] : memref<64xf32>
  }
  return
}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

func.func private @k.0(%x: memref<64xf32>, %y: memref<64xf32>, %s: memref<256xi8>, %lo: index, %hi: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  // expected-error @+1 {{(2) ends at byte 320 of scratch, but the schedule has 256}}
  %v = memref.view %s[%c64][] : memref<256xi8> to memref<64xf32>
  return
}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 256, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

func.func private @k.0(%x: memref<64xf32>, %y: memref<64xf32>, %lo: index, %hi: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  // expected-error @+1 {{(2) may not be in an emitted kernel}}
  %v = memref.alloca() : memref<64xf32>
  return
}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

func.func private @k.0(%x: memref<64xf32>, %y: memref<64xf32>, %lo: index, %hi: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  %a = memref.load %y[%c0] : memref<64xf32>
  // expected-error @+1 {{(3) writes operand 0}}
  memref.store %a, %x[%c0] : memref<64xf32>
  return
}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

// expected-error @+1 {{(1) does not take the memory and scratch}}
func.func private @k.0(%x: memref<64xf32>, %y: memref<32xf32>, %lo: index, %hi: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  return
}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

// expected-error @+1 {{(1) its launch 'k.0' is not emitted}}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

// What one launch stored, the next one may not read.
func.func private @k.0(%x: memref<64xf32>, %y: memref<64xf32>, %lo: index, %hi: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c16 = arith.constant 16 : index
  %c64 = arith.constant 64 : index
  scf.for %i = %c0 to %c64 step %c1 {
    %a = memref.load %x[%i] : memref<64xf32>
    memref.store %a, %y[%i] : memref<64xf32>
  }
  return
}
func.func private @k.1(%x: memref<64xf32>, %y: memref<64xf32>, %lo: index, %hi: index) {
  %c0 = arith.constant 0 : index
  %a = memref.load %x[%c0] : memref<64xf32>
  return
}
// expected-error @+1 {{(3) a launch reads operand 0 after one before has stored result 0}}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [0 with 0 same_point], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes (), pointwise grains 1 flops 0 bytes 0 sizes ()]>}

// -----

// All threads of the block store the same points.
func.func private @k.0(%x: memref<64xf32>, %y: memref<64xf32>) attributes {kernel.threads = 32 : i64} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c64 = arith.constant 64 : index
  %thread = nvvm.read.ptx.sreg.tid.x range <i32, 0, 32> : i32
  scf.for %i = %c0 to %c64 step %c1 {
    %a = memref.load %x[%i] : memref<64xf32>
    // expected-error @+1 {{(3) stores one point in several threads or blocks}}
    memref.store %a, %y[%i] : memref<64xf32>
  }
  return
}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "elementwise", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [0 with 0 same_point], scratch = 0, launch_scratch = 0, launches = [pointwise grains 1 flops 0 bytes 0 sizes (threads = 32)]>}

// -----

// Another thread may store its part of the row before this one has read: they do not wait.
func.func private @k.0(%x: memref<64xf32>, %y: memref<64xf32>) attributes {kernel.threads = 32 : i64} {
  %c32 = arith.constant 32 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant 0.0 : f32
  %number = nvvm.read.ptx.sreg.tid.x range <i32, 0, 32> : i32
  %thread = arith.index_cast %number : i32 to index
  %sum = scf.for %i = %thread to %c64 step %c32 iter_args(%carried = %zero) -> (f32) {
    // expected-error @+1 {{may read operand 0 after that row of result 0}}
    %a = memref.load %x[%i] : memref<64xf32>
    %next = arith.addf %carried, %a : f32
    scf.yield %next : f32
  }
  scf.for %i = %thread to %c64 step %c32 {
    memref.store %sum, %y[%i] : memref<64xf32>
  }
  return
}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "row", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [0 with 0 same_row of 64], scratch = 0, launch_scratch = 0, launches = [rows grains 1 flops 0 bytes 0 sizes (threads = 32)]>}

// -----

// With a barrier in between they do.
func.func private @k.0(%x: memref<64xf32>, %y: memref<64xf32>) attributes {kernel.threads = 32 : i64} {
  %c32 = arith.constant 32 : index
  %c64 = arith.constant 64 : index
  %zero = arith.constant 0.0 : f32
  %number = nvvm.read.ptx.sreg.tid.x range <i32, 0, 32> : i32
  %thread = arith.index_cast %number : i32 to index
  %sum = scf.for %i = %thread to %c64 step %c32 iter_args(%carried = %zero) -> (f32) {
    %a = memref.load %x[%i] : memref<64xf32>
    %next = arith.addf %carried, %a : f32
    scf.yield %next : f32
  }
  nvvm.barrier
  scf.for %i = %thread to %c64 step %c32 {
    memref.store %sum, %y[%i] : memref<64xf32>
  }
  return
}
func.func private @k(tensor<64xf32>) -> tensor<64xf32> attributes {graph.kernel = "row", kernel.schedule =
    #kernel.schedule<arguments = [read, write], sharing = [0 with 0 same_row of 64], scratch = 0, launch_scratch = 0, launches = [rows grains 1 flops 0 bytes 0 sizes (threads = 32)]>}
