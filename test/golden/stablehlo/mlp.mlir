module @jit__lambda attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<6x4xf32>) -> (tensor<6x3xf32> {jax.result_info = "result"}) {
    %cst = stablehlo.constant dense<[[0.000000e+00, 1.190000e-01, -1.100000e-01, -3.560000e-01, -1.820000e-01, -3.970000e-01, 2.400000e-02, 5.360000e-01], [-1.970000e-01, -2.480000e-01, 1.960000e-01, 1.430000e-01, 4.200000e-02, -3.720000e-01, -1.200000e-02, 2.780000e-01], [-5.380000e-01, -1.830000e-01, -7.600000e-01, -5.160000e-01, -0.736999988, -9.400000e-02, -5.070000e-01, 1.090000e-01], [6.300000e-02, -7.500000e-02, -1.007000e+00, -2.150000e-01, -1.900000e-02, 4.500000e-02, -0.611999988, -1.910000e-01]]> : tensor<4x8xf32>
    %cst_0 = stablehlo.constant dense<0.000000e+00> : tensor<8xf32>
    %cst_1 = stablehlo.constant dense<[[-3.910000e-01, -3.240000e-01, 4.240000e-01, -3.230000e-01, -1.300000e-02, 3.540000e-01, -2.330000e-01, -4.500000e-02], [4.400000e-02, 2.600000e-02, -4.900000e-01, 3.000000e-02, 5.440000e-01, -6.190000e-01, 3.440000e-01, 4.800000e-02], [-2.570000e-01, 8.000000e-01, 3.050000e-01, -4.800000e-01, 3.000000e-02, 2.310000e-01, -7.600000e-02, 2.730000e-01], [-2.700000e-02, 2.670000e-01, 5.750000e-01, -2.700000e-01, 8.100000e-02, -1.850000e-01, 5.100000e-02, -4.750000e-01], [-2.320000e-01, -7.800000e-02, 3.600000e-01, 4.580000e-01, -5.290000e-01, -3.180000e-01, 2.590000e-01, -0.79699999], [-1.850000e-01, -3.900000e-02, 5.030000e-01, 2.760000e-01, -1.310000e-01, -1.470000e-01, -1.000000e-01, 6.090000e-01], [-1.710000e-01, -1.210000e-01, 1.410000e-01, -4.800000e-02, -7.900000e-02, -4.460000e-01, -5.000000e-03, -1.770000e-01], [4.660000e-01, 2.610000e-01, -0.00999999977, 2.670000e-01, -1.360000e-01, 4.210000e-01, -2.000000e-03, 2.330000e-01]]> : tensor<8x8xf32>
    %cst_2 = stablehlo.constant dense<[-5.160000e-01, 1.390000e-01, -6.750000e-01, -8.140000e-01, -1.220000e-01, -3.600000e-01, 6.600000e-02, 8.980000e-01]> : tensor<8xf32>
    %cst_3 = stablehlo.constant dense<[[-3.330000e-01, -2.500000e-01, 8.200000e-02], [1.970000e-01, -7.100000e-02, -8.200000e-02], [2.810000e-01, 2.080000e-01, -4.130000e-01], [-3.200000e-02, 1.400000e-02, -4.220000e-01], [1.040000e-01, -3.430000e-01, 3.890000e-01], [7.700000e-02, 3.600000e-02, -2.360000e-01], [-4.700000e-02, -7.990000e-01, -4.530000e-01], [1.450000e-01, -8.510000e-01, 3.390000e-01]]> : tensor<8x3xf32>
    %0 = stablehlo.dot_general %arg0, %cst, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<6x4xf32>, tensor<4x8xf32>) -> tensor<6x8xf32>
    %1 = stablehlo.broadcast_in_dim %cst_0, dims = [1] : (tensor<8xf32>) -> tensor<1x8xf32>
    %2 = stablehlo.broadcast_in_dim %1, dims = [0, 1] : (tensor<1x8xf32>) -> tensor<6x8xf32>
    %3 = stablehlo.add %0, %2 : tensor<6x8xf32>
    %4 = stablehlo.tanh %3 : tensor<6x8xf32>
    %5 = stablehlo.dot_general %4, %cst_1, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<6x8xf32>, tensor<8x8xf32>) -> tensor<6x8xf32>
    %6 = stablehlo.broadcast_in_dim %cst_2, dims = [1] : (tensor<8xf32>) -> tensor<1x8xf32>
    %7 = stablehlo.broadcast_in_dim %6, dims = [0, 1] : (tensor<1x8xf32>) -> tensor<6x8xf32>
    %8 = stablehlo.add %5, %7 : tensor<6x8xf32>
    %9 = stablehlo.multiply %8, %8 : tensor<6x8xf32>
    %10 = stablehlo.multiply %9, %8 : tensor<6x8xf32>
    %cst_4 = stablehlo.constant dense<4.471500e-02> : tensor<f32>
    %11 = stablehlo.broadcast_in_dim %cst_4, dims = [] : (tensor<f32>) -> tensor<6x8xf32>
    %12 = stablehlo.multiply %11, %10 : tensor<6x8xf32>
    %13 = stablehlo.add %8, %12 : tensor<6x8xf32>
    %cst_5 = stablehlo.constant dense<0.797884583> : tensor<f32>
    %14 = stablehlo.broadcast_in_dim %cst_5, dims = [] : (tensor<f32>) -> tensor<6x8xf32>
    %15 = stablehlo.multiply %14, %13 : tensor<6x8xf32>
    %16 = stablehlo.tanh %15 : tensor<6x8xf32>
    %cst_6 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %17 = stablehlo.broadcast_in_dim %cst_6, dims = [] : (tensor<f32>) -> tensor<6x8xf32>
    %18 = stablehlo.add %17, %16 : tensor<6x8xf32>
    %cst_7 = stablehlo.constant dense<5.000000e-01> : tensor<f32>
    %19 = stablehlo.broadcast_in_dim %cst_7, dims = [] : (tensor<f32>) -> tensor<6x8xf32>
    %20 = stablehlo.multiply %19, %18 : tensor<6x8xf32>
    %21 = stablehlo.multiply %8, %20 : tensor<6x8xf32>
    %22 = stablehlo.dot_general %21, %cst_3, contracting_dims = [1] x [0], precision = [DEFAULT, DEFAULT] : (tensor<6x8xf32>, tensor<8x3xf32>) -> tensor<6x3xf32>
    return %22 : tensor<6x3xf32>
  }
}
