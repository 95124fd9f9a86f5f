// RUN: %ingot-opt --split-input-file --verify-diagnostics %s

// One test for each numbered constraint of an op's documentation.

func.func @iota_1() {
  // expected-error @+1 {{(1) dimension 2 is not one of the result's 2}}
  %a = graph.iota 2 : tensor<2x3xi32>
  return
}

// -----

func.func @random_uniform_1(%s: tensor<i64>) {
  // expected-error @+1 {{(1) id -1 is not in [0, 2^32)}}
  %a = graph.random_uniform %s, %s id -1 : tensor<i64>, tensor<i64> -> tensor<4xf32>
  return
}

// -----

func.func @random_normal_1(%s: tensor<i64>) {
  // expected-error @+1 {{(1) id 4294967296 is not in [0, 2^32)}}
  %a = graph.random_normal %s, %s id 4294967296 : tensor<i64>, tensor<i64> -> tensor<4xf32>
  return
}

// -----

func.func @select_1(%c: tensor<3xi1>, %x: tensor<4xf32>) {
  // expected-error @+1 {{all non-scalar operands/results must have the same shape and base type}}
  %a = graph.select %c, %x, %x : tensor<3xi1>, tensor<4xf32>
  return
}

// -----

func.func @unary_type(%x: tensor<4xi32>) {
  // expected-error @+1 {{operand #0 must be ranked tensor of 64-bit float}}
  %a = graph.exp %x : tensor<4xi32>
  return
}

// -----

func.func @reshape_1(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{(1) 6 elements do not fit a shape of 8}}
  %a = graph.reshape %x : tensor<2x3xf32> -> tensor<8xf32>
  return
}

// -----

func.func @transpose_1(%x: tensor<2x3xf32>) {
  // expected-error @+2 {{(1) permutation must name each of the operand's 2 dimensions once}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = "graph.transpose"(%x) {permutation = array<i64: 1, 1>} : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return
}

// -----

func.func @transpose_type(%x: tensor<2x3xf32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<3x2xf32>' are incompatible with return type(s)}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.transpose %x [1, 0] : tensor<2x3xf32> -> tensor<2x3xf32>
  return
}

// -----

func.func @broadcast_1(%x: tensor<3xf32>) {
  // expected-error @+1 {{(1) dimensions must increase strictly and stay below the result's rank 2}}
  %a = graph.broadcast %x [2] : tensor<3xf32> -> tensor<2x3xf32>
  return
}

// -----

func.func @broadcast_1_count(%x: tensor<3xf32>) {
  // expected-error @+1 {{(1) dimensions need one entry for each of the operand's 1}}
  %a = graph.broadcast %x [0, 1] : tensor<3xf32> -> tensor<2x3xf32>
  return
}

// -----

func.func @broadcast_2(%x: tensor<3xf32>) {
  // expected-error @+1 {{(2) operand dimension 0 has size 3, result dimension 0 2}}
  %a = graph.broadcast %x [0] : tensor<3xf32> -> tensor<2x3xf32>
  return
}

// -----

func.func @slice_1(%x: tensor<4x5xf32>) {
  // expected-error @+2 {{(1) offsets, limits and strides need one entry for each of the operand's 2 dimensions}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.slice %x [0] to [4] by [1] : tensor<4x5xf32> -> tensor<4x5xf32>
  return
}

// -----

func.func @slice_2(%x: tensor<4xf32>) {
  // expected-error @+2 {{(2) slice 1 to 5 by 1 is not inside a dimension of size 4}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.slice %x [1] to [5] by [1] : tensor<4xf32> -> tensor<4xf32>
  return
}

// -----

func.func @slice_2_stride(%x: tensor<4xf32>) {
  // expected-error @+2 {{(2) slice 1 to 4 by 0 is not inside a dimension of size 4}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.slice %x [1] to [4] by [0] : tensor<4xf32> -> tensor<3xf32>
  return
}

// -----

func.func @reverse_1(%x: tensor<4x5xf32>) {
  // expected-error @+2 {{(1) dimensions must be distinct ones of the operand's 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.reverse %x dimensions [1, 1] : tensor<4x5xf32> -> tensor<4x5xf32>
  return
}

// -----

func.func @window_1(%x: tensor<4x5xf32>) {
  // expected-error @+2 {{(1) dimensions must be distinct ones of the operand's 2, with a size, a stride and a dilation of 1 or more for each}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.window %x dimensions [1] sizes [2] strides [0] dilations [1] : tensor<4x5xf32> -> tensor<4x4x2xf32>
  return
}

// -----

func.func @window_2(%x: tensor<4x5xf32>) {
  // expected-error @+2 {{(2) a window of 3 elements at distance 3 does not fit a dimension of size 5}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.window %x dimensions [1] sizes [3] strides [1] dilations [3] : tensor<4x5xf32> -> tensor<4x1x3xf32>
  return
}

// -----

func.func @convolution_1(%x: tensor<2x3x8xf32>, %w: tensor<4x3xf32>) {
  // expected-error @+2 {{(1) weight must have the operand's element type and rank, 3 or more}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.convolution %x, %w strides [1] dilations [1] low [0] high [0] groups 1 : tensor<2x3x8xf32>, tensor<4x3xf32> -> tensor<2x4x8xf32>
  return
}

// -----

func.func @convolution_2(%x: tensor<2x3x8xf32>, %w: tensor<4x3x3xf32>) {
  // expected-error @+2 {{(2) 2 groups of 3 channels and a weight of 'tensor<4x3x3xf32>' do not go together}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.convolution %x, %w strides [1] dilations [1] low [0] high [0] groups 2 : tensor<2x3x8xf32>, tensor<4x3x3xf32> -> tensor<2x4x6xf32>
  return
}

// -----

func.func @convolution_3(%x: tensor<2x3x8xf32>, %w: tensor<4x3x3xf32>) {
  // expected-error @+2 {{(3) strides and dilations need 1 entries of 1 or more, low and high as many of 0 or more}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.convolution %x, %w strides [1] dilations [1] low [-1] high [0] groups 1 : tensor<2x3x8xf32>, tensor<4x3x3xf32> -> tensor<2x4x6xf32>
  return
}

// -----

func.func @convolution_4(%x: tensor<2x3x8xf32>, %w: tensor<4x3x3xf32>) {
  // expected-error @+2 {{(4) a window of 3 elements at distance 5 does not fit a padded dimension of size 9}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.convolution %x, %w strides [1] dilations [5] low [1] high [0] groups 1 : tensor<2x3x8xf32>, tensor<4x3x3xf32> -> tensor<2x4x6xf32>
  return
}

// -----

func.func @pad_1(%x: tensor<4xf32>, %v: tensor<1xf32>) {
  // expected-error @+2 {{(1) the padding value must be a scalar of the operand's element type}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.pad %x, %v low [0] high [1] interior [0] : tensor<4xf32>, tensor<1xf32> -> tensor<5xf32>
  return
}

// -----

func.func @pad_2(%x: tensor<4xf32>, %v: tensor<f32>) {
  // expected-error @+2 {{(2) low, high and interior need one entry for each of the operand's 1 dimensions}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.pad %x, %v low [0, 0] high [1] interior [0] : tensor<4xf32>, tensor<f32> -> tensor<5xf32>
  return
}

// -----

func.func @pad_3(%x: tensor<4xf32>, %v: tensor<f32>) {
  // expected-error @+2 {{(3) padding must not be negative}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.pad %x, %v low [-1] high [1] interior [0] : tensor<4xf32>, tensor<f32> -> tensor<4xf32>
  return
}

// -----

func.func @concat_1() {
  // expected-error @+2 {{(1) concat needs at least one operand}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = "graph.concat"() {dimension = 0 : i64} : () -> tensor<4xf32>
  return
}

// -----

func.func @concat_2(%x: tensor<4xf32>) {
  // expected-error @+2 {{(2) dimension 1 is not one of the operands' 1}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.concat %x dimension 1 : tensor<4xf32> -> tensor<4xf32>
  return
}

// -----

func.func @concat_3(%x: tensor<4xf32>, %y: tensor<4xi32>) {
  // expected-error @+2 {{(3) operands differ in rank or element type}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.concat %x, %y dimension 0 : tensor<4xf32>, tensor<4xi32> -> tensor<8xf32>
  return
}

// -----

func.func @concat_4(%x: tensor<4x2xf32>, %y: tensor<4x3xf32>) {
  // expected-error @+2 {{(4) operands differ in dimension 1}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.concat %x, %y dimension 0 : tensor<4x2xf32>, tensor<4x3xf32> -> tensor<8x2xf32>
  return
}

// -----

func.func @gather_1(%x: tensor<4xf32>, %i: tensor<2xi32>) {
  // expected-error @+2 {{(1) dimension 1 is not one of the operand's 1}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.gather %x, %i dimension 1 : tensor<4xf32>, tensor<2xi32> -> tensor<2xf32>
  return
}

// -----

func.func @reduce_1(%x: tensor<4x5xf32>) {
  // expected-error @+2 {{(1) dimensions must be distinct and below the operand's rank 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.reduce sum %x [1, 1] : tensor<4x5xf32> -> tensor<4xf32>
  return
}

// -----

func.func @reduce_2(%x: tensor<4x5xi1>) {
  // expected-error @+2 {{(2) sum is not of 'i1'}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.reduce sum %x [1] : tensor<4x5xi1> -> tensor<4xi1>
  return
}

// -----

func.func @reduce_2_any(%x: tensor<4x5xf32>) {
  // expected-error @+2 {{(2) any is not of 'f32'}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.reduce any %x [1] : tensor<4x5xf32> -> tensor<4xf32>
  return
}

// -----

func.func @reduce_tuples_1(%x: tensor<4x5xf32>, %i: tensor<4x6xi32>) {
  // expected-error @+2 {{(1) dimensions must be distinct and below the rank of the operands, which have one shape}}
  // expected-error @+1 {{failed to infer returned types}}
  %a, %b = graph.reduce_tuples "argmax" %x, %i [1] : tensor<4x5xf32>, tensor<4x6xi32> -> tensor<4xf32>, tensor<4xi32>
  return
}

// -----

func.func @reduce_tuples_2(%x: tensor<4x5xf32>) {
  // expected-error @+2 {{(2) there is no reduction of tuples 'median'}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.reduce_tuples "median" %x [1] : tensor<4x5xf32> -> tensor<4xf32>
  return
}

// -----

func.func @reduce_tuples_3(%x: tensor<4x5xf32>) {
  // expected-error @+2 {{(3) the tuples of welford have 3 parts, not 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %a, %b = graph.reduce_tuples "welford" %x, %x [1] : tensor<4x5xf32>, tensor<4x5xf32> -> tensor<4xf32>, tensor<4xf32>
  return
}

// -----

func.func @reduce_tuples_3_number(%x: tensor<4x5xf32>) {
  // expected-error @+2 {{(3) part 1 of argmin's tuples is no 'f32'}}
  // expected-error @+1 {{failed to infer returned types}}
  %a, %b = graph.reduce_tuples "argmin" %x, %x [1] : tensor<4x5xf32>, tensor<4x5xf32> -> tensor<4xf32>, tensor<4xf32>
  return
}

// -----

func.func @combine_1(%x: f32, %y: f64) {
  // expected-error @+1 {{(1) both tuples, neutral and the results must have the same types}}
  %a = graph.combine (%x) with (%y) neutral [0.0 : f32] : (f32, f64) -> f32 {
  ^bb0(%l: f32, %r: f32):
    graph.yield %l : f32
  }
  return
}

// -----

func.func @combine_2(%x: f32) {
  // expected-error @+1 {{(2) the region takes both tuples and yields one}}
  %a = graph.combine (%x) with (%x) neutral [0.0 : f32] : (f32, f32) -> f32 {
  ^bb0(%l: f32):
    graph.yield %l : f32
  }
  return
}

// -----

func.func @contract_1(%x: tensor<4x5xf32>, %y: tensor<5x4xf64>) {
  // expected-error @+2 {{(1) operands differ in element type}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.contract %x, %y batch [] x [] over [1] x [0] : tensor<4x5xf32>, tensor<5x4xf64> -> tensor<4x4xf32>
  return
}

// -----

func.func @contract_2(%x: tensor<4x5xf32>, %y: tensor<6x4xf32>) {
  // expected-error @+2 {{(2) batch and contracted dimensions must be distinct and pair up in size}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.contract %x, %y batch [] x [] over [1] x [0] : tensor<4x5xf32>, tensor<6x4xf32> -> tensor<4x4xf32>
  return
}

// -----

func.func @scatter_add_1(%x: tensor<4xf32>, %i: tensor<2xi32>, %u: tensor<2xf32>) {
  // expected-error @+1 {{(1) dimension 1 is not one of the base's 1}}
  %a = graph.scatter_add %x, %i, %u dimension 1 : tensor<4xf32>, tensor<2xi32>, tensor<2xf32>
  return
}

// -----

func.func @scatter_add_2(%x: tensor<4x3xf32>, %i: tensor<2xi32>, %u: tensor<2x2xf32>) {
  // expected-error @+1 {{(2) updates must be 'tensor<2x3xf32>'}}
  %a = graph.scatter_add %x, %i, %u dimension 0 : tensor<4x3xf32>, tensor<2xi32>, tensor<2x2xf32>
  return
}

// -----

func.func @formula_1(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{(1) there is no formula 'gellu'}}
  %y = graph.formula "gellu"(%x) [] : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @formula_2(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{(2) 'elu' takes 1 operands and 1 numbers}}
  %y = graph.formula "elu"(%x) [] : tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

func.func @softmax_1(%x: tensor<4xf32>) {
  // expected-error @+1 {{(1) dimension 1 is not one of the operand's 1}}
  %a = graph.softmax %x dimension 1 : tensor<4xf32>
  return
}

// -----

func.func @log_softmax_1(%x: tensor<4xf32>) {
  // expected-error @+1 {{(1) dimension -1 is not one of the operand's 1}}
  %a = graph.log_softmax %x dimension -1 : tensor<4xf32>
  return
}

// -----

func.func @pick_1(%x: tensor<4x3xf32>, %i: tensor<4xi32>) {
  // expected-error @+2 {{(1) dimension 2 is not one of the operand's 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.pick %x, %i dimension 2 : tensor<4x3xf32>, tensor<4xi32> -> tensor<4xf32>
  return
}

// -----

func.func @pick_2(%x: tensor<4x3xf32>, %i: tensor<3xi64>) {
  // expected-error @+2 {{(2) indices must be 'tensor<4xi64>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.pick %x, %i dimension 1 : tensor<4x3xf32>, tensor<3xi64> -> tensor<4xf32>
  return
}

// -----

func.func @scan_1(%x: tensor<4xf32>) {
  // expected-error @+1 {{(1) dimension 1 is not one of the operand's 1}}
  %a = graph.scan sum %x dimension 1 : tensor<4xf32>
  return
}

// -----

func.func @scan_2(%x: tensor<4xf32>) {
  // expected-error @+1 {{(2) max is neither sum nor product}}
  %a = graph.scan max %x dimension 0 reverse : tensor<4xf32>
  return
}

// -----

func.func @sort_1(%x: tensor<4xf32>) {
  // expected-error @+2 {{(1) dimension 1 is not one of the operand's 1}}
  // expected-error @+1 {{failed to infer returned types}}
  %a, %b = graph.sort %x dimension 1 : tensor<4xf32> -> tensor<4xf32>, tensor<4xi64>
  return
}

// -----

func.func @sort_2(%x: tensor<2x2147483648xf32>) {
  // expected-error @+2 {{(2) a line has 2147483648 elements, more than 2^31 - 1}}
  // expected-error @+1 {{failed to infer returned types}}
  %a, %b = graph.sort %x dimension 1 : tensor<2x2147483648xf32> -> tensor<2x2147483648xf32>, tensor<2x2147483648xi64>
  return
}

// -----

func.func @batch_norm_1(%x: tensor<4xf32>, %g: tensor<4xf32>) {
  // expected-error @+2 {{(1) the operand must have a batch and channels}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:5 = graph.batch_norm %x, %g, %g, %g, %g epsilon 1.0e-5 momentum 0.1 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32> -> tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
  return
}

// -----

func.func @batch_norm_2(%x: tensor<4x3xbf16>, %g: tensor<3xbf16>) {
  // expected-error @+2 {{(2) scale and bias must be 'tensor<3xbf16>', mean and variance 'tensor<3xf32>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:5 = graph.batch_norm %x, %g, %g, %g, %g epsilon 1.0e-5 momentum 0.1 : tensor<4x3xbf16>, tensor<3xbf16>, tensor<3xbf16>, tensor<3xbf16>, tensor<3xbf16> -> tensor<4x3xbf16>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>
  return
}

// -----

func.func @batch_norm_3(%x: tensor<1x3xf32>, %g: tensor<3xf32>) {
  // expected-error @+2 {{(3) a channel of 'tensor<1x3xf32>' has less than two elements}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:5 = graph.batch_norm %x, %g, %g, %g, %g epsilon 1.0e-5 momentum 0.1 training : tensor<1x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32> -> tensor<1x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>
  return
}

// -----

func.func @layer_norm_1(%x: tensor<4x8xf32>, %g: tensor<4xf32>, %b: tensor<8xf32>) {
  // expected-error @+2 {{(1) scale and bias must have the shape of the operand's last dimension}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:3 = graph.layer_norm %x, %g, %b epsilon 1.0e-5 : tensor<4x8xf32>, tensor<4xf32>, tensor<8xf32> -> tensor<4x8xf32>, tensor<4xf32>, tensor<4xf32>
  return
}

// -----

func.func @linear_1(%x: tensor<4x8xf32>, %w: tensor<8x3xf32>) {
  // expected-error @+2 {{(1) weight must be [out, 8] of the operand's element type, but is}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.linear %x, %w : tensor<4x8xf32>, tensor<8x3xf32> -> tensor<4x3xf32>
  return
}

// -----

func.func @linear_2_wide(%x: tensor<4x8xbf16>, %w: tensor<3x8xbf16>, %b: tensor<3xf64>) {
  // expected-error @+2 {{(2) bias must be [3] of the operand's element type or of that of its sums}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.linear %x, %w, %b : tensor<4x8xbf16>, tensor<3x8xbf16>, tensor<3xf64> -> tensor<4x3xf64>
  return
}

// -----

// Sums of f32 are f32.
func.func @contract_result(%x: tensor<4x5xf32>) {
  // expected-error @+2 {{inferred type(s) 'tensor<4x4xf32>' are incompatible with return type(s) of operation 'tensor<4x4xbf16>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.contract %x, %x batch [] x [] over [1] x [1] : tensor<4x5xf32>, tensor<4x5xf32> -> tensor<4x4xbf16>
  return
}

// -----

func.func @linear_2(%x: tensor<4x8xf32>, %w: tensor<3x8xf32>, %b: tensor<8xf32>) {
  // expected-error @+2 {{(2) bias must be [3] of the operand's element type}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.linear %x, %w, %b : tensor<4x8xf32>, tensor<3x8xf32>, tensor<8xf32> -> tensor<4x3xf32>
  return
}

// -----

func.func @embedding_1(%t: tensor<65xf32>, %i: tensor<4xi32>) {
  // expected-error @+2 {{(1) the table must be [vocabulary, width], but is}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.embedding %t, %i : tensor<65xf32>, tensor<4xi32> -> tensor<4xf32>
  return
}

// -----

func.func @attention_1(%q: tensor<2x5x8xf32>) {
  // expected-error @+2 {{(1) query, key and value must be [batch, heads, sequence, head]}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:2 = graph.attention %q, %q, %q scale 1.0 causal false : tensor<2x5x8xf32>, tensor<2x5x8xf32>, tensor<2x5x8xf32> -> tensor<2x5x8xf32>, tensor<2x5xf32>
  return
}

// -----

func.func @attention_2(%q: tensor<2x1x5x8xf32>, %k: tensor<2x1x5x4xf32>) {
  // expected-error @+2 {{(2) query and key differ in dimension 3}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:2 = graph.attention %q, %k, %q scale 1.0 causal false : tensor<2x1x5x8xf32>, tensor<2x1x5x4xf32>, tensor<2x1x5x8xf32> -> tensor<2x1x5x8xf32>, tensor<2x1x5xf32>
  return
}

// -----

func.func @attention_2_heads(%q: tensor<2x4x5x8xf32>, %k: tensor<2x3x5x8xf32>) {
  // expected-error @+2 {{(2) 3 heads of keys do not divide 4 of queries}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:2 = graph.attention %q, %k, %k scale 1.0 causal false : tensor<2x4x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32> -> tensor<2x4x5x8xf32>, tensor<2x4x5xf32>
  return
}

// -----

func.func @attention_3(%q: tensor<2x1x5x8xf32>, %v: tensor<2x1x6x8xf32>) {
  // expected-error @+2 {{(3) key and value differ in dimension 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:2 = graph.attention %q, %q, %v scale 1.0 causal false : tensor<2x1x5x8xf32>, tensor<2x1x5x8xf32>, tensor<2x1x6x8xf32> -> tensor<2x1x5x8xf32>, tensor<2x1x5xf32>
  return
}

// -----

func.func @attention_4(%q: tensor<2x1x5x8xf32>, %k: tensor<2x1x0x8xf32>) {
  // expected-error @+2 {{(4) there is no key}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:2 = graph.attention %q, %k, %k scale 1.0 causal true : tensor<2x1x5x8xf32>, tensor<2x1x0x8xf32>, tensor<2x1x0x8xf32> -> tensor<2x1x5x8xf32>, tensor<2x1x5xf32>
  return
}

// -----

func.func @attention_5(%q: tensor<2x3x5x8xf32>, %m: tensor<2x2x1x5xi1>) {
  // expected-error @+2 {{(5) the mask must be of i1, 'f32' or 'f32' with the sizes 'tensor<2x3x5x5xf32>' or 1, but is 'tensor<2x2x1x5xi1>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:2 = graph.attention %q, %q, %q mask %m scale 1.0 causal true : tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x2x1x5xi1> -> tensor<2x3x5x8xf32>, tensor<2x3x5xf32>
  return
}

// -----

func.func @attention_5_type(%q: tensor<2x3x5x8xbf16>, %m: tensor<1x1x1x5xf64>) {
  // expected-error @+2 {{(5) the mask must be of i1, 'bf16' or 'f32' with the sizes}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:2 = graph.attention %q, %q, %q mask %m scale 1.0 causal true : tensor<2x3x5x8xbf16>, tensor<2x3x5x8xbf16>, tensor<2x3x5x8xbf16>, tensor<1x1x1x5xf64> -> tensor<2x3x5x8xbf16>, tensor<2x3x5xf32>
  return
}

// -----

func.func @attention_6(%q: tensor<2x3x5x8xf32>, %n: tensor<3xi64>) {
  // expected-error @+2 {{(6) offset and length must be one integer or 2, but one is 'tensor<3xi64>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:2 = graph.attention %q, %q, %q length %n scale 1.0 causal true : tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, tensor<3xi64> -> tensor<2x3x5x8xf32>, tensor<2x3x5xf32>
  return
}

// -----

func.func @attention_7(%q: tensor<2x3x5x8xf32>) {
  // expected-error @+2 {{(7) the soft cap must be a positive number}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:2 = graph.attention %q, %q, %q scale 1.0 causal true soft_cap 0.0 : tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32> -> tensor<2x3x5x8xf32>, tensor<2x3x5xf32>
  return
}

// -----

func.func @attention_7_window(%q: tensor<2x3x5x8xf32>) {
  // expected-error @+2 {{(7) a window must reach 0 to 2^28 - 1 keys, not -1}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:2 = graph.attention %q, %q, %q scale 1.0 causal true before -1 : tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32> -> tensor<2x3x5x8xf32>, tensor<2x3x5xf32>
  return
}

// -----

func.func @attention_7_causal(%q: tensor<2x3x5x8xf32>) {
  // expected-error @+2 {{(7) causal is after 0: a window gives one or the other}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:2 = graph.attention %q, %q, %q scale 1.0 causal true after 5 : tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32> -> tensor<2x3x5x8xf32>, tensor<2x3x5xf32>
  return
}

// -----

func.func @attention_backward_4(%q: tensor<2x1x5x8xf32>, %k: tensor<2x1x0x8xf32>, %lse: tensor<2x1x5xf32>) {
  // expected-error @+2 {{(4) there is no key}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:3 = graph.attention_backward %q, %k, %k, %q, %lse, %q scale 1.0 causal false
    : tensor<2x1x5x8xf32>, tensor<2x1x0x8xf32>, tensor<2x1x0x8xf32>, tensor<2x1x5x8xf32>, tensor<2x1x5xf32>, tensor<2x1x5x8xf32>
    -> tensor<2x1x5x8xf32>, tensor<2x1x0x8xf32>, tensor<2x1x0x8xf32>
  return
}

// -----

func.func @attention_backward_8(%q: tensor<2x1x5x8xf32>, %lse: tensor<2x1x4xf32>) {
  // expected-error @+2 {{(8) output, gradient and lse must be 'tensor<2x1x5x8xf32>', 'tensor<2x1x5x8xf32>' and 'tensor<2x1x5xf32>'}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:3 = graph.attention_backward %q, %q, %q, %q, %lse, %q scale 1.0 causal true
    : tensor<2x1x5x8xf32>, tensor<2x1x5x8xf32>, tensor<2x1x5x8xf32>, tensor<2x1x5x8xf32>, tensor<2x1x4xf32>, tensor<2x1x5x8xf32>
    -> tensor<2x1x5x8xf32>, tensor<2x1x5x8xf32>, tensor<2x1x5x8xf32>
  return
}

// -----

func.func @cross_entropy_1(%x: tensor<4x65xf32>, %t: tensor<5xi32>) {
  // expected-error @+2 {{(1) targets must have the shape of the logits without their last dimension}}
  // expected-error @+1 {{failed to infer returned types}}
  %a:2 = graph.cross_entropy %x, %t : tensor<4x65xf32>, tensor<5xi32> -> tensor<f32>, tensor<4xf32>
  return
}

// -----

func.func @mse_1(%x: tensor<4xf32>, %t: tensor<5xf32>) {
  // expected-error @+2 {{(1) prediction and target differ in type}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.mse %x, %t : tensor<4xf32>, tensor<5xf32> -> tensor<f32>
  return
}

// -----

func.func @update_1(%p: tensor<8xf32>, %g: tensor<4xf32>, %s: tensor<f32>) {
  // expected-error @+1 {{(1) parameters, gradients, state and results must pair up in number and type}}
  %a = graph.update (%p) gradients (%g) state () scalars (%s)
    : tensor<8xf32>, tensor<4xf32>, tensor<f32> -> tensor<8xf32> {
  ^bb0(%x: tensor<f32>, %y: tensor<f32>, %z: tensor<f32>):
    graph.yield %x : tensor<f32>
  }
  return
}

// -----

func.func @update_2(%p: tensor<8xbf16>, %s: tensor<f32>) {
  // expected-error @+1 {{(2) the region takes parameter, gradient, state and scalars as 'tensor<f32>'}}
  %a = graph.update (%p) gradients (%p) state () scalars (%s)
    : tensor<8xbf16>, tensor<8xbf16>, tensor<f32> -> tensor<8xbf16> {
  ^bb0(%x: tensor<bf16>, %y: tensor<bf16>, %z: tensor<f32>):
    graph.yield %x : tensor<bf16>
  }
  return
}

// -----

func.func @update_3(%p: tensor<8xf32>, %s: tensor<f32>) {
  // expected-error @+1 {{(3) the region yields the parameter and its state as 'tensor<f32>'}}
  %a:2 = graph.update (%p) gradients (%p) state (%p) scalars (%s)
    : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>, tensor<f32> -> tensor<8xf32>, tensor<8xf32> {
  ^bb0(%x: tensor<f32>, %y: tensor<f32>, %m: tensor<f32>, %z: tensor<f32>):
    graph.yield %x : tensor<f32>
  }
  return
}

// -----

func.func @update_6_one_of_two(%p: tensor<8xf32>, %q: tensor<4xf32>) {
  // expected-error @+1 {{(6) what is rounded is of every parameter, in one narrower type}}
  %a:3 = graph.update (%p, %q) gradients (%p, %q) state () scalars ()
    : tensor<8xf32>, tensor<4xf32>, tensor<8xf32>, tensor<4xf32> -> tensor<8xf32>, tensor<4xf32> rounded tensor<8xbf16> {
  ^bb0(%x: tensor<f32>, %y: tensor<f32>):
    graph.yield %x : tensor<f32>
  }
  return
}

// -----

func.func @update_6_as_wide(%p: tensor<8xf32>) {
  // expected-error @+1 {{(6) what is rounded is of every parameter, in one narrower type}}
  %a:2 = graph.update (%p) gradients (%p) state () scalars ()
    : tensor<8xf32>, tensor<8xf32> -> tensor<8xf32> rounded tensor<8xf32> {
  ^bb0(%x: tensor<f32>, %y: tensor<f32>):
    graph.yield %x : tensor<f32>
  }
  return
}

// -----

func.func @update_5_rows(%p: tensor<8xf32>, %s: tensor<f32>) {
  // expected-error @+1 {{(5) 32 elements of a bucket are not 3 rows of equal length}}
  %a:2 = graph.update (%p) gradients (%p) state () scalars (%s) {limit = 1.0 : f64}
    : tensor<8xf32>, tensor<8xf32>, tensor<f32> -> tensor<8xf32> beyond tensor<3xi32> {
  ^bb0(%x: tensor<f32>, %y: tensor<f32>, %z: tensor<f32>):
    graph.yield %x : tensor<f32>
  }
  return
}

// -----

func.func @update_5_limit(%p: tensor<8xf32>, %s: tensor<f32>) {
  // expected-error @+1 {{(5) `beyond` and a limit come together}}
  %a:2 = graph.update (%p) gradients (%p) state () scalars (%s)
    : tensor<8xf32>, tensor<8xf32>, tensor<f32> -> tensor<8xf32> beyond tensor<2xi32> {
  ^bb0(%x: tensor<f32>, %y: tensor<f32>, %z: tensor<f32>):
    graph.yield %x : tensor<f32>
  }
  return
}

// -----

func.func @update_4(%p: tensor<8xf32>, %s: tensor<f32>) {
  // expected-error @+4 {{(4) is not elementwise, and stands in the formula of an update}}
  %a = graph.update (%p) gradients (%p) state () scalars (%s)
    : tensor<8xf32>, tensor<8xf32>, tensor<f32> -> tensor<8xf32> {
  ^bb0(%x: tensor<f32>, %y: tensor<f32>, %z: tensor<f32>):
    %t = graph.reshape %y : tensor<f32> -> tensor<f32>
    graph.yield %t : tensor<f32>
  }
  return
}

// -----

func.func @loop_1(%n: tensor<i64>, %x: tensor<4xf32>) {
  // expected-error @+1 {{(1) the body takes the iteration number, 'tensor<i64>', and the carried values}}
  %a = graph.loop %n carry (%x : tensor<4xf32>) : tensor<i64> -> (tensor<4xf32>) {
  ^bb0(%v: tensor<4xf32>):
    graph.yield %v : tensor<4xf32>
  }
  return
}

// -----

func.func @loop_2(%n: tensor<i64>, %x: tensor<4xf32>) {
  // expected-error @+1 {{(2) the body yields the carried values, then one value per stacked result}}
  %a = graph.loop %n carry (%x : tensor<4xf32>) : tensor<i64> -> (tensor<4xf32>) {
  ^bb0(%i: tensor<i64>, %v: tensor<4xf32>):
    graph.yield
  }
  return
}

// -----

func.func @loop_3(%n: tensor<i64>, %x: tensor<4xf32>) {
  // expected-error @+1 {{(3) carried value 0 changes its type}}
  %a = graph.loop %n carry (%x : tensor<4xf32>) : tensor<i64> -> (tensor<4xf32>) {
  ^bb0(%i: tensor<i64>, %v: tensor<4xf32>):
    graph.yield %i : tensor<i64>
  }
  return
}

// -----

func.func @loop_4(%n: tensor<i64>, %x: tensor<4xf32>) {
  // expected-error @+1 {{(4) result 0 does not stack what the body yields}}
  %a = graph.loop %n : tensor<i64> -> (tensor<4xf32>) {
  ^bb0(%i: tensor<i64>):
    graph.yield %x : tensor<4xf32>
  }
  return
}

// -----

func.func @loop_5(%n: tensor<i64>, %x: tensor<4xf32>) {
  // expected-error @+1 {{(5) at_most is -1}}
  %a = graph.loop %n at_most -1 carry (%x : tensor<4xf32>) : tensor<i64> -> (tensor<4xf32>) {
  ^bb0(%i: tensor<i64>, %v: tensor<4xf32>):
    graph.yield %v : tensor<4xf32>
  }
  return
}

// -----

func.func @dynamic_slice_1(%x: tensor<4x3xf32>, %i: tensor<i64>) {
  // expected-error @+2 {{(1) dimension 2 is not one of the operand's 2}}
  // expected-error @+1 {{failed to infer returned types}}
  %y = graph.dynamic_slice %x, %i dimension 2 size 1 : tensor<4x3xf32>, tensor<i64> -> tensor<4x3xf32>
  return
}

// -----

func.func @dynamic_slice_2(%x: tensor<4x3xf32>, %i: tensor<i64>) {
  // expected-error @+2 {{(2) size 5 does not fit the operand's dimension 0 of 4}}
  // expected-error @+1 {{failed to infer returned types}}
  %y = graph.dynamic_slice %x, %i dimension 0 size 5 : tensor<4x3xf32>, tensor<i64> -> tensor<5x3xf32>
  return
}

// -----

func.func @dynamic_update_slice_1(%x: tensor<4x3xf32>, %u: tensor<1x3xf32>, %i: tensor<i64>) {
  // expected-error @+1 {{(1) dimension -1 is not one of the base's 2}}
  %y = graph.dynamic_update_slice %x, %u, %i dimension -1 : tensor<4x3xf32>, tensor<1x3xf32>, tensor<i64>
  return
}

// -----

func.func @dynamic_update_slice_2(%x: tensor<4x3xf32>, %u: tensor<5x3xf32>, %i: tensor<i64>) {
  // expected-error @+1 {{(2) update must be part of 'tensor<4x3xf32>' in dimension 0}}
  %y = graph.dynamic_update_slice %x, %u, %i dimension 0 : tensor<4x3xf32>, tensor<5x3xf32>, tensor<i64>
  return
}

// -----

func.func @if_1(%c: tensor<1xi1>) {
  // expected-error @+1 {{(1) the condition must be a scalar}}
  graph.if %c : tensor<1xi1> {
    graph.yield
  } else {
    graph.yield
  }
  return
}

// -----

func.func @if_2(%c: tensor<i1>, %x: tensor<4xf32>) {
  // expected-error @+1 {{(2) both regions must yield the result types}}
  %a = graph.if %c : tensor<i1> -> (tensor<4xf32>) {
    graph.yield %x : tensor<4xf32>
  } else {
    graph.yield
  }
  return
}

// -----

func.func @bucket_1() {
  // expected-error @+2 {{(1) a bucket needs at least one tensor}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = "graph.bucket"() : () -> tensor<0xf32>
  return
}

// -----

func.func @bucket_2(%x: tensor<4xf32>, %y: tensor<4xf64>) {
  // expected-error @+2 {{(2) a bucket's tensors have static shapes and one element type}}
  // expected-error @+1 {{failed to infer returned types}}
  %a = graph.bucket %x, %y : tensor<4xf32>, tensor<4xf64> -> tensor<32xf32>
  return
}

// -----

func.func @unbucket_1(%b: tensor<20xf32>) {
  // expected-error @+1 {{(1) the bucket of the results is 'tensor<64xf32>'}}
  %a:2 = graph.unbucket %b : tensor<20xf32> -> tensor<4xf32>, tensor<16xf32>
  return
}
