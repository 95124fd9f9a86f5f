/// `ingot train --resume`: what a run takes over from its checkpoint, and what must be the same.
#pragma once
#include "frontend/api/SavedModel.h"
#include "tools/commands/TrainFlags.h"

namespace ingot {

/// Sets the flags that were not given to those of the newest checkpoint in --out, and says to
/// stderr which ones differ from their defaults. Nothing if there is no checkpoint yet. A rate,
/// schedule or evaluation that differs from the checkpoint's is said, too; it holds from the next
/// step on.
Result<std::optional<SavedModel>> restoreFlags(const CLI::App &app, TrainFlags &flags);

/// A usage error where the data's tokenizer is not that of `before`.
Status checkSameTokenizer(const SavedModel &before, const TokenizerPointer &now,
                          const TrainFlags &flags);

/// A usage error where `now` has another model, training step or data than `before`.
Status checkSameRun(const SavedModel &before, const SavedModel &now, const TrainFlags &flags);

} // namespace ingot
