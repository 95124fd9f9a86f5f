/// Names in the text of PTX.
#pragma once
#include <cctype>
#include <string_view>

namespace ingot::cuda {

inline bool isPtxName(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || c == '%';
}

/// True if `name` stands in the text as a whole word.
inline bool mentions(std::string_view text, std::string_view name) {
  for (size_t at = 0; (at = text.find(name, at)) != text.npos; at += name.size()) {
    const size_t end = at + name.size();
    if ((at == 0 || !isPtxName(text[at - 1])) && (end == text.size() || !isPtxName(text[end])))
      return true;
  }
  return false;
}

} // namespace ingot::cuda
