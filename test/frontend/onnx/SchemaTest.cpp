/// The fields that Proto.h reads are those of onnx.proto, as Debian's libonnx-dev installs it.
#include "frontend/onnx/Proto.h"
#include "frontend/onnx/Wire.h"
#include "runtime/support/File.h"
#include <gtest/gtest.h>
#include <map>
#include <regex>
#include <sstream>

namespace ingot::onnx {
namespace {

/// `Message.field` → number.
std::map<std::string, uint32_t> schema(const std::string &text) {
  std::map<std::string, uint32_t> fields;
  std::vector<std::string> messages;
  std::istringstream lines(text);
  const std::regex message(R"(^\s*(message|enum|oneof) (\w+))"),
      field(R"(^\s*(?:optional |repeated )?[\w.]+ (\w+) = (\d+))");
  std::smatch match;
  for (std::string line; std::getline(lines, line);) {
    line = line.substr(0, line.find("//"));
    if (std::regex_search(line, match, message))
      messages.push_back(match[1] == "message" ? match[2].str()
                         : messages.empty()    ? ""
                                               : messages.back());
    else if (!messages.empty() && std::regex_search(line, match, field))
      fields[messages.back() + "." + match[1].str()] = uint32_t(std::stoul(match[2].str()));
    if (line.find('}') != line.npos && line.find('{') == line.npos && !messages.empty())
      messages.pop_back();
  }
  return fields;
}

template <typename M> void check(const std::map<std::string, uint32_t> &schema) {
  M message;
  M::fields(message, [&](uint32_t number, const char *name, auto &) {
    // Newer than Debian's 1.12.
    if (std::string_view(name) == "attribute_proto")
      return;
    auto found = schema.find(fmt::format("{}.{}", M::message, name));
    ASSERT_NE(found, schema.end()) << M::message << "." << name;
    EXPECT_EQ(found->second, number) << M::message << "." << name;
  });
}

TEST(OnnxSchema, FieldsAreThoseOfOnnxProto) {
  Result<std::string> text = readFile("/usr/include/onnx/onnx.proto");
  if (!text)
    GTEST_SKIP() << "libonnx-dev is not installed";
  const std::map<std::string, uint32_t> fields = schema(*text);
  check<StringStringEntryProto>(fields);
  check<TensorProto>(fields);
  check<SparseTensorProto>(fields);
  check<DimensionProto>(fields);
  check<TensorShapeProto>(fields);
  check<TensorTypeProto>(fields);
  check<ContainerTypeProto>(fields);
  check<TypeProto>(fields);
  check<ValueInfoProto>(fields);
  check<AttributeProto>(fields);
  check<NodeProto>(fields);
  check<GraphProto>(fields);
  check<OperatorSetIdProto>(fields);
  check<FunctionProto>(fields);
  check<ModelProto>(fields);
}

} // namespace
} // namespace ingot::onnx
