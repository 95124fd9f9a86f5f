// RUN: %ingot-opt --split-input-file --verify-diagnostics %s

// expected-error @+1 {{graph.name must be a string that is not empty}}
func.func @name_empty(%x: tensor<4xf32> {graph.name = ""}) { return }

// -----

// expected-error @+1 {{graph.name "w" stands at positions 0 and 2}}
func.func @name_twice(%x: tensor<4xf32> {graph.name = "w"}, %y: tensor<f32>, %z: tensor<f32> {graph.name = "w"}) { return }

// -----

// expected-error @+1 {{graph.name "w" stands at positions 0 and 1}}
func.func private @result_name_twice() -> (tensor<f32> {graph.name = "w"}, tensor<f32> {graph.name = "w"})

// -----

// expected-error @+1 {{graph.role must be parameter, state, derived, input, target or scalar, but is "weight"}}
func.func @role(%x: tensor<4xf32> {graph.role = "weight"}) { return }

// -----

// expected-error @+1 {{graph.role must be parameter, state, derived, input, target or scalar, but is 1 : i64}}
func.func private @result_role() -> (tensor<f32> {graph.role = 1})

// -----

// expected-error @+1 {{graph.init must be normal:STD, uniform:LIMIT, constant:VALUE or file, but is "normal:wide"}}
func.func @init(%x: tensor<4xf32> {graph.role = "parameter", graph.init = "normal:wide"}) { return }

// -----

// expected-error @+1 {{graph.init is on argument 0, which is neither a parameter nor state}}
func.func @init_of_input(%x: tensor<4xf32> {graph.role = "input", graph.init = "normal:0.02"}) { return }

// -----

// expected-error @+1 {{graph.donated must be an i64, the index of a result}}
func.func @donated_kind(%x: tensor<4xf32> {graph.donated = "w"}) { return }

// -----

// expected-error @+1 {{argument 0 is donated to result 1 of 1}}
func.func @donated_range(%x: tensor<4xf32> {graph.donated = 1}) -> tensor<4xf32> { return %x : tensor<4xf32> }

// -----

// expected-error @+1 {{argument 0, 'tensor<4xf32>', is donated to result 0 of another type, 'tensor<2xf32>'}}
func.func @donated_type(%x: tensor<4xf32> {graph.donated = 0}, %y: tensor<2xf32>) -> tensor<2xf32> { return %y : tensor<2xf32> }

// -----

// expected-error @+1 {{argument 0 is donated, but its role is input}}
func.func @donated_role(%x: tensor<4xf32> {graph.role = "input", graph.donated = 0}) -> tensor<4xf32> { return %x : tensor<4xf32> }

// -----

// expected-error @+1 {{arguments 0 and 1 are donated to the same result 0}}
func.func @donated_twice(%x: tensor<4xf32> {graph.donated = 0}, %y: tensor<4xf32> {graph.donated = 0}) -> tensor<4xf32> { return %y : tensor<4xf32> }

// -----

// expected-error @+1 {{graph.symbols of argument 0 must name each `?` of 'tensor<?x4x?xf32>', but is ["batch"]}}
func.func @symbols(%x: tensor<?x4x?xf32> {graph.symbols = ["batch"]}) { return }

// -----

// expected-error @+1 {{graph.limit of argument 0 must be an i64 above 0, but is 0 : i64}}
func.func @limit(%i: tensor<4xi32> {graph.limit = 0 : i64}) { return }

// -----

// expected-error @+1 {{graph.frozen of argument 0 must be a unit on a parameter, but is false}}
func.func @frozen(%w: tensor<4xf32> {graph.name = "w", graph.role = "parameter", graph.frozen = false}) { return }

// -----

// expected-error @+1 {{graph.frozen of argument 0 must be a unit on a parameter, but is unit}}
func.func @frozen_input(%x: tensor<4xf32> {graph.name = "x", graph.role = "input", graph.frozen}) { return }

// -----

// expected-error @+1 {{graph.members of result 0 must be names of arguments, but is [1]}}
func.func @members(%i: tensor<4xi32>) -> (tensor<4xi32> {graph.members = [1]}) { return %i : tensor<4xi32> }

// -----

// expected-error @+1 {{graph.count of result 0 must be a name and the i64 of a dimension, but is "n"}}
func.func @count(%i: tensor<4xi32>) -> (tensor<4xi32> {graph.count = "n"}) { return %i : tensor<4xi32> }

// -----

// expected-error @+1 {{graph.count of result 0 counts dimension 1 of 'tensor<4xi32>'}}
func.func @count_dimension(%i: tensor<4xi32>, %n: tensor<i64>) -> (tensor<4xi32> {graph.count = ["n", 1]}, tensor<i64> {graph.name = "n"}) {
  return %i, %n : tensor<4xi32>, tensor<i64>
}

// -----

// expected-error @+1 {{graph.count of result 0 names "n", which is no i64 scalar among the results}}
func.func @count_type(%i: tensor<4xi32>, %n: tensor<i32>) -> (tensor<4xi32> {graph.count = ["n", 0]}, tensor<i32> {graph.name = "n"}) {
  return %i, %n : tensor<4xi32>, tensor<i32>
}

// -----

func.func private @counted() -> (tensor<4xi32> {graph.count = ["n", 0]}, tensor<i64> {graph.name = "n"})

// -----

// expected-error @+1 {{graph.role must be parameter, state, derived, input, target or scalar, but is "error"}}
func.func @error_argument(%e: tensor<i1> {graph.role = "error"}) { return }

// -----

func.func private @error_result() -> (tensor<i1> {graph.role = "error"})

// -----

// expected-error @+1 {{graph.metadata is not JSON}}
module attributes {graph.metadata = "{"} {}

// -----

// expected-error @+1 {{graph.metadata must be a JSON object}}
module attributes {graph.metadata = "[1]"} {}

// -----

// expected-error @+1 {{graph.metadata must be a string of a module}}
func.func private @metadata() attributes {graph.metadata = "{}"}
