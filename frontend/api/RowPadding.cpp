#include "frontend/api/RowPadding.h"
#include "codegen/RunStages.h"
#include "frontend/api/ModelModule.h"
#include "frontend/api/RowStructure.h"
#include <bit>
#include <cstring>

namespace ingot {
namespace {

tl::unexpected<Error> refuse(std::string place, std::string reason) {
  return failure(Error::Code::Unsupported, std::move(place), "its batch cannot be padded: {}",
                 reason);
}

/// The model of some shapes at the stage at which composites are raised.
struct Specialised {
  std::optional<Model> model; ///< keeps the context
  mlir::OwningOpRef<mlir::ModuleOp> module;
};
Result<Specialised> specialise(const onnx::OnnxFile &file, const onnx::ImportOptions &known,
                               const CompileOptions &options) {
  std::set<std::string> fixed;
  Specialised result;
  INGOT_ASSIGN(result.model, onnx::importModel(file, known, &fixed));
  if (!fixed.empty())
    return refuse(file.path(),
                  fmt::format("shapes in it depend on the values of '{}'", *fixed.begin()));
  CompileOptions quiet = options;
  quiet.dumpDirectory.clear();
  quiet.printAfter.clear();
  quiet.timing = false;
  INGOT_ASSIGN(result.module, runStages(Stage::Graph, moduleOf(*result.model), quiet));
  return result;
}

} // namespace

Result<RowPadding> RowPadding::of(const onnx::OnnxFile &file,
                                  std::span<const onnx::FilePort> inputPorts, const Shapes &shapes,
                                  const Tensors &values, const CompileOptions &options,
                                  const std::string &device) {
  // Kernels of GPUs choose their splits by the number of blocks, so rows decide about bits there.
  if (device.starts_with("cuda"))
    return refuse("Buckets", "on GPUs sums may depend on the number of rows");
  RowPadding padding;
  std::optional<std::string> symbol;
  onnx::ImportOptions exact, padded;
  for (const onnx::FilePort &port : inputPorts) {
    auto given = shapes.find(port.name);
    if (given == shapes.end())
      continue;
    const Shape &shape = exact.shapes[port.name] = given->second;
    if (!port.hasShape || port.shape.empty() || !onnx::isOpen(port.shape[0]) || shape.empty())
      continue;
    const int64_t size = shape[0];
    if (symbol && (*symbol != port.symbols[0] || size != padding.rows))
      continue;
    symbol = port.symbols[0];
    padding.rows = size;
    padding.inputs.insert(port.name);
  }
  if (!symbol)
    return refuse(file.path(), "no first dimension of its inputs is open");
  if (!symbol->empty())
    for (const onnx::FilePort &port : inputPorts)
      for (size_t i = 1; i < port.symbols.size(); ++i)
        if (port.symbols[i] == *symbol)
          return refuse(file.path(),
                        fmt::format("'{}' is dimension {} of '{}', too", *symbol, i, port.name));
  padding.bucket = padding.rows > 0 ? int64_t(std::bit_ceil(uint64_t(padding.rows))) : 0;
  if (!padding.pads())
    return padding;
  padded.shapes = exact.shapes;
  padding.pad(padded.shapes);
  exact.values = values;
  padded.values = padding.pad(values);
  INGOT_ASSIGN(Specialised few, specialise(file, exact, options));
  INGOT_ASSIGN(Specialised many, specialise(file, padded, options));
  INGOT_ASSIGN(
      RowStructure structure,
      structureOf({*few.module, *many.module, padding.rows, padding.bucket})
          .map_error([&](Error error) { return refuse(error.place, error.message).value(); }));
  if (structure.mayRoundOtherwise)
    padding.bucket = padding.rows;
  padding.outputs = std::move(structure.outputs);
  return padding;
}

void RowPadding::pad(Shapes &shapes) const {
  for (const std::string &name : inputs)
    shapes.at(name)[0] = bucket;
}

Tensors RowPadding::pad(const Tensors &given) const {
  Tensors result = given;
  for (const auto &[name, from] : given) {
    if (!inputs.contains(name))
      continue;
    Shape shape = from.shape();
    shape[0] = bucket;
    Tensor to(from.type(), shape);
    const size_t row = from.bytes() / size_t(rows);
    std::memcpy(to.data(), from.data(), from.bytes());
    for (int64_t i = rows; i < bucket; ++i)
      std::memcpy(to.as<char>() + size_t(i) * row, from.as<char>() + size_t(rows - 1) * row, row);
    result[name] = std::move(to);
  }
  return result;
}

void RowPadding::cut(Tensors &results) const {
  for (const auto &[name, dimension] : outputs) {
    Tensor &from = results.at(name);
    Shape shape = from.shape();
    // Rows may be outer parts of a dimension.
    shape[size_t(dimension)] = shape[size_t(dimension)] / bucket * rows;
    Tensor to(from.type(), shape);
    const auto outer = size_t(elementCount(Shape(shape.begin(), shape.begin() + dimension)));
    const size_t kept = to.bytes() / std::max<size_t>(outer, 1),
                 all = from.bytes() / std::max<size_t>(outer, 1);
    for (size_t i = 0; i < outer; ++i)
      std::memcpy(to.as<char>() + i * kept, from.as<char>() + i * all, kept);
    from = std::move(to);
  }
}

} // namespace ingot
