#include "runtime/cuda/WrapPtx.h"
#include "runtime/cuda/PtxWords.h"
#include <algorithm>
#include <map>
#include <regex>

namespace ingot::cuda {
namespace {

tl::unexpected<Error> bad(std::string why) {
  return failure(Error::Code::Unsupported, "", "NVRTC cannot take this PTX: {}", std::move(why));
}

std::string withoutComments(std::string_view text) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    if (text.substr(at, 2) == "//") {
      at = std::min(text.find('\n', at), text.size());
    } else if (text.substr(at, 2) == "/*") {
      const size_t end = text.find("*/", at + 2);
      at = end == text.npos ? text.size() : end + 2;
    } else {
      result += text[at++];
    }
  }
  return result;
}

/// Whole names that are replaced by others; what follows a dot (`%tid.x`, `.global`) is none.
std::string renamed(std::string_view text, const std::map<std::string, std::string> &names) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && isPtxName(text[end]))
      ++end;
    if (end == at) {
      result += text[at++];
      continue;
    }
    const std::string word(text.substr(at, end - at));
    const auto found = names.find(word);
    const bool isSuffix = at && text[at - 1] == '.';
    result += found == names.end() || isSuffix ? word : found->second;
    at = end;
  }
  return result;
}

/// The C++ type of a parameter that is declared `.param .u64 .ptr .align 1 x`.
Result<std::string> parameterType(const std::string &declaration) {
  static const std::regex block(R"(\.align\s+(\d+)\s+\.b8\s+[\w$%]+\s*\[\s*(\d+)\s*\])");
  if (std::smatch match; std::regex_search(declaration, match, block))
    return fmt::format("const __grid_constant__ Bytes<{}, {}>", match[2].str(), match[1].str());
  static const std::pair<const char *, const char *> types[] = {{"64", "unsigned long long"},
                                                                {"32", "unsigned"},
                                                                {"16", "unsigned short"},
                                                                {"8", "unsigned char"}};
  static const std::regex scalar(R"(\.param\s+\.([busf])(8|16|32|64)\b)");
  std::smatch match;
  if (!std::regex_search(declaration, match, scalar))
    return bad(fmt::format("a parameter '{}'", declaration));
  if (match[1] == "f" && match[2] != "16")
    return std::string(match[2] == "64" ? "double" : "float");
  for (const auto &[bits, type] : types)
    if (match[2] == bits)
      return std::string(type);
  return bad(fmt::format("a parameter '{}'", declaration));
}

std::string numbersAfter(const std::string &attributes, const char *directive) {
  const std::regex pattern(fmt::format(R"(\.{}\s+([\d,\s]*\d))", directive));
  std::smatch match;
  return std::regex_search(attributes, match, pattern) ? match[1].str() : "";
}

/// C++ has either a number of registers or launch bounds. With the number the code is the same
/// without the bounds; they bound launches alone then. Nothing of it says `.reqntid` before sm_90:
/// it becomes a bound, too.
std::string cppAttributes(const std::string &attributes) {
  std::string result;
  const std::string registers = numbersAfter(attributes, "maxnreg");
  std::string threads = numbersAfter(attributes, "maxntid");
  if (threads.empty())
    threads = numbersAfter(attributes, "reqntid");
  if (!registers.empty()) {
    result += fmt::format("__maxnreg__({}) ", registers);
  } else if (!threads.empty()) {
    std::ranges::replace(threads, ',', '*');
    const std::string blocks = numbersAfter(attributes, "minnctapersm");
    result +=
        fmt::format("__launch_bounds__({}{}{}) ", threads, blocks.empty() ? "" : ", ", blocks);
  }
  if (const std::string cluster = numbersAfter(attributes, "reqnctapercluster"); !cluster.empty())
    result += fmt::format("__cluster_dims__({}) ", cluster);
  return result;
}

class Parser {
public:
  explicit Parser(std::string_view source) : text(withoutComments(source)) {}

  Result<PtxModule> run() {
    while (skipSpace()) {
      if (starts(".visible") || starts(".weak")) {
        readWord();
      } else if (starts(".entry")) {
        INGOT_TRY(readKernel());
      } else if (starts(".version") || starts(".target") || starts(".address_size") ||
                 starts(".file")) {
        at = std::min(text.find('\n', at), text.size());
      } else if (starts(".section")) {
        skipBraces();
      } else if (starts(".extern .shared") || starts(".shared")) {
        INGOT_TRY(readShared());
      } else if (starts(".global")) {
        INGOT_TRY(readTable());
      } else {
        const std::string line = text.substr(at, text.find_first_of(";\n{", at) - at);
        return bad(fmt::format("'{}'", line));
      }
    }
    return std::move(module);
  }

private:
  bool skipSpace() {
    while (at < text.size() && std::isspace(static_cast<unsigned char>(text[at])))
      ++at;
    return at < text.size();
  }
  bool starts(std::string_view word) const {
    return std::string_view(text).substr(at).starts_with(word);
  }
  std::string readWord() {
    skipSpace();
    const size_t begin = at;
    while (at < text.size() && (isPtxName(text[at]) || text[at] == '.'))
      ++at;
    return text.substr(begin, at - begin);
  }
  /// What stands up to a character, which is skipped.
  std::string readUntil(char end) {
    const size_t stop = std::min(text.find(end, at), text.size());
    std::string result = text.substr(at, stop - at);
    at = std::min(stop + 1, text.size());
    return result;
  }
  std::string skipBraces() {
    (void)readUntil('{');
    const size_t begin = at;
    for (int depth = 1; at < text.size(); ++at) {
      depth += text[at] == '{' ? 1 : text[at] == '}' ? -1 : 0;
      if (depth == 0)
        break;
    }
    std::string body = text.substr(begin, at - begin);
    at = std::min(at + 1, text.size());
    return body;
  }

  Status readShared() {
    const std::string declaration = readUntil(';');
    static const std::regex pattern(
        R"((?:\.align\s+(\d+)\s+)?\.\w+\s+([\w$]+)(\s*\[[^=]*\])?\s*$)");
    std::smatch match;
    if (!std::regex_search(declaration, match, pattern))
      return bad(fmt::format("'{}'", declaration));
    PtxModule::Variable variable{match[2].str(), declaration + ";",
                                 match[1].matched ? std::stoi(match[1].str()) : 1};
    (declaration.starts_with(".extern") ? module.dynamicShared : module.shared)
        .push_back(std::move(variable));
    return {};
  }

  /// Nobody writes to what LLVM prints so: constants of the model.
  Status readTable() {
    const std::string declaration = readUntil(';');
    static const std::regex pattern(
        R"(\.global\s+(?:\.align\s+(\d+)\s+)?\.b8\s+([\w$]+)\s*\[\s*(\d+)\s*\]\s*=\s*\{([\d,\s]*)\}\s*)");
    std::smatch match;
    if (!std::regex_match(declaration, match, pattern))
      return bad(fmt::format("'{}'", declaration.substr(0, declaration.find('='))));
    const int alignment = match[1].matched ? std::stoi(match[1].str()) : 1;
    module.tables.push_back(
        {match[2].str(),
         fmt::format("extern \"C\" __device__ __align__({}) unsigned char {}[{}] = {{{}}};\n",
                     alignment, match[2].str(), match[3].str(), match[4].str()),
         alignment});
    return {};
  }

  Status readKernel() {
    PtxModule::Kernel kernel;
    readWord();
    kernel.name = readWord();
    skipSpace();
    std::map<std::string, std::string> names;
    if (at < text.size() && text[at] == '(') {
      ++at;
      std::string list = readUntil(')');
      static const std::regex name(R"(([\w$%]+)\s*(?:\[\s*\d*\s*\])?\s*$)");
      for (size_t begin = 0; begin < list.size();) {
        const size_t end = std::min(list.find(',', begin), list.size());
        const std::string declaration = list.substr(begin, end - begin);
        begin = end + 1;
        std::smatch match;
        if (!std::regex_search(declaration, match, name) ||
            declaration.find(".param") == declaration.npos) {
          if (declaration.find_first_not_of(" \t\r\n") == declaration.npos)
            continue;
          return bad(fmt::format("a parameter '{}'", declaration));
        }
        INGOT_ASSIGN(const std::string type, parameterType(declaration));
        const size_t index = names.size();
        names[match[1].str()] = fmt::format("{}_param_{}", kernel.name, index);
        kernel.signature += fmt::format("{}{} p{}", index ? ", " : "", type, index);
        kernel.parameters.push_back(match[1].str());
      }
    }
    kernel.attributes = cppAttributes(text.substr(at, text.find('{', at) - at));
    kernel.body = renamed(skipBraces(), names);
    module.kernels.push_back(std::move(kernel));
    return {};
  }

  const std::string text;
  size_t at = 0;
  PtxModule module;
};

/// Lines of PTX as string literals; the asm has operands, so % is written twice.
std::string literals(std::string_view text) {
  std::string result;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    if (line.find_first_not_of(" \t\r") == line.npos)
      continue;
    result += '"';
    for (char c : line) {
      if (c == '%')
        result += '%';
      if (c == '\\' || c == '"')
        result += '\\';
      result += c;
    }
    result += "\\n\"\n";
  }
  return result;
}

} // namespace

Result<PtxModule> parsePtxModule(std::string_view text) { return Parser(text).run(); }

std::string wrapPtx(std::span<const PtxModule> modules) {
  std::string source = "template <int N, int A> struct alignas(A) Bytes { char bytes[N]; };\n";
  std::map<std::string, int> dynamic; // one declaration a name, aligned for all
  for (const PtxModule &module : modules)
    for (const PtxModule::Variable &variable : module.dynamicShared)
      dynamic[variable.name] = std::max(dynamic[variable.name], variable.alignment);
  for (const auto &[name, alignment] : dynamic)
    source += fmt::format("extern __shared__ __align__({}) char {}[];\n", alignment, name);
  std::map<std::string, std::string> tables; // several launches of a kernel may share one
  for (const PtxModule &module : modules)
    for (const PtxModule::Variable &table : module.tables)
      tables[table.name] = table.declaration;
  for (const auto &[name, declaration] : tables)
    source += declaration;
  for (const PtxModule &module : modules)
    for (const PtxModule::Kernel &kernel : module.kernels) {
      std::string body, operands = "\"r\"(0)"; // at least one: else % is written once
      for (const PtxModule::Variable &variable : module.shared)
        if (mentions(kernel.body, variable.name))
          body += variable.declaration + "\n";
      for (const PtxModule::Variable &variable : module.dynamicShared)
        if (mentions(kernel.body, variable.name)) // keeps the declaration
          operands += fmt::format(", \"r\"((unsigned)__cvta_generic_to_shared({}))", variable.name);
      for (const PtxModule::Variable &table : module.tables)
        if (mentions(kernel.body, table.name))
          operands += fmt::format(", \"l\"({})", table.name);
      source += fmt::format("extern \"C\" __global__ void {}{}({}) {{\nasm volatile(\"{{\\n\"\n{}"
                            "\"}}\\n\" :: {} : \"memory\");\n}}\n",
                            kernel.attributes, kernel.name, kernel.signature,
                            literals(body + kernel.body), operands);
    }
  return source;
}

} // namespace ingot::cuda
