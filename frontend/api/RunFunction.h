/// What the classes of Ingot.h share.
#pragma once
#include "codegen/CompileOptions.h"
#include "frontend/api/Ingot.h"

namespace ingot {

/// The inputs of a function in its order; each must be given, and nothing else.
Result<Batch> batchOf(const Function &function, const Tensors &inputs);

/// All inputs in, all outputs out; what is padding is cut off outputs with a count.
Result<Tensors> runFunction(Session &session, std::string_view name, const Tensors &inputs);

/// The compiler's options.
Result<CompileOptions> toCompileOptions(const Options &options,
                                        const std::optional<TrainingOptions> &training);

} // namespace ingot
