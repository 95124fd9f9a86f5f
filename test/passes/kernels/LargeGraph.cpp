#include "test/passes/kernels/LargeGraph.h"
#include "frontend/api/ModelModule.h"
#include "ir/dialect/GraphBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace ingot {

Model largeGraph(int64_t ops) {
  auto impl = std::make_shared<Model::Impl>();
  OpBuilder builder(impl->context.get());
  Location location = NameLoc::get(builder.getStringAttr("large"));
  impl->module = ModuleOp::create(location);
  builder.setInsertionPointToEnd(impl->module->getBody());
  Type square = RankedTensorType::get({16, 16}, builder.getF32Type());
  auto function = func::FuncOp::create(builder, location, "forward",
                                       builder.getFunctionType({square, square}, {}));
  builder.setInsertionPointToStart(function.addEntryBlock());
  for (unsigned index = 0; index < 2; ++index) {
    function.setArgAttr(index, "graph.name", builder.getStringAttr(index ? "w" : "x"));
    function.setArgAttr(index, "graph.role", builder.getStringAttr("input"));
  }
  graph::GraphBuilder build(builder, location);
  Value x = function.getArgument(0), weights = function.getArgument(1);
  SmallVector<Value> blocks{x};
  Value total; // a scalar that every block adds to
  Block &body = function.front();
  size_t emitted = 0;
  while (int64_t(emitted) < ops) {
    Value far = blocks[blocks.size() * 7 / 11];
    Value y = build.contract(x, weights, {}, {}, {1}, {1});
    for (int link = 0; link < 8; ++link) {
      y = build.add(build.mul(build.tanh(y), link % 2 ? x : far), far);
      y = build.sub(y, build.mul(far, 0.25 + double(blocks.size())));
    }
    Value max = build.reduceMax(y, 1);
    Value e = build.exp(build.sub(y, build.broadcastReducedLike(max, y, 1)));
    Value p = build.div(e, build.broadcastReducedLike(build.reduceSum(e, 1), e, 1));
    Value column = build.reduceSum(build.mul(p, far), 0);
    x = build.add(p, build.broadcastReducedLike(column, p, 0));
    Value sum = build.reduceSum(build.reduceSum(build.mul(x, x), 1), 0);
    total = total ? build.add(total, build.mul(sum, 0.5)) : sum;
    blocks.push_back(x);
    emitted = body.getOperations().size();
  }
  func::ReturnOp::create(builder, location, ValueRange{x, total});
  function.setType(builder.getFunctionType({square, square}, ValueRange{x, total}.getTypes()));
  function.setResultAttr(0, "graph.name", builder.getStringAttr("y"));
  function.setResultAttr(1, "graph.name", builder.getStringAttr("total"));
  return Model(impl);
}

} // namespace ingot
