/// Element-wise reductions into memory by bulk copies.
#pragma once
#include "runtime/emulator/ptx/Type.h"
#include <cstddef>
#include <functional>
#include <string_view>

namespace ingot::emulator {

enum class ReductionOp : uint8_t { Add, Minimum, Maximum, Increment, Decrement, And, Or, Xor };

/// "add", "min", "max", "inc", "dec", "and", "or", "xor"; nothing else.
std::optional<ReductionOp> parseReduction(std::string_view name);

/// Combines `bytes` of `values` into memory, each element atomically. Floats round to nearest even;
/// min and max skip NaN. Empty where the ISA has no such operation of the type.
using BulkReduction =
    std::function<void(std::byte *memory, const std::byte *values, uint32_t bytes)>;
BulkReduction bulkReduction(ReductionOp op, Type type);

} // namespace ingot::emulator
