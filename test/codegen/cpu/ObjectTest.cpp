#include "codegen/cpu/Object.h"
#include "codegen/cpu/Target.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Parser/Parser.h"
#include <gtest/gtest.h>

namespace ingot {
namespace {

/// A vector that is narrowed and stored through a constant mask.
std::string llvmOf(const std::string &mask) {
  mlir::MLIRContext context;
  context.loadDialect<mlir::LLVM::LLVMDialect>();
  mlir::OwningOpRef<mlir::ModuleOp> module = mlir::parseSourceString<mlir::ModuleOp>(R"(
llvm.func @narrow(%from: !llvm.ptr, %to: !llvm.ptr) {
  %mask = llvm.mlir.constant(dense<)" + mask + R"(> : vector<4xi1>) : vector<4xi1>
  %wide = llvm.load %from : !llvm.ptr -> vector<4xi32>
  %narrow = llvm.trunc %wide : vector<4xi32> to vector<4xi16>
  llvm.intr.masked.store %narrow, %to, %mask {alignment = 2 : i32} : vector<4xi16>, vector<4xi1> into !llvm.ptr
  llvm.return
})",
                                                                                     &context);
  EXPECT_TRUE(module);
  std::string text;
  const Result<CpuTarget> target = CpuTarget::parse("cpu:x86-64-v4");
  EXPECT_TRUE(target);
  auto object = compileToObject(*module, *target, &text);
  EXPECT_TRUE(object) << object.error().text();
  return text;
}

/// LLVM 22 stores four bytes for a single lane of two.
TEST(Object, AMaskOfOneLaneIsAStoreOfOneElement) {
  const std::string text = llvmOf("[false, false, true, false]");
  EXPECT_EQ(text.find("call void @llvm.masked.store"), text.npos) << text;
  EXPECT_NE(text.find("store i16"), text.npos) << text;
  EXPECT_NE(text.find("i64 2"), text.npos) << text;
}

TEST(Object, OtherMasksStay) {
  for (const char *mask : {"[true, true, false, false]", "[true, false, false, true]"})
    EXPECT_NE(llvmOf(mask).find("@llvm.masked.store"), std::string::npos) << mask;
}

} // namespace
} // namespace ingot
