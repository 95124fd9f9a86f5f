#include "runtime/cuda/SplitPtx.h"
#include "runtime/cuda/PtxWords.h"
#include <algorithm>
#include <fmt/format.h>
#include <map>

namespace ingot::cuda {
namespace {

/// The name in front of a variable's size or value, or of an entry's parameters.
std::string_view nameBefore(std::string_view text, std::string_view ends) {
  size_t end = std::min(text.find_first_of(ends), text.size());
  while (end > 0 && !isPtxName(text[end - 1]))
    --end;
  size_t begin = end;
  while (begin > 0 && isPtxName(text[begin - 1]))
    --begin;
  return text.substr(begin, end - begin);
}

/// A `.loc` line with a number of its own for its file.
std::string renumbered(std::string_view line, std::map<std::string, size_t, std::less<>> &files) {
  const size_t begin = line.find_first_of("0123456789"),
               end = std::min(line.find_first_not_of("0123456789", begin), line.size());
  const auto number =
      files.try_emplace(std::string(line.substr(begin, end - begin)), files.size() + 1);
  return fmt::format("{}{}{}", line.substr(0, begin), number.first->second, line.substr(end));
}

class Splitter {
public:
  std::vector<PtxEntry> run(std::string_view module) {
    for (size_t begin = 0; begin < module.size();) {
      const size_t end = std::min(module.find('\n', begin), module.size());
      add(module.substr(begin, end - begin));
      begin = end + 1;
    }
    for (PtxEntry &entry : entries) {
      std::string head = header;
      for (const auto &[name, declaration] : variables)
        if (mentions(entry.text, name))
          head += declaration;
      entry.text.insert(0, head);
    }
    return std::move(entries);
  }

private:
  void add(std::string_view line) {
    const size_t start = line.find_first_not_of(" \t");
    const std::string_view text = start == line.npos ? "" : line.substr(start);
    if (isInside) {
      const bool isPlace =
          text.starts_with(".loc") && text.find_first_of("0123456789") != text.npos;
      entries.back().text += (isPlace ? renumbered(line, files) : std::string(line)) + '\n';
      // Inline assembly has blocks of its own, which may end in a line of their own.
      const auto opened = std::ranges::count(line, '{'), closed = std::ranges::count(line, '}');
      depth += opened - closed;
      isInside = depth > 0 || closed == 0;
    } else if (text.find(".entry") != text.npos && text.starts_with(".")) {
      entries.push_back({std::string(nameBefore(text, "(")), std::string(line) + '\n'});
      files.clear();
      depth = std::ranges::count(line, '{');
      isInside = true;
    } else if (text.starts_with(".version") || text.starts_with(".target") ||
               text.starts_with(".address_size")) {
      header += std::string(line) + '\n';
    } else if (text.starts_with(".") && text.ends_with(";")) {
      variables.emplace_back(nameBefore(text, "[=;"), std::string(line) + '\n');
    }
  }

  std::vector<PtxEntry> entries;
  std::vector<std::pair<std::string, std::string>> variables; ///< by name
  std::string header;
  std::map<std::string, size_t, std::less<>> files; ///< of this entry
  bool isInside = false;
  std::ptrdiff_t depth = 0; ///< of braces inside an entry
};

} // namespace

std::vector<PtxEntry> splitPtx(std::string_view module) { return Splitter().run(module); }

} // namespace ingot::cuda
