/// PTX of many kernels as one text for each: what is assembled and cached by itself.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace ingot::cuda {

struct PtxEntry {
  std::string name;
  /// A module of the one entry and of the variables that it mentions. `.loc` lines count files in
  /// the order in which the entry names them, so that equal kernels are equal texts.
  std::string text;
};

/// The entries of a module as LLVM prints it: a brace that closes an entry is a line of its own.
std::vector<PtxEntry> splitPtx(std::string_view module);

} // namespace ingot::cuda
