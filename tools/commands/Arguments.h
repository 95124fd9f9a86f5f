/// The words of the command line before CLI11 sees them.
#pragma once
#include "runtime/support/Result.h"
#include <CLI/CLI.hpp>
#include <span>
#include <string>
#include <vector>

namespace ingot {

/// The words after the program's name, checked for options without their value: CLI11 would take
/// the next word, so that `--out= --steps=1` makes a directory `--steps=1`. `-o=FILE` becomes
/// `-o FILE`, and an empty value, where an option takes one, a word of its own.
Result<std::vector<std::string>> prepareArguments(const CLI::App &app,
                                                  std::span<char *const> words);

} // namespace ingot
