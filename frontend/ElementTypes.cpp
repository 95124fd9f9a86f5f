#include "frontend/ElementTypes.h"
#include "mlir/IR/BuiltinTypes.h"

namespace ingot {

mlir::Type toMlir(mlir::MLIRContext &context, ElementType type) {
  auto integer = [&](unsigned width, bool isUnsigned = false) {
    return mlir::IntegerType::get(
        &context, width, isUnsigned ? mlir::IntegerType::Unsigned : mlir::IntegerType::Signless);
  };
  switch (type) {
  case ElementType::F64:
    return mlir::Float64Type::get(&context);
  case ElementType::F32:
    return mlir::Float32Type::get(&context);
  case ElementType::F16:
    return mlir::Float16Type::get(&context);
  case ElementType::BF16:
    return mlir::BFloat16Type::get(&context);
  case ElementType::F8E4M3FN:
    return mlir::Float8E4M3FNType::get(&context);
  case ElementType::F8E5M2:
    return mlir::Float8E5M2Type::get(&context);
  case ElementType::I64:
    return integer(64);
  case ElementType::I32:
    return integer(32);
  case ElementType::I16:
    return integer(16);
  case ElementType::I8:
    return integer(8);
  case ElementType::I4:
    return integer(4);
  case ElementType::U64:
    return integer(64, true);
  case ElementType::U32:
    return integer(32, true);
  case ElementType::U16:
    return integer(16, true);
  case ElementType::U8:
    return integer(8, true);
  case ElementType::U4:
    return integer(4, true);
  case ElementType::I1:
    return integer(1);
  }
  llvm_unreachable("an element type without an MLIR type");
}

std::optional<ElementType> fromMlir(mlir::Type type) {
  for (int i = 0; i <= int(ElementType::I1); ++i)
    if (toMlir(*type.getContext(), ElementType(i)) == type)
      return ElementType(i);
  return std::nullopt;
}

} // namespace ingot
