/// The documentation of the dialect that TableGen generates, op by op.
#pragma once
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace ingot::testing {

inline std::string readFile(const std::filesystem::path &path) {
  std::ifstream stream(path);
  EXPECT_TRUE(stream) << path;
  std::stringstream text;
  text << stream.rdbuf();
  return text.str();
}

inline std::vector<std::string> examplesOf(const std::string &text) {
  std::vector<std::string> examples;
  const std::string opening = "```mlir\n";
  for (size_t at = text.find(opening); at != std::string::npos; at = text.find(opening, at)) {
    at += opening.size();
    examples.push_back(text.substr(at, text.find("```", at) - at));
  }
  return examples;
}

/// One op's section of the generated documentation.
struct Section {
  std::string summary, text;
};

inline std::map<std::string, Section> sections() {
  std::map<std::string, Section> result;
  std::string text = readFile(INGOT_GRAPH_DOCUMENTATION);
  std::regex heading("### `graph\\.([a-z_0-9]+)`[^\n]*\n\n_([^\n]*)_\n");
  auto end = std::sregex_iterator();
  for (auto match = std::sregex_iterator(text.begin(), text.end(), heading); match != end;
       ++match) {
    auto next = std::next(match);
    size_t begin = match->position(), stop = next == end ? text.size() : size_t(next->position());
    result[match->str(1)] = {match->str(2), text.substr(begin, stop - begin)};
  }
  return result;
}

} // namespace ingot::testing
