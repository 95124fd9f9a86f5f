/// GPT-2's tokenizer from parsed files; `loadGpt2Tokenizer` and `parseTokenizer` are the ways in.
#pragma once
#include "runtime/data/Tokenizer.h"
#include <nlohmann/json_fwd.hpp>

namespace ingot {

/// `encoder` maps printable forms of tokens to their numbers, `merges` is the text of `vocab.bpe`.
Result<TokenizerPointer> makeGpt2Tokenizer(const nlohmann::json &encoder, std::string merges,
                                           const std::string &encoderPlace,
                                           const std::string &mergesPlace);

} // namespace ingot
