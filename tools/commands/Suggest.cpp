#include "tools/commands/Suggest.h"
#include <algorithm>
#include <numeric>

namespace ingot {
namespace {

/// Insertions, deletions, substitutions and swaps of neighbours that turn a into b.
size_t editDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        cost[i][j] = i + j;
        continue;
      }
      size_t replaced = cost[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

} // namespace

std::string didYouMean(std::string_view word, std::span<const std::string> names) {
  auto distance = [&](const std::string &name) { return editDistance(word, name); };
  auto nearest = std::ranges::min_element(names, {}, distance);
  if (nearest == names.end() || distance(*nearest) > std::max<size_t>(2, word.size() / 3))
    return "";
  return fmt::format("; did you mean '{}'?", *nearest);
}

Result<size_t> choose(std::string_view flag, std::string_view word,
                      std::span<const std::string_view> words) {
  if (auto found = std::ranges::find(words, word); found != words.end())
    return size_t(found - words.begin());
  const std::vector<std::string> names(words.begin(), words.end());
  return failure(Error::Code::Usage, std::string(flag), "unknown value '{}'{}; known are {}", word,
                 didYouMean(word, names), fmt::join(names, ", "));
}

} // namespace ingot
