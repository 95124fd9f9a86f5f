#include "frontend/stablehlo/Syntax.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;

namespace ingot::stablehlo {
namespace {

using Ints = SmallVector<int64_t>;
using Operands = SmallVector<OpAsmParser::UnresolvedOperand>;

//===--------------------------------------------------------------------------------------------===//
// Values of short forms
//===--------------------------------------------------------------------------------------------===//

/// `[1, 2]`, `[DEFAULT, DEFAULT]`, `3`, `THREE_FRY`, `array<i64: 1>`.
ParseResult parseValue(AsmParser &parser, Attribute &value) {
  Builder &builder = parser.getBuilder();
  int64_t number = 0;
  if (OptionalParseResult found = parser.parseOptionalInteger(number); found.has_value()) {
    value = builder.getI64IntegerAttr(number);
    return *found;
  }
  if (failed(parser.parseOptionalLSquare())) {
    StringRef word;
    if (succeeded(parser.parseOptionalKeyword(&word))) {
      value = builder.getStringAttr(word);
      return success();
    }
    return parser.parseAttribute(value);
  }
  Ints numbers;
  SmallVector<Attribute> words;
  if (failed(parser.parseOptionalRSquare())) {
    auto parseElement = [&]() -> ParseResult {
      int64_t element = 0;
      StringRef word;
      if (OptionalParseResult found = parser.parseOptionalInteger(element); found.has_value()) {
        numbers.push_back(element);
        return *found;
      }
      if (failed(parser.parseKeyword(&word)))
        return failure();
      words.push_back(builder.getStringAttr(word));
      return success();
    };
    if (parser.parseCommaSeparatedList(parseElement) || parser.parseRSquare())
      return failure();
  }
  value = words.empty() ? Attribute(builder.getDenseI64ArrayAttr(numbers))
                        : Attribute(builder.getArrayAttr(words));
  return success();
}

/// `key = value`, or `key = left x right`.
ParseResult parsePair(AsmParser &parser, StringRef key, NamedAttrList &attributes) {
  Attribute value;
  if (parseValue(parser, value))
    return failure();
  attributes.set(key, value);
  if (failed(parser.parseOptionalKeyword("x")))
    return success();
  if (parseValue(parser, value))
    return failure();
  attributes.set((key + "_of_rhs").str(), value);
  return success();
}

/// ` [0:5, 0:8:2]`, whose bracket is open.
ParseResult parseRanges(AsmParser &parser, NamedAttrList &attributes) {
  Ints starts, limits, strides;
  auto parseRange = [&]() -> ParseResult {
    int64_t stride = 1;
    if (parser.parseInteger(starts.emplace_back()) || parser.parseColon() ||
        parser.parseInteger(limits.emplace_back()))
      return failure();
    if (succeeded(parser.parseOptionalColon()) && parser.parseInteger(stride))
      return failure();
    strides.push_back(stride);
    return success();
  };
  if (failed(parser.parseOptionalRSquare()))
    if (parser.parseCommaSeparatedList(parseRange) || parser.parseRSquare())
      return failure();
  Builder &builder = parser.getBuilder();
  attributes.set("starts", builder.getDenseI64ArrayAttr(starts));
  attributes.set("limits", builder.getDenseI64ArrayAttr(limits));
  attributes.set("strides", builder.getDenseI64ArrayAttr(strides));
  return success();
}

//===--------------------------------------------------------------------------------------------===//
// Types
//===--------------------------------------------------------------------------------------------===//

/// `(operands) -> results`, or types of which operands and results follow: one for all, one for
/// each, or a condition's and one for the others; `-> results` may follow these too.
ParseResult parseTypes(OpAsmParser &parser, bool hasResults, const Operands &operands,
                       OperationState &state) {
  SmallVector<Type> types;
  const SMLoc location = parser.getCurrentLocation();
  if (succeeded(parser.parseOptionalLParen())) {
    if (failed(parser.parseOptionalRParen()))
      if (parser.parseTypeList(types) || parser.parseRParen())
        return failure();
    if (parser.parseOptionalArrowTypeList(state.types))
      return failure();
    return parser.resolveOperands(operands, types, location, state.operands);
  }
  if (parser.parseTypeList(types) || parser.parseOptionalArrowTypeList(state.types))
    return failure();
  if (hasResults && state.types.empty()) {
    if (types.size() == operands.size() && types.size() > 1 && operands.size() != 2)
      state.addTypes(types); // of optimization_barrier: one for each
    else
      state.addTypes(types.back());
  }
  while (types.size() < operands.size())
    types.push_back(types.back());
  types.truncate(operands.size());
  return parser.resolveOperands(operands, types, location, state.operands);
}

//===--------------------------------------------------------------------------------------------===//
// Ops
//===--------------------------------------------------------------------------------------------===//

/// `dense<…> : tensor<…>`.
ParseResult parseConstant(OpAsmParser &parser, OperationState &state) {
  TypedAttr value;
  if (parser.parseOptionalAttrDict(state.attributes) ||
      parser.parseAttribute(value, "value", state.attributes))
    return failure();
  state.addTypes(value.getType());
  return success();
}

/// `(%x init: %start), … [applies stablehlo.add] across dimensions = [1] : type
///  [reducer(%a: t, %b: t) … { … }]`.
ParseResult parseReduce(OpAsmParser &parser, OperationState &state) {
  Operands operands, starts;
  auto parseOperand = [&]() -> ParseResult {
    return failure(parser.parseLParen() || parser.parseOperand(operands.emplace_back()) ||
                   parser.parseKeyword("init") || parser.parseColon() ||
                   parser.parseOperand(starts.emplace_back()) || parser.parseRParen());
  };
  if (parser.parseCommaSeparatedList(parseOperand))
    return failure();
  llvm::append_range(operands, starts);
  if (succeeded(parser.parseOptionalKeyword("applies"))) {
    StringRef op;
    if (parser.parseKeyword(&op))
      return failure();
    state.addAttribute("applies", parser.getBuilder().getStringAttr(op));
  }
  if (parser.parseKeyword("across") || parser.parseKeyword("dimensions") || parser.parseEqual() ||
      parsePair(parser, "dimensions", state.attributes) ||
      parser.parseOptionalAttrDict(state.attributes) || parser.parseColon() ||
      parseTypes(parser, true, operands, state))
    return failure();
  Region *region = state.addRegion();
  if (failed(parser.parseOptionalKeyword("reducer")))
    return success();
  SmallVector<OpAsmParser::Argument> left, right;
  while (succeeded(parser.parseOptionalLParen()))
    if (parser.parseArgument(left.emplace_back(), /*allowType=*/true) || parser.parseComma() ||
        parser.parseArgument(right.emplace_back(), /*allowType=*/true) || parser.parseRParen())
      return failure();
  llvm::append_range(left, right);
  return parser.parseRegion(*region, left);
}

/// `(%a = %x, …) : types [attributes {…}] cond { … } do { … }`.
ParseResult parseWhile(OpAsmParser &parser, OperationState &state) {
  SmallVector<OpAsmParser::Argument> arguments;
  Operands operands;
  const SMLoc location = parser.getCurrentLocation();
  auto parseCarried = [&]() -> ParseResult {
    return failure(parser.parseArgument(arguments.emplace_back()) || parser.parseEqual() ||
                   parser.parseOperand(operands.emplace_back()));
  };
  if (parser.parseLParen())
    return failure();
  if (failed(parser.parseOptionalRParen()))
    if (parser.parseCommaSeparatedList(parseCarried) || parser.parseRParen() ||
        parser.parseColon() || parser.parseTypeList(state.types))
      return failure();
  if (parser.resolveOperands(operands, state.types, location, state.operands) ||
      parser.parseOptionalAttrDictWithKeyword(state.attributes))
    return failure();
  for (auto [argument, type] : llvm::zip_equal(arguments, state.types))
    argument.type = type;
  return failure(parser.parseKeyword("cond") || parser.parseRegion(*state.addRegion(), arguments) ||
                 parser.parseKeyword("do") || parser.parseRegion(*state.addRegion(), arguments));
}

/// Operands, keywords, ranges and pairs, in brackets or not, then types.
ParseResult parseOther(OpAsmParser &parser, OperationState &state) {
  Operands operands;
  SmallVector<Attribute> words;
  const bool isEnclosed = succeeded(parser.parseOptionalLParen());
  do {
    OpAsmParser::UnresolvedOperand operand;
    if (OptionalParseResult found = parser.parseOptionalOperand(operand); found.has_value()) {
      if (failed(*found))
        return failure();
      operands.push_back(operand);
      if (succeeded(parser.parseOptionalLSquare()) && parseRanges(parser, state.attributes))
        return failure();
      continue;
    }
    StringRef word;
    if (failed(parser.parseOptionalKeyword(&word)))
      break;
    if (failed(parser.parseOptionalEqual()))
      words.push_back(parser.getBuilder().getStringAttr(word));
    else if (parsePair(parser, word, state.attributes))
      return failure();
  } while (succeeded(parser.parseOptionalComma()));
  if (isEnclosed && parser.parseRParen())
    return failure();
  if (!words.empty())
    state.addAttribute("words", parser.getBuilder().getArrayAttr(words));
  const bool isReturn = state.name.getStringRef() == "stablehlo.return";
  if (parser.parseOptionalAttrDict(state.attributes))
    return failure();
  if (isReturn && operands.empty())
    return success();
  return failure(parser.parseColon() || parseTypes(parser, !isReturn, operands, state));
}

ParseResult parseOp(OpAsmParser &parser, OperationState &state) {
  const StringRef op = state.name.getStringRef();
  if (op == "stablehlo.constant")
    return parseConstant(parser, state);
  if (op == "stablehlo.reduce")
    return parseReduce(parser, state);
  if (op == "stablehlo.while")
    return parseWhile(parser, state);
  return parseOther(parser, state);
}

} // namespace

StablehloDialect::StablehloDialect(MLIRContext *context)
    : Dialect(getDialectNamespace(), context, TypeID::get<StablehloDialect>()) {
  allowUnknownOperations();
}

/// `#stablehlo.gather<key = value, …>` as a dictionary, `#stablehlo<precision DEFAULT>` as a word.
Attribute StablehloDialect::parseAttribute(DialectAsmParser &parser, Type) const {
  StringRef name, word;
  if (parser.parseKeyword(&name))
    return {};
  if (succeeded(parser.parseOptionalKeyword(&word)))
    return parser.getBuilder().getStringAttr(word);
  NamedAttrList attributes;
  auto parseField = [&]() -> ParseResult {
    StringRef key;
    return failure(parser.parseKeyword(&key) || parser.parseEqual() ||
                   parsePair(parser, key, attributes));
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::LessGreater, parseField))
    return {};
  return attributes.getDictionary(getContext());
}

std::optional<Dialect::ParseOpHook> StablehloDialect::getParseOperationHook(StringRef) const {
  return ParseOpHook(parseOp);
}

ChloDialect::ChloDialect(MLIRContext *context)
    : Dialect(getDialectNamespace(), context, TypeID::get<ChloDialect>()) {
  allowUnknownOperations();
}

std::optional<Dialect::ParseOpHook> ChloDialect::getParseOperationHook(StringRef) const {
  return ParseOpHook(parseOp);
}

} // namespace ingot::stablehlo
