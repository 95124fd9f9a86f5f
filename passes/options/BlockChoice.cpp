#include "passes/options/BlockChoice.h"
#include <charconv>
#include <fmt/format.h>

namespace ingot {
namespace {

struct Field {
  std::string_view name;
  BlockChoice::Size BlockChoice::*size;
  int64_t least, most;
};

constexpr int64_t anySize = int64_t(1) << 40;
constexpr Field fields[] = {{"tile_rows", &BlockChoice::tileRows, 1, 16},
                            {"tile_columns", &BlockChoice::tileColumns, 16, 128},
                            {"depth", &BlockChoice::depth, 1, anySize},
                            {"rows", &BlockChoice::rows, 1, anySize},
                            {"columns", &BlockChoice::columns, 1, anySize},
                            {"pack_lhs", &BlockChoice::packLhs, 0, 1},
                            {"pack_rhs", &BlockChoice::packRhs, 0, 1},
                            {"queries", &BlockChoice::queries, 1, 1024}};

} // namespace

BlockChoice BlockChoice::with(const BlockChoice &other) const {
  BlockChoice result = *this;
  for (const Field &field : fields)
    if (other.*field.size)
      result.*field.size = other.*field.size;
  return result;
}

std::string BlockChoice::text() const {
  std::string text;
  for (const Field &field : fields)
    if (const Size &size = this->*field.size)
      text += fmt::format("{}{}={}", text.empty() ? "" : " ", field.name, *size);
  return text;
}

std::optional<BlockChoice> BlockChoice::parse(std::string_view text, std::string &problem) {
  BlockChoice choice;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    const std::string_view name = word.substr(0, word.find('='));
    const Field *field = nullptr;
    for (const Field &known : fields)
      if (known.name == name)
        field = &known;
    if (!field) {
      problem = fmt::format("no block has a size '{}'", name);
      return std::nullopt;
    }
    int64_t size = 0;
    const char *begin = word.data() + std::min(word.size(), name.size() + 1);
    const char *end = word.data() + word.size();
    auto [rest, error] = std::from_chars(begin, end, size);
    if (error != std::errc() || rest != end || size < field->least || size > field->most) {
      problem = fmt::format("'{}' is not {} to {}", word, field->least, field->most);
      return std::nullopt;
    }
    choice.*field->size = size;
  }
  return choice;
}

} // namespace ingot
