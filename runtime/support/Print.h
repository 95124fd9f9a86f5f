/// Text to a stream that may take no more: disk full, pipe closed, terminal gone.
#pragma once
#include <cstdio>
#include <fmt/format.h>

namespace ingot {

/// Formats to a stream. It does not throw where the stream takes no more, as fmt::print does: the
/// stream remembers the failure (std::ferror), and whoever ends the process asks for it once.
template <typename... Args>
void print(std::FILE *file, fmt::format_string<Args...> format, Args &&...args) {
  const std::string text = fmt::format(format, std::forward<Args>(args)...);
  std::fwrite(text.data(), 1, text.size(), file);
}

/// The same to standard output.
template <typename... Args> void print(fmt::format_string<Args...> format, Args &&...args) {
  ingot::print(stdout, format, std::forward<Args>(args)...);
}

} // namespace ingot
