/// Attention whose heads share keys, and with masks, offsets, lengths, soft caps and windows,
/// compiled for the CPU, against the reference.
#include "frontend/api/Ingot.h"
#include "test/codegen/DrawnAttention.h"
#include "test/ir/Testing.h"

namespace ingot::testing {
namespace {

class AttentionOptionsTest : public GraphTest {
protected:
  void check(const std::string &text, double tolerance) {
    SCOPED_TRACE(text);
    auto module = parse(text);
    ASSERT_TRUE(module);
    auto function = only(*module);
    std::vector<::ingot::Tensor> values;
    std::map<std::string, ::ingot::Tensor> inputs;
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      std::string type;
      llvm::raw_string_ostream(type) << function.getArgumentTypes()[i];
      values.push_back(random(type, test::attentionIndexLimit));
      inputs.emplace(function.getArgAttrOfType<mlir::StringAttr>(i, "graph.name").str(),
                     values.back());
    }
    auto expected = interpret(function, values);
    ASSERT_TRUE(expected) << expected.error().text();
    auto model = Model::parse(text);
    ASSERT_TRUE(model) << model.error().text();
    Options options;
    options.cache = false;
    auto program = model->compile(options);
    ASSERT_TRUE(program) << program.error().text();
    auto outputs = program->run(inputs);
    ASSERT_TRUE(outputs) << outputs.error().text();
    for (size_t i = 0; i < expected->size(); ++i) {
      SCOPED_TRACE(fmt::format("result {}", i));
      expectClose(outputs->at(fmt::format("r{}", i)), (*expected)[i], tolerance);
    }
  }
};

TEST_F(AttentionOptionsTest, AgreeWithTheReference) {
  for (int i = 0; i < 12 && !HasFatalFailure(); ++i)
    check(test::drawMaskedAttention(generator), 2e-4);
  for (int i = 0; i < 4 && !HasFatalFailure(); ++i)
    check(test::drawMaskedAttention(generator, ElementType::F64), 1e-11);
}

TEST_F(AttentionOptionsTest, HeadsThatShareKeysAgreeWithTheReference) {
  for (int i = 0; i < 6 && !HasFatalFailure(); ++i)
    check(test::drawAttention(generator), 2e-4);
  check(test::drawAttention(generator, "f64"), 1e-11);
  check(test::drawAttention(generator, "bf16"), 4e-2);
}

TEST_F(AttentionOptionsTest, KernelsAgreeWithTheReference) {
  for (int i = 0; i < 24 && !HasFatalFailure(); ++i)
    check(test::drawAttention(generator, "f32", /*hasOptions=*/true), 2e-4);
  for (int i = 0; i < 6 && !HasFatalFailure(); ++i)
    check(test::drawAttention(generator, "f64", true), 1e-11);
  for (int i = 0; i < 6 && !HasFatalFailure(); ++i)
    check(test::drawAttention(generator, "bf16", true), 4e-2);
}

} // namespace
} // namespace ingot::testing
