// RUN: %ingot-opt %s --expand-math --verify-diagnostics

func.func @unknown(%x: f32) -> f32 {
  // expected-error @+1 {{'math.atan' op has no expansion; it would call a C library's function}}
  %0 = math.atan %x : f32
  return %0 : f32
}
