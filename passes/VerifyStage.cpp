/// What may remain after each stage: one table, located errors.
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/BuiltinOps.h"
#include "passes/Passes.h"
#include "passes/Pipeline.h"
#include "passes/kernels/OpModel.h"
#include "passes/schedule/VerifyEmission.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace ingot {

#define GEN_PASS_DEF_VERIFYSTAGE
#include "passes/Passes.h.inc"

namespace {

/// Names of dialects ("arith"), of ops ("tensor.pad"), and `kernelOps`.
using Names = std::vector<StringRef>;

/// What entry functions and kernels may hold.
struct StageRule {
  Stage stage;
  Names entry, kernel;
  bool isStatic; ///< every tensor has a static shape
};

/// Stands for the ops of the graph dialect that keep their name.
constexpr StringLiteral kernelOps = "KernelOp";

/// Tensor code: what linalg stage functions and kernel bodies are made of.
const Names tensorCode = {kernelOps,
                          "graph.combine",
                          "linalg.generic",
                          "linalg.fill",
                          "linalg.index",
                          "linalg.yield",
                          "tensor.empty",
                          "tensor.extract_slice",
                          "tensor.pad",
                          "tensor.yield",
                          "tensor.extract",
                          "tensor.concat",
                          "tensor.expand_shape",
                          "tensor.collapse_shape",
                          "arith",
                          "math",
                          "func.return"};

Names operator+(Names names, const Names &more) {
  llvm::append_range(names, more);
  return names;
}

/// None for the stages after `plan`: their kernels are modules of their own.
const StageRule *ruleOf(Stage stage) {
  static const Names model = {"graph", "func.return"};
  static const Names loops = {"func.return", "memref", "scf", "vector", "arith", "math",
                              "affine",      "index",  "ub",  "llvm",   "nvvm"};
  static const Names calls = {"func.call",
                              "func.return",
                              "tensor.expand_shape",
                              "tensor.collapse_shape",
                              "tensor.extract_slice",
                              "arith.constant",
                              "graph.bucket",
                              "graph.unbucket",
                              "graph.dynamic_slice",
                              "graph.loop",
                              "graph.if",
                              "graph.yield"};
  static const Names places = {"kernel.call", "kernel.loop", "kernel.if",
                               "func.return", "memref.view", "arith.constant"};
  static const StageRule rules[] = {
      {Stage::Graph, model, {}, false},
      {Stage::Train, model, {}, false},
      {Stage::Linalg, tensorCode + Names{"graph.yield"}, {}, true},
      {Stage::Kernels, calls, tensorCode, true},
      {Stage::Schedule, calls, tensorCode + Names{"kernel.unpack"}, true},
      {Stage::Plan, places, tensorCode + Names{"kernel.unpack"}, true},
      {Stage::Loops, places, loops, true},
  };
  auto rule = llvm::find_if(rules, [&](const StageRule &rule) { return rule.stage == stage; });
  return rule == std::end(rules) ? nullptr : rule;
}

/// In kernels there are no views of the graph dialect (order is settled then), no loops and
/// branches, and updates are tensor code too.
bool isAllowedKernelOp(Operation *op, bool isKernel) {
  auto kernelOp = dyn_cast<graph::KernelOp>(op);
  if (!kernelOp || !isa<graph::GraphDialect>(op->getDialect()))
    return false;
  const OpRole role = roleOf(op);
  return !isKernel ||
         (role != OpRole::View && role != OpRole::Region && !isRoot(op, KernelRoot::Update));
}

bool isAllowed(Operation *op, const Names &names, bool isKernel) {
  if (llvm::is_contained(names, kernelOps) && isAllowedKernelOp(op, isKernel))
    return true;
  StringRef full = op->getName().getStringRef(), dialect = op->getName().getDialectNamespace();
  return llvm::is_contained(names, full) || llvm::is_contained(names, dialect);
}

/// Ops of a later stage, by a dialect that is allowed as a whole.
bool comesLater(Operation *op, Stage stage) {
  bool isModel = stage == Stage::Graph || stage == Stage::Train;
  return isModel && isa<graph::BucketOp, graph::UnbucketOp, graph::AfterOp, graph::CombineOp>(op);
}

/// A kernel with a root of role Root holds one such op, but for updates; others hold none.
LogicalResult verifyRoot(func::FuncOp kernel) {
  StringRef name = kernel->getAttrOfType<StringAttr>("graph.kernel").getValue();
  std::optional<KernelRoot> root = graph::symbolizeKernelRoot(name);
  if (!root)
    return kernel.emitError("there is no kernel root '") << name << "'";
  unsigned found = 0;
  for (Operation &op : kernel.getBody().front()) {
    if (roleOf(&op) != OpRole::Root)
      continue;
    if (!isRoot(&op, *root))
      return op.emitOpError("may not be in a kernel of root '") << name << "'";
    ++found;
  }
  bool isBuiltAroundOne = *root > KernelRoot::Column && *root != KernelRoot::Update;
  if (found != (isBuiltAroundOne ? 1 : 0))
    return kernel.emitError("a kernel of root '") << name << "' holds one op of that root";
  return success();
}

LogicalResult verifyTypes(Operation *op, const StageRule &rule) {
  for (Type type : llvm::concat<Type>(op->getOperandTypes(), op->getResultTypes())) {
    if (rule.stage != Stage::Graph && isa<graph::SequenceType, graph::OptionalType>(type))
      return op->emitOpError("may not use the type ")
             << type << " at stage " << enumName(rule.stage);
    if (auto shaped = dyn_cast<ShapedType>(type);
        rule.isStatic && isa<RankedTensorType>(type) && !shaped.hasStaticShape())
      return op->emitOpError("may not use the type ")
             << type << " at stage " << enumName(rule.stage) << ": shapes are static by then";
  }
  return success();
}

/// From stage `schedule` on each kernel says how it runs; from `loops` on it is no more than that.
LogicalResult verifySchedule(func::FuncOp kernel, Stage stage) {
  kernel::ScheduleAttr schedule = kernel::scheduleOf(kernel);
  if (stage < Stage::Schedule && schedule)
    return kernel.emitError("is scheduled, but that comes after stage ") << enumName(stage);
  if (stage < Stage::Schedule)
    return success();
  if (!schedule)
    return kernel.emitError("has no schedule at stage ") << enumName(stage);
  auto *dialect = kernel.getContext()->getLoadedDialect<kernel::KernelDialect>();
  if (failed(dialect->verifyOperationAttribute(
          kernel,
          NamedAttribute(StringAttr::get(kernel.getContext(), "kernel.schedule"), schedule))))
    return mlir::failure();
  if (stage < Stage::Loops)
    return success();
  if (!kernel.isDeclaration())
    return kernel.emitError("is not emitted at stage loops");
  return verifyEmission(kernel);
}

/// From `linalg` on the ops say what is computed, bit by bit. Only the sign of a zero may be left
/// open.
LogicalResult verifyArithmetic(Operation *op, const StageRule &rule) {
  auto fast = dyn_cast<arith::ArithFastMathInterface>(op);
  if (rule.stage < Stage::Linalg || !fast || !fast.getFastMathFlagsAttr())
    return success();
  arith::FastMathFlags flags = fast.getFastMathFlagsAttr().getValue();
  if ((flags | arith::FastMathFlags::nsz) != arith::FastMathFlags::nsz)
    return op->emitOpError("may not carry fastmath<")
           << arith::stringifyFastMathFlags(flags) << "> at stage " << enumName(rule.stage)
           << ": contract-arithmetic decides what is fused";
  return success();
}

LogicalResult verifyFunction(func::FuncOp function, const StageRule &rule, bool isLaunch) {
  bool isKernel = isLaunch || kernel::isKernel(function);
  if (isKernel && rule.kernel.empty())
    return function.emitError("is a kernel, but kernels are formed after stage ")
           << enumName(rule.stage);
  if (isKernel && !function.isDeclaration() && !isLaunch && rule.stage < Stage::Loops &&
      failed(verifyRoot(function)))
    return mlir::failure();
  if (isKernel && !isLaunch && failed(verifySchedule(function, rule.stage)))
    return mlir::failure();
  const Names &names = isKernel ? rule.kernel : rule.entry;
  WalkResult result = function.getBody().walk<WalkOrder::PreOrder>([&](Operation *op) {
    if (!isAllowed(op, names, isKernel) || comesLater(op, rule.stage)) {
      op->emitOpError("may not remain at stage ")
          << enumName(rule.stage) << (isKernel ? " in a kernel" : "");
      return WalkResult::interrupt();
    }
    bool isValid = succeeded(verifyTypes(op, rule)) && succeeded(verifyArithmetic(op, rule));
    if (!isValid)
      return WalkResult::interrupt();
    // The formula of an update is of the graph dialect until its kernel is made; a combiner stays.
    bool isNamed =
        (rule.stage > Stage::Train && isa<graph::UpdateOp>(op)) || isa<graph::CombineOp>(op);
    return isNamed ? WalkResult::skip() : WalkResult::advance();
  });
  return mlir::failure(result.wasInterrupted());
}

struct VerifyStagePass : impl::VerifyStageBase<VerifyStagePass> {
  using VerifyStageBase::VerifyStageBase;

  void runOnOperation() override {
    Result<Stage> parsed = parseStage(stage.getValue());
    if (!parsed) {
      emitError(getOperation().getLoc()) << parsed.error().message;
      return signalPassFailure();
    }
    const StageRule *found = ruleOf(*parsed);
    if (!found) {
      emitError(getOperation().getLoc()) << "stage " << enumName(*parsed) << " has no one module";
      return signalPassFailure();
    }
    const StageRule &rule = *found;
    llvm::StringSet<> launches;
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (kernel::ScheduleAttr schedule = kernel::scheduleOf(function))
        for (size_t launch = 0; launch < schedule.getLaunches().size(); ++launch)
          launches.insert(kernel::launchName(function.getName(), launch));
    for (Operation &op : *getOperation().getBody()) {
      auto function = dyn_cast<func::FuncOp>(op);
      if (!function) {
        op.emitOpError("may not remain at stage ") << enumName(rule.stage);
        return signalPassFailure();
      }
      if (function.isDeclaration() && !kernel::isKernel(function))
        continue;
      if (failed(verifyFunction(function, rule, launches.contains(function.getName()))))
        return signalPassFailure();
    }
  }
};

} // namespace
} // namespace ingot
