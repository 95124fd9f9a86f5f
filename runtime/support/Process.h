/// Other programs.
#pragma once
#include "runtime/support/Result.h"
#include <vector>

namespace ingot {

/// What a program, given by its path, prints to standard output; its input is empty. An error holds
/// what it prints to standard error, where it exits with another code than 0.
Result<std::string> outputOf(const std::vector<std::string> &command);

/// The first executable of this name in folders, then in PATH; empty if there is none.
std::string findProgram(const std::string &name, const std::vector<std::string> &folders);

} // namespace ingot
