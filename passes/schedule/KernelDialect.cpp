#include "passes/schedule/KernelDialect.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"
#include "passes/math/NarrowFloats.h"
#include "llvm/ADT/TypeSwitch.h"

#include "passes/schedule/KernelDialect.cpp.inc"
#include "passes/schedule/KernelEnums.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "passes/schedule/KernelAttributes.cpp.inc"

#define GET_OP_CLASSES
#include "passes/schedule/KernelOps.cpp.inc"

using namespace mlir;

namespace ingot::kernel {

void KernelDialect::initialize() {
  addAttributes<
#define GET_ATTRDEF_LIST
#include "passes/schedule/KernelAttributes.cpp.inc"
      >();
  addOperations<
#define GET_OP_LIST
#include "passes/schedule/KernelOps.cpp.inc"
      >();
}

//===--------------------------------------------------------------------------------------------===//
// Text
//===--------------------------------------------------------------------------------------------===//

namespace {

/// `NAME = ` in front of a field; every field is there, in one order.
ParseResult parseField(AsmParser &parser, StringRef name, bool isFirst = false) {
  return failure((!isFirst && parser.parseComma()) || parser.parseKeyword(name) ||
                 parser.parseEqual());
}

ParseResult parseField(AsmParser &parser, StringRef name, int64_t &value) {
  return failure(parseField(parser, name) || parser.parseInteger(value));
}

template <typename Enum>
ParseResult parseEnum(AsmParser &parser, StringRef what, std::optional<Enum> (*read)(StringRef),
                      Enum &value) {
  SMLoc location = parser.getCurrentLocation();
  StringRef word;
  if (parser.parseKeyword(&word))
    return failure();
  std::optional<Enum> found = read(word);
  if (!found)
    return parser.emitError(location, "there is no ") << what << " '" << word << "'";
  value = *found;
  return success();
}

void printSizes(AsmPrinter &printer, DictionaryAttr sizes) {
  printer << "(";
  llvm::interleaveComma(sizes, printer, [&](NamedAttribute size) {
    printer << size.getName().getValue() << " = ";
    ArrayRef<int64_t> values = cast<DenseI64ArrayAttr>(size.getValue()).asArrayRef();
    if (values.size() == 1) {
      printer << values.front();
      return;
    }
    printer << "[";
    llvm::interleaveComma(values, printer);
    printer << "]";
  });
  printer << ")";
}

ParseResult parseSizes(AsmParser &parser, DictionaryAttr &sizes) {
  NamedAttrList list;
  auto parseInteger = [&](SmallVector<int64_t> &values) {
    return parser.parseInteger(values.emplace_back());
  };
  auto parseSize = [&]() -> ParseResult {
    SMLoc location = parser.getCurrentLocation();
    StringRef name;
    SmallVector<int64_t> values;
    if (parser.parseKeyword(&name) || parser.parseEqual())
      return failure();
    if (list.get(name))
      return parser.emitError(location, "the size '") << name << "' stands twice";
    if (succeeded(parser.parseOptionalLSquare())) {
      if (failed(parser.parseOptionalRSquare()))
        if (parser.parseCommaSeparatedList([&] { return parseInteger(values); }) ||
            parser.parseRSquare())
          return failure();
    } else if (parseInteger(values)) {
      return failure();
    }
    list.set(name, DenseI64ArrayAttr::get(parser.getContext(), values));
    return success();
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Paren, parseSize))
    return failure();
  sizes = list.getDictionary(parser.getContext());
  return success();
}

} // namespace

void PairAttr::print(AsmPrinter &printer) const {
  printer << getResult() << " with " << getOperand() << " " << stringifySharing(getSharing());
  if (getSharing() == Sharing::SameRow)
    printer << " of " << getRow();
}

Attribute PairAttr::parse(AsmParser &parser, Type) {
  unsigned result = 0, operand = 0;
  Sharing sharing = Sharing::None;
  if (parser.parseInteger(result) || parser.parseKeyword("with") || parser.parseInteger(operand) ||
      parseEnum<Sharing>(parser, "sharing", symbolizeSharing, sharing))
    return {};
  int64_t row = 1;
  if (sharing == Sharing::SameRow && (parser.parseKeyword("of") || parser.parseInteger(row)))
    return {};
  return PairAttr::get(parser.getContext(), result, operand, sharing, row);
}

void LaunchAttr::print(AsmPrinter &printer) const {
  printer << getKind().getValue() << " grains " << getGrains() << " flops " << getFlops()
          << " bytes " << getBytes() << " sizes ";
  printSizes(printer, getSizes());
}

Attribute LaunchAttr::parse(AsmParser &parser, Type) {
  SMLoc location = parser.getCurrentLocation();
  StringRef kind;
  int64_t grains = 0, flops = 0, bytes = 0;
  DictionaryAttr sizes;
  if (parser.parseKeyword(&kind) || parser.parseKeyword("grains") || parser.parseInteger(grains) ||
      parser.parseKeyword("flops") || parser.parseInteger(flops) || parser.parseKeyword("bytes") ||
      parser.parseInteger(bytes) || parser.parseKeyword("sizes") || parseSizes(parser, sizes))
    return {};
  return parser.getChecked<LaunchAttr>(location, parser.getContext(),
                                       parser.getBuilder().getStringAttr(kind), grains, flops,
                                       bytes, sizes);
}

void ScheduleAttr::print(AsmPrinter &printer) const {
  printer << "<arguments = [";
  llvm::interleaveComma(getArguments(), printer,
                        [&](Access access) { printer << stringifyAccess(access); });
  printer << "], sharing = [";
  llvm::interleaveComma(getSharing(), printer, [&](PairAttr pair) { pair.print(printer); });
  printer << "], scratch = " << getScratch() << ", launch_scratch = " << getLaunchScratch()
          << ", launches = [";
  llvm::interleaveComma(getLaunches(), printer, [&](LaunchAttr launch) { launch.print(printer); });
  printer << "]>";
}

Attribute ScheduleAttr::parse(AsmParser &parser, Type) {
  SMLoc location = parser.getCurrentLocation();
  SmallVector<Access> arguments;
  SmallVector<PairAttr> sharing;
  SmallVector<LaunchAttr> launches;
  int64_t scratch = 0, launchScratch = 0;
  auto list = [&](llvm::function_ref<ParseResult()> parseElement) {
    return parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, parseElement);
  };
  auto nested = [&](auto &attributes) -> ParseResult {
    using Nested = typename std::decay_t<decltype(attributes)>::value_type;
    Attribute attribute = Nested::parse(parser, {});
    if (attribute)
      attributes.push_back(cast<Nested>(attribute));
    return success(bool(attribute));
  };
  if (parser.parseLess() || parseField(parser, "arguments", /*isFirst=*/true) || list([&] {
        return parseEnum<Access>(parser, "access", symbolizeAccess,
                                 arguments.emplace_back(Access::Read));
      }) ||
      parseField(parser, "sharing") || list([&] { return nested(sharing); }) ||
      parseField(parser, "scratch", scratch) ||
      parseField(parser, "launch_scratch", launchScratch) || parseField(parser, "launches") ||
      list([&] { return nested(launches); }) || parser.parseGreater())
    return {};
  return parser.getChecked<ScheduleAttr>(location, parser.getContext(), arguments, sharing, scratch,
                                         launchScratch, launches);
}

//===--------------------------------------------------------------------------------------------===//
// Verification
//===--------------------------------------------------------------------------------------------===//

using EmitError = llvm::function_ref<InFlightDiagnostic()>;

LogicalResult LaunchAttr::verify(EmitError emitError, StringAttr kind, int64_t grains,
                                 int64_t flops, int64_t bytes, DictionaryAttr sizes) {
  if (grains < 0 || flops < 0 || bytes < 0)
    return emitError() << "grains, flops and bytes of a launch cannot be negative";
  for (NamedAttribute size : sizes)
    if (!isa<DenseI64ArrayAttr>(size.getValue()))
      return emitError() << "the size '" << size.getName().getValue() << "' is no integer";
  return success();
}

LogicalResult ScheduleAttr::verify(EmitError emitError, ArrayRef<Access> arguments,
                                   ArrayRef<PairAttr> sharing, int64_t scratch,
                                   int64_t launchScratch, ArrayRef<LaunchAttr> launches) {
  if (scratch < 0 || launchScratch < 0)
    return emitError() << "scratch cannot be negative";
  if (launches.empty())
    return emitError() << "a kernel has one launch at least";
  const auto *firstResult =
      llvm::find_if(arguments, [](Access access) { return access != Access::Read; });
  if (std::any_of(firstResult, arguments.end(),
                  [](Access access) { return access == Access::Read; }))
    return emitError() << "operands, which are read, come before results";
  const size_t operands = firstResult - arguments.begin(), results = arguments.size() - operands;
  llvm::SmallDenseSet<std::pair<unsigned, unsigned>> seen;
  for (PairAttr pair : sharing) {
    if (pair.getResult() >= results || pair.getOperand() >= operands)
      return emitError() << "there is no result " << pair.getResult() << " with an operand "
                         << pair.getOperand() << " to share memory with";
    if (pair.getRow() < 1)
      return emitError() << "a row has one element at least";
    if (pair.getSharing() == Sharing::None)
      return emitError() << "pairs that share nothing are not listed";
    if (!seen.insert({pair.getResult(), pair.getOperand()}).second)
      return emitError() << "result " << pair.getResult() << " is listed twice with operand "
                         << pair.getOperand();
  }
  return success();
}

LogicalResult PanelsAttr::verify(EmitError emitError, RankedTensorType tensor, int64_t matrices,
                                 int64_t rows, int64_t depth, bool depthLast) {
  if (matrices > 0 && tensor.hasStaticShape() &&
      Layout{matrices, rows, depth, depthLast}.fits(tensor.getNumElements()))
    return success();
  return emitError() << "matrices of " << matrices << " x " << rows << " x " << depth
                     << " are not all of " << tensor;
}

RankedTensorType PanelsAttr::memory() const {
  return RankedTensorType::get({layout().elements(getTensor().getNumElements())},
                               getTensor().getElementType());
}

LogicalResult UnpackOp::verify() {
  if (getPacked().getType() == getLayout().memory() && getType() == getLayout().getTensor())
    return success();
  return emitOpError("(1) unpacks ") << getLayout().getTensor() << " from " << getLayout().memory();
}

/// A schedule fits the signature of its kernel.
LogicalResult KernelDialect::verifyOperationAttribute(Operation *op, NamedAttribute attribute) {
  auto function = dyn_cast<func::FuncOp>(op);
  if (auto threads = dyn_cast<IntegerAttr>(attribute.getValue());
      attribute.getName() == threadsName && threads && isa<FunctionOpInterface>(op))
    return threads.getInt() > 0 ? success() : op->emitError("kernel.threads: not positive");
  if (attribute.getName() == ::ingot::roundsName && isa<UnitAttr>(attribute.getValue()) &&
      isa<FunctionOpInterface>(op))
    return success();
  auto schedule = dyn_cast<ScheduleAttr>(attribute.getValue());
  if (attribute.getName() != "kernel.schedule" || !schedule)
    return op->emitError("there is no attribute ")
           << attribute.getName() << " with this value in the dialect kernel";
  if (!function || !isKernel(function))
    return op->emitError("kernel.schedule: only kernels have schedules");
  const unsigned operands = function.getNumArguments(), results = function.getNumResults();
  if (schedule.operandCount() != operands || schedule.getArguments().size() != operands + results)
    return function.emitError("kernel.schedule: its arguments are not the kernel's ")
           << operands << " operands and " << results << " results";
  auto isStatic = [](Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    return tensor && tensor.hasStaticShape();
  };
  if (!llvm::all_of(function.getArgumentTypes(), isStatic) ||
      !llvm::all_of(function.getResultTypes(), isStatic))
    return function.emitError("a kernel takes and returns tensors of static shape alone");
  for (PairAttr pair : schedule.getSharing())
    if (memoryBytes(function.getResultTypes()[pair.getResult()]) !=
        memoryBytes(function.getArgumentTypes()[pair.getOperand()]))
      return function.emitError("kernel.schedule: result ")
             << pair.getResult() << " and operand " << pair.getOperand()
             << " share memory but are not of one size";
  return success();
}

LogicalResult CallOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto kernel = symbols.lookupNearestSymbolFrom<func::FuncOp>(*this, getKernelAttr());
  ScheduleAttr schedule = kernel ? scheduleOf(kernel) : ScheduleAttr();
  if (!schedule)
    return emitOpError("(1) there is no scheduled kernel ") << getKernelAttr();
  SmallVector<Type> expected;
  for (Type type : llvm::concat<const Type>(kernel.getArgumentTypes(), kernel.getResultTypes()))
    expected.push_back(memoryType(type));
  if (schedule.getLaunchScratch())
    expected.push_back(
        MemRefType::get({schedule.getLaunchScratch()}, IntegerType::get(getContext(), 8)));
  if (TypeRange(getArguments().getTypes()) != TypeRange(expected))
    return emitOpError("(2) ") << getKernelAttr() << " takes " << expected;
  return success();
}

LogicalResult CallOp::verify() {
  if (getMoving() &&
      (getMoving()->size() != getArguments().size() || !(*this)->getParentOfType<LoopOp>()))
    return emitOpError("(3) ") << getMoving()->size() << " of " << getArguments().size()
                               << " arguments move"
                               << ((*this)->getParentOfType<LoopOp>() ? "" : " outside a loop");
  return success();
}

LogicalResult LoopOp::verify() {
  auto isCounter = [&](Value memory) {
    return !memory || memory.getType() == MemRefType::get({}, IntegerType::get(getContext(), 64));
  };
  if (int64_t(getTrips()) < 0 || !isCounter(getCount()) || !isCounter(getCounter()))
    return emitOpError("(1) counts an i64 from 0 on");
  return success();
}

//===--------------------------------------------------------------------------------------------===//
// Access
//===--------------------------------------------------------------------------------------------===//

unsigned ScheduleAttr::operandCount() const { return llvm::count(getArguments(), Access::Read); }

Sharing ScheduleAttr::sharingOf(unsigned result, unsigned operand) const {
  for (PairAttr pair : getSharing())
    if (pair.getResult() == result && pair.getOperand() == operand)
      return pair.getSharing();
  return Sharing::None;
}

int64_t ScheduleAttr::flops() const {
  int64_t sum = 0;
  for (LaunchAttr launch : getLaunches())
    sum += launch.getFlops();
  return sum;
}

int64_t ScheduleAttr::bytes() const {
  int64_t sum = 0;
  for (LaunchAttr launch : getLaunches())
    sum += launch.getBytes();
  return sum;
}

ScheduleAttr scheduleOf(func::FuncOp function) {
  return function->getAttrOfType<ScheduleAttr>("kernel.schedule");
}

void setSchedule(func::FuncOp function, ScheduleAttr schedule) {
  function->setAttr("kernel.schedule", schedule);
}

bool isKernel(Operation *function) { return function->hasAttr("graph.kernel"); }

StringRef rootOf(Operation *function) {
  auto root = function->getAttrOfType<StringAttr>("graph.kernel");
  return root ? root.getValue() : StringRef();
}

std::string launchName(StringRef kernel, size_t launch) {
  return (kernel + "." + Twine(launch)).str();
}

static unsigned memoryBits(Type element) { return std::max(8u, element.getIntOrFloatBitWidth()); }

MemRefType memoryType(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  Type element = type.getElementType();
  if (isa<IntegerType>(element))
    element = IntegerType::get(element.getContext(), memoryBits(element));
  // Upstream gives up on the strides of a shape with a 0 in the middle.
  return type.getNumElements() ? MemRefType::get(type.getShape(), element)
                               : MemRefType::get({0}, element);
}

int64_t memoryBytes(Type tensor) {
  auto type = cast<RankedTensorType>(tensor);
  return type.getNumElements() * (memoryBits(type.getElementType()) / 8);
}

} // namespace ingot::kernel
