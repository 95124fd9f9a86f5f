/// The point emitter on a target that is no CPU: four lanes, 32-bit indices, memory that is
/// touched element by element under a predicate, and a record of how each buffer is read.
#include "codegen/kernel/PointEmitter.h"
#include "codegen/cpu/Image.h"
#include "codegen/cpu/Object.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "passes/Dialects.h"
#include "runtime/cpu/Memory.h"
#include <cmath>
#include <gtest/gtest.h>
#include <map>
#include <numeric>

using namespace mlir;

namespace ingot {
namespace {

/// Flat memrefs, one scalar access a lane.
class ThreadMemory : public PointMemory {
public:
  enum class Kind { Scalar, AlignedRun, Run, Gather };
  std::vector<std::pair<Kind, Value>> reads, writes;

  Type indexType(MLIRContext *context) const override { return IntegerType::get(context, 32); }

  Value load(OpBuilder &builder, Location location, Value buffer, Type, Value position) override {
    reads.push_back({Kind::Scalar, buffer});
    return element(builder, location, buffer, position);
  }
  void store(OpBuilder &builder, Location location, Value value, Value buffer,
             Value position) override {
    writes.push_back({Kind::Scalar, buffer});
    memref::StoreOp::create(builder, location, value, buffer, place(builder, location, position));
  }
  Value loadRun(OpBuilder &builder, Location location, Value buffer, VectorType type, Value start,
                bool isAligned, Value mask) override {
    reads.push_back({isAligned ? Kind::AlignedRun : Kind::Run, buffer});
    return lanes(builder, location, buffer, type, mask, [&](int64_t lane) {
      return arith::AddIOp::create(builder, location, start, number(builder, location, lane))
          .getResult();
    });
  }
  void storeRun(OpBuilder &builder, Location location, Value value, Value buffer, Value start,
                bool isAligned, Value mask) override {
    writes.push_back({isAligned ? Kind::AlignedRun : Kind::Run, buffer});
    storeLanes(builder, location, value, buffer, mask, [&](int64_t lane) {
      return arith::AddIOp::create(builder, location, start, number(builder, location, lane))
          .getResult();
    });
  }
  Value gather(OpBuilder &builder, Location location, Value buffer, VectorType type,
               Value positions, Value mask) override {
    reads.push_back({Kind::Gather, buffer});
    return lanes(builder, location, buffer, type, mask, [&](int64_t lane) {
      return vector::ExtractOp::create(builder, location, positions, lane).getResult();
    });
  }
  void scatter(OpBuilder &builder, Location location, Value value, Value buffer, Value positions,
               Value mask) override {
    writes.push_back({Kind::Gather, buffer});
    storeLanes(builder, location, value, buffer, mask, [&](int64_t lane) {
      return vector::ExtractOp::create(builder, location, positions, lane).getResult();
    });
  }

private:
  using Position = llvm::function_ref<Value(int64_t lane)>;

  static Value number(OpBuilder &builder, Location location, int64_t value) {
    return arith::ConstantOp::create(builder, location, builder.getI32IntegerAttr(value));
  }
  static Value place(OpBuilder &builder, Location location, Value position) {
    EXPECT_TRUE(position.getType().isInteger(32));
    return arith::IndexCastOp::create(builder, location, builder.getIndexType(), position);
  }
  static Value element(OpBuilder &builder, Location location, Value buffer, Value position) {
    return memref::LoadOp::create(builder, location, buffer, place(builder, location, position));
  }
  static Value lanes(OpBuilder &builder, Location location, Value buffer, VectorType type,
                     Value mask, Position position) {
    Value zero =
        arith::ConstantOp::create(builder, location, builder.getZeroAttr(type.getElementType()));
    Value result = arith::ConstantOp::create(builder, location, builder.getZeroAttr(type));
    for (int64_t lane = 0; lane < type.getNumElements(); ++lane) {
      Value at = position(lane), one;
      if (mask) {
        Value counts = vector::ExtractOp::create(builder, location, mask, lane);
        one = scf::IfOp::create(
                  builder, location, counts,
                  [&](OpBuilder &b, Location where) {
                    scf::YieldOp::create(b, where, element(b, where, buffer, at));
                  },
                  [&](OpBuilder &b, Location where) { scf::YieldOp::create(b, where, zero); })
                  .getResult(0);
      } else {
        one = element(builder, location, buffer, at);
      }
      result = vector::InsertOp::create(builder, location, one, result, lane);
    }
    return result;
  }
  static void storeLanes(OpBuilder &builder, Location location, Value value, Value buffer,
                         Value mask, Position position) {
    for (int64_t lane = 0; lane < cast<VectorType>(value.getType()).getNumElements(); ++lane) {
      Value at = position(lane), one = vector::ExtractOp::create(builder, location, value, lane);
      auto store = [&](OpBuilder &b, Location where) {
        memref::StoreOp::create(b, where, one, buffer, place(b, where, at));
      };
      if (!mask) {
        store(builder, location);
        continue;
      }
      Value counts = vector::ExtractOp::create(builder, location, mask, lane);
      scf::IfOp::create(builder, location, counts, [&](OpBuilder &b, Location where) {
        store(b, where);
        scf::YieldOp::create(b, where);
      });
    }
  }
};

/// A kernel's body of one result, evaluated over the result's elements as one line of `lanes` each.
class ThreadedKernel {
public:
  ThreadedKernel(const std::string &text, int64_t lanes) {
    DialectRegistry registry;
    registerDialects(registry);
    context = std::make_unique<MLIRContext>(registry, MLIRContext::Threading::DISABLED);
    context->loadAllAvailableDialects();
    auto module = parseSourceString<ModuleOp>(text, context.get());
    EXPECT_TRUE(module);
    auto body = *module->getOps<func::FuncOp>().begin();
    emit(body, lanes);
    compile(*module);
  }

  void run(std::vector<void *> memory) const { entry(memory.data(), 0, 1); }
  ThreadMemory::Kind readOf(unsigned argument) const { return kinds.at(argument); }
  ThreadMemory::Kind written() const { return writeKind; }

private:
  void emit(func::FuncOp body, int64_t lanes) {
    OpBuilder builder(body);
    Location location = body.getLoc();
    SmallVector<Type> types;
    auto flat = [&](Type type) {
      auto tensor = cast<RankedTensorType>(type);
      return MemRefType::get({tensor.getNumElements()}, storageType(tensor.getElementType()));
    };
    for (Type type : body.getArgumentTypes())
      types.push_back(flat(type));
    types.push_back(flat(body.getResultTypes()[0]));
    types.append(2, builder.getIndexType());
    auto function =
        func::FuncOp::create(builder, location, "threaded", builder.getFunctionType(types, {}));
    builder.setInsertionPointToStart(function.addEntryBlock());
    PointEmitter points(builder, memory, lanes);
    for (BlockArgument argument : body.getArguments())
      points.mapToMemory(argument, function.getArgument(argument.getArgNumber()));

    auto result = cast<RankedTensorType>(body.getResultTypes()[0]);
    int64_t count = result.getNumElements(), full = count / lanes * lanes;
    auto number = [&](int64_t value) -> Value {
      return arith::ConstantOp::create(builder, location, builder.getI32IntegerAttr(value));
    };
    Value returned = body.front().getTerminator()->getOperand(0);
    Value out = function.getArgument(body.getNumArguments());
    auto block = [&](Value start, Value mask) {
      PointEmitter::Scope scope(points);
      PointIndex position = PointIndex::consecutive(start, count, /*aligned=*/true);
      Value value = points.at(returned, points.split(position, result.getShape()), mask);
      points.store(value, out, position, mask, result.getElementType());
    };
    auto loop = scf::ForOp::create(builder, location, number(0), number(full), number(lanes));
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      block(loop.getInductionVar(), {});
    }
    for (auto [kind, buffer] : memory.reads)
      kinds[cast<BlockArgument>(buffer).getArgNumber()] = kind;
    writeKind = memory.writes.front().first;
    if (full < count) {
      SmallVector<bool> counts(lanes);
      std::fill_n(counts.begin(), count - full, true);
      Value mask = arith::ConstantOp::create(
          builder, location,
          DenseElementsAttr::get(VectorType::get({lanes}, builder.getI1Type()), counts));
      block(number(full), mask);
    }
    func::ReturnOp::create(builder, location);
    EXPECT_TRUE(points.ok());
    body.erase();
    EXPECT_TRUE(succeeded(verify(function)));
  }

  void compile(ModuleOp module) {
    CpuTarget target = *CpuTarget::parse("cpu");
    PassManager passes(context.get());
    buildLlvmPipeline(passes, target);
    ASSERT_TRUE(succeeded(passes.run(module)));
    ImageBuilder image;
    int64_t offset = image.add(*compileToObject(module, target), {"threaded"})->front();
    code = *mapCode(image.bytes());
    entry = reinterpret_cast<void (*)(void *const *, int64_t, int64_t)>(code.data() + offset);
  }

  std::unique_ptr<MLIRContext> context;
  ThreadMemory memory;
  std::map<unsigned, ThreadMemory::Kind> kinds;
  ThreadMemory::Kind writeKind = ThreadMemory::Kind::Scalar;
  Pages code;
  void (*entry)(void *const *, int64_t, int64_t) = nullptr;
};

std::vector<float> numbers(int64_t count, float start) {
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i)
    values[i] = start + 0.37f * float(i % 11) - 0.05f * float(i);
  return values;
}

/// x · scale[column] + shift, with a scalar shift, by the row.
std::string affine(int64_t rows, int64_t columns) {
  std::string full = "tensor<" + std::to_string(rows) + "x" + std::to_string(columns) + "xf32>";
  std::string line = "tensor<" + std::to_string(columns) + "xf32>";
  return "func.func @f(%x: " + full + ", %s: " + line + ", %b: tensor<f32>) -> " + full + R"( {
    %e = tensor.empty() : )" +
         full + R"(
    %0 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (j)>, affine_map<(i, j) -> ()>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
        ins(%x, %s, %b : )" +
         full + ", " + line + R"(, tensor<f32>) outs(%e : )" + full + R"() {
    ^bb0(%p: f32, %q: f32, %r: f32, %o: f32):
      %1 = math.fma %p, %q, %r : f32
      linalg.yield %1 : f32
    } -> )" +
         full + R"(
    return %0 : )" +
         full + "\n}";
}

TEST(PointEmitter, LanesAndTheirMemoryAreTheTargets) {
  using Kind = ThreadMemory::Kind;
  for (int64_t lanes : {1, 2, 4, 8})
    for (auto [rows, columns] : std::vector<std::pair<int64_t, int64_t>>{{3, 8}, {5, 7}, {1, 3}}) {
      SCOPED_TRACE(testing::Message() << lanes << " lanes, " << rows << " x " << columns);
      ThreadedKernel kernel(affine(rows, columns), lanes);
      std::vector<float> x = numbers(rows * columns, 0.5), s = numbers(columns, -1), b = {0.25f},
                         y(rows * columns + 1, -99);
      kernel.run({x.data(), s.data(), b.data(), y.data()});
      for (int64_t i = 0; i < rows * columns; ++i)
        ASSERT_EQ(y[i], std::fma(x[i], s[i % columns], b[0])) << i;
      EXPECT_EQ(y.back(), -99) << "lanes behind the end were written";
      if (rows * columns < lanes)
        continue;
      if (lanes == 1) {
        EXPECT_EQ(kernel.readOf(0), Kind::Scalar);
        continue;
      }
      EXPECT_EQ(kernel.readOf(0), Kind::AlignedRun);
      EXPECT_EQ(kernel.written(), Kind::AlignedRun);
      EXPECT_EQ(kernel.readOf(2), Kind::Scalar);
      // Columns start over inside a run of lanes unless these divide them.
      EXPECT_EQ(kernel.readOf(1),
                columns % lanes == 0 || rows == 1 ? Kind::AlignedRun : Kind::Gather);
    }
}

/// Rows of a table, by 64-bit indices that may lie outside of it, shifted by their place.
constexpr const char *gather = R"mlir(
func.func @f(%table: tensor<5x6xf32>, %which: tensor<7xi64>) -> tensor<7x6xf32> {
  %g = graph.gather %table, %which dimension 0 : tensor<5x6xf32>, tensor<7xi64> -> tensor<7x6xf32>
  %e = tensor.empty() : tensor<7x6xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(i, j) -> (i, j)>, affine_map<(i, j) -> (i, j)>], iterator_types = ["parallel", "parallel"]}
      ins(%g : tensor<7x6xf32>) outs(%e : tensor<7x6xf32>) {
  ^bb0(%p: f32, %o: f32):
    %row = linalg.index 0 : index
    %number = arith.index_cast %row : index to i64
    %real = arith.sitofp %number : i64 to f32
    %1 = arith.addf %p, %real : f32
    linalg.yield %1 : f32
  } -> tensor<7x6xf32>
  return %0 : tensor<7x6xf32>
}
)mlir";

TEST(PointEmitter, WideIndicesAreClampedBeforeTheyAreCut) {
  ThreadedKernel kernel(gather, 4);
  std::vector<float> table = numbers(30, 0.5), y(42);
  std::vector<int64_t> which = {0, 4, 2, -3, 9, int64_t(1) << 32, -(int64_t(1) << 33)};
  kernel.run({table.data(), which.data(), y.data()});
  for (int64_t i = 0; i < 42; ++i) {
    int64_t row = std::clamp<int64_t>(which[i / 6], 0, 4);
    EXPECT_EQ(y[i], table[row * 6 + i % 6] + float(i / 6)) << i;
  }
}

/// A window with zeros around it, transposed: conditions by lane, strides, and a reduction.
constexpr const char *window = R"mlir(
func.func @f(%x: tensor<3x5xf32>) -> tensor<7xf32> {
  %zero = arith.constant 0.0 : f32
  %p = tensor.pad %x low[0, 1] high[0, 1] {
  ^bb0(%i: index, %j: index):
    tensor.yield %zero : f32
  } : tensor<3x5xf32> to tensor<3x7xf32>
  %e = tensor.empty() : tensor<7xf32>
  %init = linalg.fill ins(%zero : f32) outs(%e : tensor<7xf32>) -> tensor<7xf32>
  %0 = linalg.generic {indexing_maps = [affine_map<(j, i) -> (i, j)>, affine_map<(j, i) -> (j)>], iterator_types = ["parallel", "reduction"]}
      ins(%p : tensor<3x7xf32>) outs(%init : tensor<7xf32>) {
  ^bb0(%a: f32, %o: f32):
    %1 = arith.addf %a, %o : f32
    linalg.yield %1 : f32
  } -> tensor<7xf32>
  return %0 : tensor<7xf32>
}
)mlir";

TEST(PointEmitter, PredicatesKeepLanesOffMemory) {
  for (int64_t lanes : {1, 2, 4}) {
    ThreadedKernel kernel(window, lanes);
    std::vector<float> x = numbers(15, 0.5), y(7);
    kernel.run({x.data(), y.data()});
    for (int64_t j = 0; j < 7; ++j) {
      float sum = 0;
      for (int64_t i = 0; i < 3; ++i)
        sum = (j == 0 || j == 6 ? 0.0f : x[i * 5 + j - 1]) + sum;
      EXPECT_EQ(y[j], sum) << lanes << " lanes, column " << j;
    }
  }
}

} // namespace
} // namespace ingot
