// RUN: %ingot-opt %s --expand-math --verify-diagnostics

func.func @unknown(%x: f32) -> f32 {
  // expected-error @+1 {{'math.acos' op has no expansion; it would call a C library's function}}
  %0 = math.acos %x : f32
  return %0 : f32
}
