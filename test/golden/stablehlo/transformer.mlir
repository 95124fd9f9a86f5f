module @jit__lambda attributes {mhlo.num_partitions = 1 : i32, mhlo.num_replicas = 1 : i32} {
  func.func public @main(%arg0: tensor<2x5xi32>) -> (tensor<2x5x11xf32> {jax.result_info = "result"}) {
    %cst = stablehlo.constant dense<[[-3.010000e-01, 1.820000e-01, -2.160000e-01, -5.700000e-02, -4.430000e-01, -4.860000e-01, 5.340000e-01, -2.030000e-01], [1.170000e-01, -1.400000e-02, -1.760000e-01, -2.030000e-01, 2.520000e-01, -1.210000e-01, -6.100000e-02, 0.00899999961], [4.710000e-01, 2.720000e-01, 1.530000e-01, -2.250000e-01, -5.530000e-01, 3.800000e-01, 3.870000e-01, -5.600000e-02], [2.170000e-01, 3.130000e-01, 3.320000e-01, 3.690000e-01, -1.820000e-01, 6.060000e-01, -4.990000e-01, 3.450000e-01], [1.980000e-01, 3.490000e-01, 7.520000e-01, 5.940000e-01, -4.580000e-01, -6.750000e-01, 3.270000e-01, -4.060000e-01], [-5.000000e-03, 3.360000e-01, -6.580000e-01, -0.843999981, 1.040000e-01, 1.800000e-02, -0.0979999974, 1.500000e-02], [-3.440000e-01, -6.050000e-01, -6.700000e-02, -3.890000e-01, -6.570000e-01, 2.020000e-01, -2.500000e-02, 1.630000e-01], [-3.960000e-01, -2.630000e-01, -4.000000e-01, -3.550000e-01, 7.800000e-02, -3.130000e-01, 1.420000e-01, 1.360000e-01], [8.100000e-01, -5.570000e-01, 3.550000e-01, -3.600000e-02, -6.000000e-03, -5.800000e-01, -1.840000e-01, 2.970000e-01], [-3.300000e-02, 3.200000e-02, -1.160000e-01, 4.620000e-01, -0.00899999961, -0.879999995, -2.770000e-01, -0.787999987], [-1.301000e+00, -2.120000e-01, 5.330000e-01, 1.900000e-02, -4.690000e-01, -3.760000e-01, 4.520000e-01, 6.300000e-02]]> : tensor<11x8xf32>
    %cst_0 = stablehlo.constant dense<"0xE3A59B3C3108ACBC8FC2753C2FDDA43ED34D623EC520B03D0681D5BE60E5503EBA498CBE8941E03E4A0C02BFAE4761BDA69B44BB14AE07BF4E62303F0681153FA4703DBE3F359E3EBE9F1A3E8FC285BFCDCCCC3DCDCCCCBC022B073D08ACDCBE1B2FDDBD736891BD3333F33E4C37093E6F1203BB08AC1C3FF85363BE77BE1FBEAC1C3ABF9CC4203FCBA1C53E6DE7BB3E4C37893E5839343DC520B03D17D9CEBD54E3A5BD5839B43C48E11A3FF853633E7F6ABCBC68916DBE4A0C82BE9318243F3BDF4F3E1B2FDD3CDF4F0DBEF853E3BE1B2FDDBC21B0B23E9CC420BE355EBABD5839B4BD5839343D6F1223BF1283C0BDA01AAFBE7D3FB53E2DB29DBE448B6C3EF6281C3F000000BEB4C876BE2DB29D3D6F1283BA9643CBBE7F6A3C3E04564E3FAAF1D2BD54E3A5BD1904D6BE6F12033EEE7CFFBEE5D0E2BE6F12033F1058B9BE2DB2DD3EF6281C3FF4FDD43DD34D623E9EEF473FC1CAA1BD21B072BEFA7E0ABF96438B3C508D173FA69BC43E2506C1BEA01AAFBE17D94EBEB29DEF3D9EEFA7BDC520B03D46B6F33D8FC2F5BD6F1283BCE7FBA93D96430BBDF2D24D3EEE7C3F3F21B0723E5839B43C448B2CBF52B81E3E8B6C47BF4E6210BFA01AAF3E4E62903E8FC275BDA01A2FBF759318BE83C08ABE5C8F823E022B673F0E2DB23D77BE9FBEB29DEFBE5839B4BC736891BD3108ECBE1283403D1F85EBBE0AD7E33E9A99D93E"> : tensor<16x8xf32>
    %cst_1 = stablehlo.constant dense<[1.434000e+00, 8.100000e-01, 1.206000e+00, 9.470000e-01, 0.843999981, 0.863999962, 0.480000019, 4.220000e-01]> : tensor<8xf32>
    %cst_2 = stablehlo.constant dense<[3.180000e-01, -7.600000e-02, 8.700000e-02, 4.010000e-01, -6.930000e-01, -3.140000e-01, 7.000000e-02, 1.570000e-01]> : tensor<8xf32>
    %cst_3 = stablehlo.constant dense<"0xBE9F1ABEAAF1D23E3108AC3DEC51F8BEC976BEBE2FDDA43EC9763E3E5C8F42BFE7FB093F6ABC743ED578093F08AC1CBEFCA9F1BD79E9E6BE85EB813F295C8FBD5C8F223FA69B84BE022B873D96432BBF08AC1CBE5EBAC93E894100BFE3A5DB3E713D0A3E1904D6BEF2D24DBE7F6A3CBE0AD7A3BCD1225BBED578A9BE23DBF9BD986ED2BE931804BFE3A59BBC6ABCB43E08AC1CBF6F12833AB81E85BE2731C8BE8D97AE3ECFF753BE1058193F77BE9FBE52B81E3E355EBABDBE9F9ABED7A3703EB6F37DBDB4C8763EE3A59BBC3F35DEBE9EEF27BD3108AC3C9318C43E23DBB9BE6F1283BC4E6230BFCBA1853E2DB2DDBE871639BFA69BC4BCD34DE23EF6281CBF52B8DEBE621098BE8B6CE7BEE3A51B3E4260A5BECFF793BE8D976E3EBE9F9ABEE926313E022BC7BEEC51F8BE6DE73BBFC9763E3F6F1203BE39B4C83DA69B44BC6F12833D0AD7A33CF853433FF4FDD4BEEE7C1FBF295CCFBE39B408BF8716993E9EEFA73EB81EC5BE04560EBF736811BE04560E3F4E6290BF6210583EF628DCBEF4FDD43E08ACDCBED578E9BD355E1ABF2731C8BEF2D20D3F9EEFA73E2FDD24BE0E2DB2BE4A0C42BF9CC420BEA69B44BC96430BBDE3A51BBD54E3E5BE1B2FDDBC8FC275BC9318043F643B3F3FAE4761BD1B2F9DBEF4FDD4BCFED478BE621098BE7F6ABCBC0681D5BED9CE773E31082CBDCDCCCC3D068195BDF4FD94BE4A0CC2BE5C8FC2BDAE4761BE1283C03D6F1203BB1F850BBF1B2FDD3CD57809BF91ED7CBEFCA9F1BDE17A54BF508D173D8FC2753D250681BD7B142EBE759318BE2731C8BE1B2FDDBDD34D62BE508D173DB4C8F6BE1283C03DD578693DD57869BD583934BED34D623EFA7E2ABF7F6A3C3EF0A7C63D8B6CE73D08AC1C3ECBA185BEF4FDD4BD5C8F823EC520303EE7FBA93DD1221BBFF6285C3EB29DEF3E17D9CE3E1283C03DEE7C1FBF2506C13EFCA971BDFCA981BFBE9F1A3EFED418BF2FDD04BF4A0C82BED34D023F508D17BE1B2FDD3DAAF1323FF853233F9EEF27BDF0A7C6BD250601BF04568EBE7B142E3EC1CA213E5839343DA8C6CB3E3F359EBE5839B4BC0681953E"> : tensor<8x24xf32>
    %cst_4 = stablehlo.constant dense<[[2.340000e-01, 4.280000e-01, 1.590000e-01, -1.240000e-01, 1.450000e-01, -4.010000e-01, -6.560000e-01, 2.320000e-01], [-2.200000e-02, 1.230000e-01, -6.790000e-01, -1.460000e-01, -2.400000e-01, -3.460000e-01, -9.020000e-01, -1.340000e-01], [3.590000e-01, 1.520000e-01, -2.400000e-01, -6.000000e-03, 3.030000e-01, -1.104000e+00, -5.000000e-02, 2.170000e-01], [2.730000e-01, 6.800000e-01, 4.540000e-01, 1.250000e-01, 1.210000e-01, 3.150000e-01, -2.160000e-01, -1.600000e-02], [3.620000e-01, 0.782999992, -6.400000e-02, -1.900000e-02, 7.900000e-02, 5.370000e-01, -1.200000e-02, 5.880000e-01], [-3.870000e-01, -7.400000e-02, -7.900000e-02, 3.150000e-01, 4.180000e-01, -6.040000e-01, -3.660000e-01, 1.350000e-01], [-2.630000e-01, -6.090000e-01, 4.150000e-01, 1.980000e-01, 1.970000e-01, -1.900000e-01, 4.120000e-01, -9.600000e-02], [4.390000e-01, -3.650000e-01, -3.420000e-01, 8.200000e-02, -2.810000e-01, 2.700000e-01, 1.040000e-01, -3.690000e-01]]> : tensor<8x8xf32>
    %cst_5 = stablehlo.constant dense<[[2.900000e-02, -1.410000e-01, 3.660000e-01, -2.530000e-01, -1.760000e-01, 4.840000e-01, 0.89499998, 8.000000e-01, 2.500000e-02, 0.0879999995, 0.612999975, -5.000000e-02], [-3.910000e-01, 4.700000e-02, 1.810000e-01, -3.320000e-01, -6.580000e-01, -5.750000e-01, 2.660000e-01, -3.030000e-01, -5.700000e-02, 8.500000e-02, 2.480000e-01, -1.340000e-01], [1.990000e-01, -3.560000e-01, -1.450000e-01, -4.100000e-01, 4.530000e-01, -1.100000e-02, -2.960000e-01, -1.410000e-01, -8.900000e-02, 2.800000e-01, -6.380000e-01, -4.150000e-01], [-1.510000e-01, 1.013000e+00, 3.820000e-01, -4.500000e-02, 2.850000e-01, 8.230000e-01, -9.300000e-02, -1.470000e-01, 4.850000e-01, 1.980000e-01, 2.690000e-01, -2.030000e-01], [0.76999998, 6.840000e-01, 2.260000e-01, 2.740000e-01, -0.810999989, 2.550000e-01, -7.800000e-02, 1.740000e-01, 2.730000e-01, -1.370000e-01, -6.760000e-01, 1.470000e-01], [-2.970000e-01, -1.320000e-01, -2.420000e-01, -1.370000e-01, -9.240000e-01, 4.870000e-01, 1.010000e-01, 4.450000e-01, 0.791999995, 0.00899999961, -7.210000e-01, -3.580000e-01], [-4.830000e-01, -2.010000e-01, 3.200000e-02, -0.800999999, 1.370000e-01, -6.040000e-01, 1.190000e-01, -4.400000e-02, -1.250000e-01, -2.900000e-02, -2.160000e-01, -2.450000e-01], [-6.730000e-01, -1.200000e-02, 0.737999975, 0.791999995, 5.290000e-01, 2.820000e-01, -2.710000e-01, 5.770000e-01, -2.200000e-02, -2.800000e-02, -1.160000e-01, 3.700000e-02]]> : tensor<8x12xf32>
    %cst_6 = stablehlo.constant dense<[[-1.740000e-01, -3.400000e-02, -4.340000e-01, -1.490000e-01, 9.120000e-01, -2.800000e-02, -0.0949999988, 2.130000e-01], [2.830000e-01, -4.460000e-01, -0.0829999968, 3.670000e-01, 1.080000e-01, 4.900000e-02, 6.220000e-01, -2.710000e-01], [3.300000e-02, -2.080000e-01, 5.960000e-01, -7.810000e-01, -2.680000e-01, -2.120000e-01, 2.650000e-01, 2.430000e-01], [5.580000e-01, -6.300000e-01, 3.000000e-01, -1.170000e-01, -2.660000e-01, 2.160000e-01, -3.680000e-01, -0.83099997], [-1.480000e-01, -5.990000e-01, -2.600000e-01, 1.490000e-01, 1.250000e-01, 6.350000e-01, -8.000000e-02, -0.612999975], [-3.020000e-01, -3.680000e-01, -4.870000e-01, 1.740000e-01, -2.580000e-01, -7.910000e-01, 2.790000e-01, -4.500000e-02], [1.430000e-01, 4.200000e-02, 2.530000e-01, 1.500000e-02, 4.940000e-01, 1.700000e-01, 1.570000e-01, 1.640000e-01], [-5.830000e-01, -6.600000e-02, -1.040000e-01, 0.0829999968, -5.430000e-01, 0.653999984, 4.200000e-02, -4.850000e-01], [-6.840000e-01, -1.130000e-01, -3.600000e-02, -2.870000e-01, 3.700000e-02, -2.560000e-01, 2.210000e-01, -2.900000e-01], [-1.500000e-02, 3.920000e-01, 1.029000e+00, -4.030000e-01, -1.860000e-01, -3.360000e-01, 3.140000e-01, -4.590000e-01], [-1.940000e-01, -1.200000e-02, -3.910000e-01, -3.830000e-01, -1.900000e-01, -0.839999973, -5.780000e-01, -1.650000e-01], [5.900000e-02, -7.400000e-02, -0.709999978, -1.860000e-01, 3.190000e-01, 2.220000e-01, -3.100000e-02, -3.550000e-01]]> : tensor<12x8xf32>
    %c = stablehlo.constant dense<0> : tensor<i32>
    %0 = stablehlo.broadcast_in_dim %c, dims = [] : (tensor<i32>) -> tensor<2x5xi32>
    %1 = stablehlo.compare LT, %arg0, %0, SIGNED : (tensor<2x5xi32>, tensor<2x5xi32>) -> tensor<2x5xi1>
    %c_7 = stablehlo.constant dense<11> : tensor<i32>
    %2 = stablehlo.broadcast_in_dim %c_7, dims = [] : (tensor<i32>) -> tensor<2x5xi32>
    %3 = stablehlo.add %arg0, %2 : tensor<2x5xi32>
    %4 = stablehlo.select %1, %3, %arg0 : tensor<2x5xi1>, tensor<2x5xi32>
    %5 = stablehlo.broadcast_in_dim %4, dims = [0, 1] : (tensor<2x5xi32>) -> tensor<2x5x1xi32>
    %6 = "stablehlo.gather"(%cst, %5) <{dimension_numbers = #stablehlo.gather<offset_dims = [2], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 2>, indices_are_sorted = false, slice_sizes = array<i64: 1, 8>}> : (tensor<11x8xf32>, tensor<2x5x1xi32>) -> tensor<2x5x8xf32>
    %7 = stablehlo.slice %cst_0 [0:5, 0:8] : (tensor<16x8xf32>) -> tensor<5x8xf32>
    %8 = stablehlo.broadcast_in_dim %7, dims = [1, 2] : (tensor<5x8xf32>) -> tensor<1x5x8xf32>
    %9 = stablehlo.broadcast_in_dim %8, dims = [0, 1, 2] : (tensor<1x5x8xf32>) -> tensor<2x5x8xf32>
    %10 = stablehlo.add %6, %9 : tensor<2x5x8xf32>
    %cst_8 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %11 = stablehlo.reduce(%10 init: %cst_8) applies stablehlo.add across dimensions = [2] : (tensor<2x5x8xf32>, tensor<f32>) -> tensor<2x5xf32>
    %12 = stablehlo.broadcast_in_dim %11, dims = [0, 1] : (tensor<2x5xf32>) -> tensor<2x5x1xf32>
    %cst_9 = stablehlo.constant dense<8.000000e+00> : tensor<f32>
    %13 = stablehlo.broadcast_in_dim %cst_9, dims = [] : (tensor<f32>) -> tensor<2x5x1xf32>
    %14 = stablehlo.divide %12, %13 : tensor<2x5x1xf32>
    %15 = stablehlo.broadcast_in_dim %14, dims = [0, 1, 2] : (tensor<2x5x1xf32>) -> tensor<2x5x8xf32>
    %16 = stablehlo.subtract %10, %15 : tensor<2x5x8xf32>
    %17 = stablehlo.broadcast_in_dim %14, dims = [0, 1, 2] : (tensor<2x5x1xf32>) -> tensor<2x5x8xf32>
    %18 = stablehlo.subtract %10, %17 : tensor<2x5x8xf32>
    %19 = stablehlo.multiply %18, %18 : tensor<2x5x8xf32>
    %cst_10 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %20 = stablehlo.reduce(%19 init: %cst_10) applies stablehlo.add across dimensions = [2] : (tensor<2x5x8xf32>, tensor<f32>) -> tensor<2x5xf32>
    %21 = stablehlo.broadcast_in_dim %20, dims = [0, 1] : (tensor<2x5xf32>) -> tensor<2x5x1xf32>
    %cst_11 = stablehlo.constant dense<8.000000e+00> : tensor<f32>
    %22 = stablehlo.broadcast_in_dim %cst_11, dims = [] : (tensor<f32>) -> tensor<2x5x1xf32>
    %23 = stablehlo.divide %21, %22 : tensor<2x5x1xf32>
    %cst_12 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %24 = stablehlo.broadcast_in_dim %cst_12, dims = [] : (tensor<f32>) -> tensor<2x5x1xf32>
    %25 = stablehlo.add %23, %24 : tensor<2x5x1xf32>
    %26 = stablehlo.sqrt %25 : tensor<2x5x1xf32>
    %27 = stablehlo.broadcast_in_dim %26, dims = [0, 1, 2] : (tensor<2x5x1xf32>) -> tensor<2x5x8xf32>
    %28 = stablehlo.divide %16, %27 : tensor<2x5x8xf32>
    %29 = stablehlo.broadcast_in_dim %cst_1, dims = [2] : (tensor<8xf32>) -> tensor<1x1x8xf32>
    %30 = stablehlo.broadcast_in_dim %29, dims = [0, 1, 2] : (tensor<1x1x8xf32>) -> tensor<2x5x8xf32>
    %31 = stablehlo.multiply %28, %30 : tensor<2x5x8xf32>
    %32 = stablehlo.broadcast_in_dim %cst_2, dims = [2] : (tensor<8xf32>) -> tensor<1x1x8xf32>
    %33 = stablehlo.broadcast_in_dim %32, dims = [0, 1, 2] : (tensor<1x1x8xf32>) -> tensor<2x5x8xf32>
    %34 = stablehlo.add %31, %33 : tensor<2x5x8xf32>
    %35 = stablehlo.dot_general %34, %cst_3, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x5x8xf32>, tensor<8x24xf32>) -> tensor<2x5x24xf32>
    %36 = stablehlo.slice %35 [0:2, 0:5, 0:8] : (tensor<2x5x24xf32>) -> tensor<2x5x8xf32>
    %37 = stablehlo.slice %35 [0:2, 0:5, 8:16] : (tensor<2x5x24xf32>) -> tensor<2x5x8xf32>
    %38 = stablehlo.slice %35 [0:2, 0:5, 16:24] : (tensor<2x5x24xf32>) -> tensor<2x5x8xf32>
    %39 = stablehlo.reshape %36 : (tensor<2x5x8xf32>) -> tensor<2x5x2x4xf32>
    %40 = stablehlo.transpose %39, dims = [0, 2, 1, 3] : (tensor<2x5x2x4xf32>) -> tensor<2x2x5x4xf32>
    %41 = stablehlo.reshape %37 : (tensor<2x5x8xf32>) -> tensor<2x5x2x4xf32>
    %42 = stablehlo.transpose %41, dims = [0, 2, 1, 3] : (tensor<2x5x2x4xf32>) -> tensor<2x2x5x4xf32>
    %43 = stablehlo.reshape %38 : (tensor<2x5x8xf32>) -> tensor<2x5x2x4xf32>
    %44 = stablehlo.transpose %43, dims = [0, 2, 1, 3] : (tensor<2x5x2x4xf32>) -> tensor<2x2x5x4xf32>
    %45 = stablehlo.dot_general %40, %42, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [3], precision = [DEFAULT, DEFAULT] : (tensor<2x2x5x4xf32>, tensor<2x2x5x4xf32>) -> tensor<2x2x5x5xf32>
    %cst_13 = stablehlo.constant dense<2.000000e+00> : tensor<f32>
    %46 = stablehlo.broadcast_in_dim %cst_13, dims = [] : (tensor<f32>) -> tensor<2x2x5x5xf32>
    %47 = stablehlo.divide %45, %46 : tensor<2x2x5x5xf32>
    %c_14 = stablehlo.constant dense<true> : tensor<i1>
    %48 = stablehlo.broadcast_in_dim %c_14, dims = [] : (tensor<i1>) -> tensor<5x5xi1>
    %49 = call @tril(%48) : (tensor<5x5xi1>) -> tensor<5x5xi1>
    %cst_15 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %50 = call @_where(%49, %47, %cst_15) : (tensor<5x5xi1>, tensor<2x2x5x5xf32>, tensor<f32>) -> tensor<2x2x5x5xf32>
    %cst_16 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %51 = stablehlo.reduce(%50 init: %cst_16) applies stablehlo.maximum across dimensions = [3] : (tensor<2x2x5x5xf32>, tensor<f32>) -> tensor<2x2x5xf32>
    %cst_17 = stablehlo.constant dense<0xFF800000> : tensor<f32>
    %52 = stablehlo.broadcast_in_dim %cst_17, dims = [] : (tensor<f32>) -> tensor<2x2x5xf32>
    %53 = stablehlo.maximum %52, %51 : tensor<2x2x5xf32>
    %54 = stablehlo.broadcast_in_dim %53, dims = [0, 1, 2] : (tensor<2x2x5xf32>) -> tensor<2x2x5x1xf32>
    %55 = stablehlo.broadcast_in_dim %54, dims = [0, 1, 2, 3] : (tensor<2x2x5x1xf32>) -> tensor<2x2x5x5xf32>
    %56 = stablehlo.subtract %50, %55 : tensor<2x2x5x5xf32>
    %57 = stablehlo.exponential %56 : tensor<2x2x5x5xf32>
    %cst_18 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %58 = stablehlo.reduce(%57 init: %cst_18) applies stablehlo.add across dimensions = [3] : (tensor<2x2x5x5xf32>, tensor<f32>) -> tensor<2x2x5xf32>
    %59 = stablehlo.broadcast_in_dim %58, dims = [0, 1, 2] : (tensor<2x2x5xf32>) -> tensor<2x2x5x1xf32>
    %60 = stablehlo.broadcast_in_dim %59, dims = [0, 1, 2, 3] : (tensor<2x2x5x1xf32>) -> tensor<2x2x5x5xf32>
    %61 = stablehlo.divide %57, %60 : tensor<2x2x5x5xf32>
    %62 = stablehlo.dot_general %61, %44, batching_dims = [0, 1] x [0, 1], contracting_dims = [3] x [2], precision = [DEFAULT, DEFAULT] : (tensor<2x2x5x5xf32>, tensor<2x2x5x4xf32>) -> tensor<2x2x5x4xf32>
    %63 = stablehlo.transpose %62, dims = [0, 2, 1, 3] : (tensor<2x2x5x4xf32>) -> tensor<2x5x2x4xf32>
    %64 = stablehlo.reshape %63 : (tensor<2x5x2x4xf32>) -> tensor<2x5x8xf32>
    %65 = stablehlo.dot_general %64, %cst_4, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x5x8xf32>, tensor<8x8xf32>) -> tensor<2x5x8xf32>
    %66 = stablehlo.add %10, %65 : tensor<2x5x8xf32>
    %cst_19 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %67 = stablehlo.reduce(%66 init: %cst_19) applies stablehlo.add across dimensions = [2] : (tensor<2x5x8xf32>, tensor<f32>) -> tensor<2x5xf32>
    %68 = stablehlo.broadcast_in_dim %67, dims = [0, 1] : (tensor<2x5xf32>) -> tensor<2x5x1xf32>
    %cst_20 = stablehlo.constant dense<8.000000e+00> : tensor<f32>
    %69 = stablehlo.broadcast_in_dim %cst_20, dims = [] : (tensor<f32>) -> tensor<2x5x1xf32>
    %70 = stablehlo.divide %68, %69 : tensor<2x5x1xf32>
    %71 = stablehlo.broadcast_in_dim %70, dims = [0, 1, 2] : (tensor<2x5x1xf32>) -> tensor<2x5x8xf32>
    %72 = stablehlo.subtract %66, %71 : tensor<2x5x8xf32>
    %73 = stablehlo.broadcast_in_dim %70, dims = [0, 1, 2] : (tensor<2x5x1xf32>) -> tensor<2x5x8xf32>
    %74 = stablehlo.subtract %66, %73 : tensor<2x5x8xf32>
    %75 = stablehlo.multiply %74, %74 : tensor<2x5x8xf32>
    %cst_21 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %76 = stablehlo.reduce(%75 init: %cst_21) applies stablehlo.add across dimensions = [2] : (tensor<2x5x8xf32>, tensor<f32>) -> tensor<2x5xf32>
    %77 = stablehlo.broadcast_in_dim %76, dims = [0, 1] : (tensor<2x5xf32>) -> tensor<2x5x1xf32>
    %cst_22 = stablehlo.constant dense<8.000000e+00> : tensor<f32>
    %78 = stablehlo.broadcast_in_dim %cst_22, dims = [] : (tensor<f32>) -> tensor<2x5x1xf32>
    %79 = stablehlo.divide %77, %78 : tensor<2x5x1xf32>
    %cst_23 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %80 = stablehlo.broadcast_in_dim %cst_23, dims = [] : (tensor<f32>) -> tensor<2x5x1xf32>
    %81 = stablehlo.add %79, %80 : tensor<2x5x1xf32>
    %82 = stablehlo.sqrt %81 : tensor<2x5x1xf32>
    %83 = stablehlo.broadcast_in_dim %82, dims = [0, 1, 2] : (tensor<2x5x1xf32>) -> tensor<2x5x8xf32>
    %84 = stablehlo.divide %72, %83 : tensor<2x5x8xf32>
    %85 = stablehlo.broadcast_in_dim %cst_1, dims = [2] : (tensor<8xf32>) -> tensor<1x1x8xf32>
    %86 = stablehlo.broadcast_in_dim %85, dims = [0, 1, 2] : (tensor<1x1x8xf32>) -> tensor<2x5x8xf32>
    %87 = stablehlo.multiply %84, %86 : tensor<2x5x8xf32>
    %88 = stablehlo.broadcast_in_dim %cst_2, dims = [2] : (tensor<8xf32>) -> tensor<1x1x8xf32>
    %89 = stablehlo.broadcast_in_dim %88, dims = [0, 1, 2] : (tensor<1x1x8xf32>) -> tensor<2x5x8xf32>
    %90 = stablehlo.add %87, %89 : tensor<2x5x8xf32>
    %91 = stablehlo.dot_general %90, %cst_5, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x5x8xf32>, tensor<8x12xf32>) -> tensor<2x5x12xf32>
    %92 = call @silu(%91) : (tensor<2x5x12xf32>) -> tensor<2x5x12xf32>
    %93 = stablehlo.dot_general %92, %cst_6, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x5x12xf32>, tensor<12x8xf32>) -> tensor<2x5x8xf32>
    %94 = stablehlo.add %66, %93 : tensor<2x5x8xf32>
    %cst_24 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %95 = stablehlo.reduce(%94 init: %cst_24) applies stablehlo.add across dimensions = [2] : (tensor<2x5x8xf32>, tensor<f32>) -> tensor<2x5xf32>
    %96 = stablehlo.broadcast_in_dim %95, dims = [0, 1] : (tensor<2x5xf32>) -> tensor<2x5x1xf32>
    %cst_25 = stablehlo.constant dense<8.000000e+00> : tensor<f32>
    %97 = stablehlo.broadcast_in_dim %cst_25, dims = [] : (tensor<f32>) -> tensor<2x5x1xf32>
    %98 = stablehlo.divide %96, %97 : tensor<2x5x1xf32>
    %99 = stablehlo.broadcast_in_dim %98, dims = [0, 1, 2] : (tensor<2x5x1xf32>) -> tensor<2x5x8xf32>
    %100 = stablehlo.subtract %94, %99 : tensor<2x5x8xf32>
    %101 = stablehlo.broadcast_in_dim %98, dims = [0, 1, 2] : (tensor<2x5x1xf32>) -> tensor<2x5x8xf32>
    %102 = stablehlo.subtract %94, %101 : tensor<2x5x8xf32>
    %103 = stablehlo.multiply %102, %102 : tensor<2x5x8xf32>
    %cst_26 = stablehlo.constant dense<0.000000e+00> : tensor<f32>
    %104 = stablehlo.reduce(%103 init: %cst_26) applies stablehlo.add across dimensions = [2] : (tensor<2x5x8xf32>, tensor<f32>) -> tensor<2x5xf32>
    %105 = stablehlo.broadcast_in_dim %104, dims = [0, 1] : (tensor<2x5xf32>) -> tensor<2x5x1xf32>
    %cst_27 = stablehlo.constant dense<8.000000e+00> : tensor<f32>
    %106 = stablehlo.broadcast_in_dim %cst_27, dims = [] : (tensor<f32>) -> tensor<2x5x1xf32>
    %107 = stablehlo.divide %105, %106 : tensor<2x5x1xf32>
    %cst_28 = stablehlo.constant dense<9.99999974E-6> : tensor<f32>
    %108 = stablehlo.broadcast_in_dim %cst_28, dims = [] : (tensor<f32>) -> tensor<2x5x1xf32>
    %109 = stablehlo.add %107, %108 : tensor<2x5x1xf32>
    %110 = stablehlo.sqrt %109 : tensor<2x5x1xf32>
    %111 = stablehlo.broadcast_in_dim %110, dims = [0, 1, 2] : (tensor<2x5x1xf32>) -> tensor<2x5x8xf32>
    %112 = stablehlo.divide %100, %111 : tensor<2x5x8xf32>
    %113 = stablehlo.broadcast_in_dim %cst_1, dims = [2] : (tensor<8xf32>) -> tensor<1x1x8xf32>
    %114 = stablehlo.broadcast_in_dim %113, dims = [0, 1, 2] : (tensor<1x1x8xf32>) -> tensor<2x5x8xf32>
    %115 = stablehlo.multiply %112, %114 : tensor<2x5x8xf32>
    %116 = stablehlo.broadcast_in_dim %cst_2, dims = [2] : (tensor<8xf32>) -> tensor<1x1x8xf32>
    %117 = stablehlo.broadcast_in_dim %116, dims = [0, 1, 2] : (tensor<1x1x8xf32>) -> tensor<2x5x8xf32>
    %118 = stablehlo.add %115, %117 : tensor<2x5x8xf32>
    %119 = stablehlo.transpose %cst, dims = [1, 0] : (tensor<11x8xf32>) -> tensor<8x11xf32>
    %120 = stablehlo.dot_general %118, %119, contracting_dims = [2] x [0], precision = [DEFAULT, DEFAULT] : (tensor<2x5x8xf32>, tensor<8x11xf32>) -> tensor<2x5x11xf32>
    return %120 : tensor<2x5x11xf32>
  }
  func.func private @tril(%arg0: tensor<5x5xi1>) -> tensor<5x5xi1> {
    %0 = stablehlo.iota dim = 0 : tensor<5x5xi32>
    %c = stablehlo.constant dense<0> : tensor<i32>
    %1 = stablehlo.broadcast_in_dim %c, dims = [] : (tensor<i32>) -> tensor<5x5xi32>
    %2 = stablehlo.add %0, %1 : tensor<5x5xi32>
    %3 = stablehlo.iota dim = 1 : tensor<5x5xi32>
    %4 = stablehlo.compare GE, %2, %3, SIGNED : (tensor<5x5xi32>, tensor<5x5xi32>) -> tensor<5x5xi1>
    %c_0 = stablehlo.constant dense<false> : tensor<i1>
    %5 = stablehlo.broadcast_in_dim %c_0, dims = [] : (tensor<i1>) -> tensor<5x5xi1>
    %6 = stablehlo.select %4, %arg0, %5 : tensor<5x5xi1>, tensor<5x5xi1>
    return %6 : tensor<5x5xi1>
  }
  func.func private @_where(%arg0: tensor<5x5xi1>, %arg1: tensor<2x2x5x5xf32>, %arg2: tensor<f32>) -> tensor<2x2x5x5xf32> {
    %0 = stablehlo.convert %arg2 : tensor<f32>
    %1 = stablehlo.broadcast_in_dim %arg0, dims = [2, 3] : (tensor<5x5xi1>) -> tensor<2x2x5x5xi1>
    %2 = stablehlo.broadcast_in_dim %0, dims = [] : (tensor<f32>) -> tensor<2x2x5x5xf32>
    %3 = stablehlo.select %1, %arg1, %2 : tensor<2x2x5x5xi1>, tensor<2x2x5x5xf32>
    return %3 : tensor<2x2x5x5xf32>
  }
  func.func private @silu(%arg0: tensor<2x5x12xf32>) -> tensor<2x5x12xf32> {
    %0 = stablehlo.negate %arg0 : tensor<2x5x12xf32>
    %1 = stablehlo.exponential %0 : tensor<2x5x12xf32>
    %cst = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %2 = stablehlo.broadcast_in_dim %cst, dims = [] : (tensor<f32>) -> tensor<2x5x12xf32>
    %3 = stablehlo.add %2, %1 : tensor<2x5x12xf32>
    %cst_0 = stablehlo.constant dense<1.000000e+00> : tensor<f32>
    %4 = stablehlo.broadcast_in_dim %cst_0, dims = [] : (tensor<f32>) -> tensor<2x5x12xf32>
    %5 = stablehlo.divide %4, %3 : tensor<2x5x12xf32>
    %6 = stablehlo.multiply %arg0, %5 : tensor<2x5x12xf32>
    return %6 : tensor<2x5x12xf32>
  }
}
