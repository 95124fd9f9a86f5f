/// The sizes of a launch as a struct: written into a schedule and read back by whoever emits it.
///
/// A struct of sizes lists its fields once:
///
///     template <typename Field> void fields(Field field) {
///       field("rows", rows);
///       field("panels", panels);
///     }
#pragma once
#include "passes/schedule/KernelDialect.h"

namespace ingot {

template <typename Sizes> mlir::DictionaryAttr writeSizes(mlir::MLIRContext *context, Sizes sizes) {
  mlir::NamedAttrList list;
  auto write = [&](llvm::StringRef name, const auto &value) {
    llvm::SmallVector<int64_t> numbers;
    if constexpr (requires { value.begin(); })
      numbers.append(value.begin(), value.end());
    else
      numbers.push_back(int64_t(value));
    list.set(name, mlir::DenseI64ArrayAttr::get(context, numbers));
  };
  sizes.fields(write);
  return list.getDictionary(context);
}

/// A size that is missing, is a list where one number is wanted, or that nobody reads is an error
/// at the kernel.
template <typename Sizes>
llvm::LogicalResult readSizes(mlir::func::FuncOp function, kernel::LaunchAttr launch,
                              Sizes &sizes) {
  std::string problem;
  unsigned read = 0;
  auto readField = [&](llvm::StringRef name, auto &value) {
    auto attribute = launch.getSizes().getAs<mlir::DenseI64ArrayAttr>(name);
    if (!attribute) {
      problem = ("has no size '" + name + "'").str();
      return;
    }
    ++read;
    llvm::ArrayRef<int64_t> numbers = attribute.asArrayRef();
    if constexpr (requires { value.begin(); })
      value.assign(numbers.begin(), numbers.end());
    else if (numbers.size() != 1 || numbers.front() < 0)
      problem = ("wants one number for '" + name + "'").str();
    else
      value = static_cast<std::decay_t<decltype(value)>>(numbers.front());
  };
  sizes.fields(readField);
  if (problem.empty() && read != launch.getSizes().size())
    problem = "has a size that its kind does not know";
  if (problem.empty())
    return llvm::success();
  return function.emitError("kernel.schedule: a launch of kind ")
         << launch.getKind() << " " << problem;
}

} // namespace ingot
