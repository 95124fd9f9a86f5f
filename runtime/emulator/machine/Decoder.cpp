#include "runtime/emulator/machine/Compile.h"
#include "runtime/emulator/machine/SpecialRegisters.h"
#include <algorithm>
#include <bit>

namespace ingot::emulator {

using ptx::Operand;

// Modifiers.

bool Decoder::flag(std::string_view name) {
  for (size_t i = 0; i < source.modifiers.size(); ++i)
    if (source.modifiers[i] == name && !(taken >> i & 1)) {
      taken |= uint64_t(1) << i;
      return true;
    }
  return false;
}

int Decoder::oneOf(std::initializer_list<std::string_view> names) {
  int number = 0;
  for (std::string_view name : names) {
    if (flag(name))
      return number;
    ++number;
  }
  return -1;
}

std::string_view Decoder::peekModifier() const {
  for (size_t i = 0; i < source.modifiers.size(); ++i)
    if (!(taken >> i & 1))
      return source.modifiers[i];
  return {};
}

std::string_view Decoder::nextModifier() {
  const std::string_view name = peekModifier();
  if (!name.empty())
    flag(name);
  return name;
}

Type Decoder::type() {
  const std::optional<Type> type = parseType(peekModifier());
  if (!type)
    return Type::None;
  nextModifier();
  return *type;
}

Decoder::Target Decoder::target() const {
  const std::string_view name = compiler.image.module->target;
  Target result;
  for (const char c : name)
    if (c >= '0' && c <= '9')
      result.number = 10 * result.number + (c - '0');
    else if (result.number)
      result.suffix = c;
  return result;
}

bool Decoder::needsTarget(int number) {
  if (target().number >= number)
    return true;
  fail(fmt::format("sm_{} or newer is needed, the target is {}", number,
                   compiler.image.module->target));
  return false;
}

bool Decoder::needsSpecificTarget(std::initializer_list<int> numbers, bool families) {
  const Target own = target();
  if ((own.suffix == 'a' || (families && own.suffix == 'f')) &&
      std::find(numbers.begin(), numbers.end(), own.number) != numbers.end())
    return true;
  std::string names;
  for (const int number : numbers)
    names += fmt::format("{}sm_{}a", names.empty() ? "" : ", ", number);
  fail(fmt::format("one of {} is needed, the target is {}", names, compiler.image.module->target));
  return false;
}

// Operands.

Handler Decoder::fail(std::string text) {
  if (message.empty())
    message = std::move(text);
  return nullptr;
}

const Operand *Decoder::peekOperand() const {
  return nextOperand < source.operands.size() ? &source.operands[nextOperand] : nullptr;
}

const Operand *Decoder::takeOperand() { return next("an operand"); }

const Operand *Decoder::next(std::string_view what) {
  if (nextOperand < source.operands.size())
    return &source.operands[nextOperand++];
  fail(fmt::format("{} is missing", what));
  return nullptr;
}

Slot Decoder::constant(uint64_t bits, int width) {
  if (width < 64)
    bits &= (uint64_t(1) << width) - 1;
  auto [place, fresh] = compiler.layout.constants.try_emplace({bits, width}, 0);
  if (fresh) {
    place->second = compiler.layout.allocate(width);
    compiler.layout.fills.push_back({place->second, {bits, width}});
  }
  return place->second;
}

Slot Decoder::scratch(int bits) { return compiler.layout.allocate(bits); }

void Decoder::own(std::shared_ptr<void> pointer) {
  compiler.kernel->owned.push_back(std::move(pointer));
}

Slot Decoder::symbolAddress(const Operand &operand, int bits) {
  const auto entity = function.source->find(source.scope, operand.name);
  const ptx::Variable *variable = nullptr;
  if (entity && entity->kind == ptx::Entity::Kind::Variable) {
    variable = &function.source->variables[entity->index];
    if (function.variableOffsets[entity->index] >= 0) {
      const Slot slot = compiler.layout.allocate(bits);
      FrameValue value;
      value.kind = FrameValue::Kind::LocalAddress;
      value.addend = function.variableOffsets[entity->index] + operand.offset;
      value.slot = slot;
      value.bits = bits;
      function.values.push_back(value);
      return slot;
    }
    if (variable->space == Space::Param)
      for (const auto &parameter : compiler.kernel->parameters)
        if (parameter.name == variable->name)
          return constant(uint64_t(parameter.offset + operand.offset), bits);
  } else if (!entity) {
    variable = compiler.image.module->variable(operand.name);
  }
  if (!variable) {
    if (const ptx::Function *called = compiler.image.module->function(operand.name);
        called && !entity) {
      if (!compiler.reach(*called) && !called->isKernel)
        fail(fmt::format("function '{}' has no body", operand.name));
      return constant(compiler.image.functionAddress(*called) + operand.offset, bits);
    }
    fail(fmt::format("'{}' is not declared", operand.name));
    return 0;
  }
  if (variable->space == Space::Shared) {
    FrameValue value;
    value.kind = FrameValue::Kind::SharedAddress;
    value.index = compiler.sharedVariable(*variable);
    value.addend = operand.offset;
    value.bits = bits;
    value.slot = compiler.layout.allocate(bits);
    function.values.push_back(value);
    return value.slot;
  }
  const uint64_t address = compiler.image.variableAddress(*variable);
  if (!address)
    fail(fmt::format("variable '{}' has no storage in this module", operand.name));
  return constant(address + operand.offset, bits);
}

/// A register's slot, or one that holds the value of another kind of operand, `bits` wide.
Slot Decoder::registerSlot(const Operand &operand, int &bits, bool written) {
  if (operand.negated || operand.minus)
    fail(fmt::format("'{}' cannot be negated here", operand.name));
  if (!operand.selector.empty())
    fail(fmt::format("'{}.{}': only video instructions select parts of registers", operand.name,
                     operand.selector));
  if (operand.kind == Operand::Kind::Register) {
    bits = bitsOf(function.source->registers[operand.index].type);
    const Slot slot = compiler.layout.registers[operand.index];
    detail.uses.push_back({slot, uint16_t(bits), written});
    return slot;
  }
  if (written && operand.kind == Operand::Kind::Sink)
    return scratch(bits);
  if (written) {
    fail("a register is needed to write to");
    return 0;
  }
  switch (operand.kind) {
  case Operand::Kind::Special: {
    const int row = findSpecialRegister(operand.name);
    if (row < 0) {
      fail(fmt::format("'{}' is not declared", operand.name));
      return 0;
    }
    const SpecialRegister &special = specialRegister(row);
    if (operand.name.starts_with("%reserved_smem_offset"))
      compiler.kernel->reservedSharedBytes = reservedSharedBytes;
    if (special.isVolatile) {
      fail(fmt::format("'{}' can only be read by mov", operand.name));
      return 0;
    }
    const int wanted = special.bits == 1 ? 1 : bits;
    auto [place, fresh] = compiler.layout.specials.try_emplace({row, wanted}, 0);
    if (fresh) {
      FrameValue value;
      value.special = row;
      value.slot = place->second = compiler.layout.allocate(wanted);
      value.bits = wanted;
      function.values.push_back(value);
    }
    return place->second;
  }
  case Operand::Kind::Symbol:
    return symbolAddress(operand, bits);
  default:
    fail("a register or a constant is needed");
    return 0;
  }
}

namespace {

std::string widthError(const ptx::Instruction &source, const Operand &operand, int bits,
                       Type type) {
  return fmt::format("'{}' has {} bits, .{} needs {}", operand.name, bits, typeName(type),
                     bitsOf(type));
}

/// Bits of an immediate as a register of the type holds them; nothing if it does not fit the kind.
std::optional<uint64_t> immediateAs(const Operand &operand, Type type) {
  if (operand.isFloat || operand.isFloat32) {
    const double value = operand.isFloat ? std::bit_cast<double>(operand.bits)
                                         : double(std::bit_cast<float>(uint32_t(operand.bits)));
    if (bitsOf(type) == 64)
      return std::bit_cast<uint64_t>(value);
    // 0f… keeps its bits, NaN included.
    if (bitsOf(type) == 32)
      return operand.isFloat32 ? operand.bits : std::bit_cast<uint32_t>(float(value));
    return std::nullopt;
  }
  if (type == Type::F32 || type == Type::F64)
    return std::nullopt;
  return operand.bits;
}

} // namespace

Slot Decoder::readWide(const Operand &operand, Type type, int &bits) {
  bits = bitsOf(type);
  Slot slot = 0;
  if (operand.kind == Operand::Kind::Immediate) {
    const std::optional<uint64_t> value = immediateAs(operand, type);
    if (!value)
      fail(fmt::format("the constant is no .{}", typeName(type)));
    slot = constant(value.value_or(0), bits);
  } else {
    slot = registerSlot(operand, bits, false);
    if (bits < bitsOf(type))
      fail(widthError(source, operand, bits, type));
  }
  slots.push_back(slot);
  return slot;
}

Slot Decoder::writeWide(const Operand &operand, Type type, int &bits) {
  bits = bitsOf(type);
  const Slot slot = registerSlot(operand, bits, true);
  if (bits < bitsOf(type))
    fail(widthError(source, operand, bits, type));
  slots.push_back(slot);
  return slot;
}

Slot Decoder::read(const Operand &operand, Type type) {
  int bits = 0;
  const Slot slot = readWide(operand, type, bits);
  // 8-bit values live in 16-bit registers.
  if (bits != bitsOf(type) && !(bitsOf(type) == 8 && bits == 16))
    fail(widthError(source, operand, bits, type));
  return slot;
}

Slot Decoder::write(const Operand &operand, Type type) {
  int bits = 0;
  const Slot slot = writeWide(operand, type, bits);
  if (bits != bitsOf(type) && !(bitsOf(type) == 8 && bits == 16))
    fail(widthError(source, operand, bits, type));
  return slot;
}

Slot Decoder::read(Type type) {
  const Operand *operand = next("a source operand");
  return operand ? read(*operand, type) : 0;
}
Slot Decoder::write(Type type) {
  const Operand *operand = next("a destination operand");
  return operand ? write(*operand, type) : 0;
}
Slot Decoder::readWide(Type type, int &bits) {
  const Operand *operand = next("a source operand");
  return operand ? readWide(*operand, type, bits) : 0;
}
Slot Decoder::writeWide(Type type, int &bits) {
  const Operand *operand = next("a destination operand");
  return operand ? writeWide(*operand, type, bits) : 0;
}

Slot Decoder::readPredicate(bool &negated) {
  const Operand *operand = next("a source operand");
  if (!operand)
    return 0;
  negated = operand->negated;
  Operand plain = *operand;
  plain.negated = false;
  return read(plain, Type::Pred);
}
Slot Decoder::readPredicate() { return readPredicate(result.negated); }
Slot Decoder::writePredicate() { return write(Type::Pred); }

int64_t Decoder::integer() {
  const Operand *operand = next("a constant");
  if (!operand)
    return 0;
  if (operand->kind != Operand::Kind::Immediate || operand->isFloat || operand->isFloat32) {
    fail("an integer constant is needed");
    return 0;
  }
  return int64_t(operand->bits);
}

int Decoder::readVector(Type type) {
  const Operand *operand = next("a source operand");
  if (!operand)
    return 0;
  if (operand->kind != Operand::Kind::Vector) {
    read(*operand, type);
    return 1;
  }
  for (const Operand &element : operand->elements)
    read(element, type);
  return int(operand->elements.size());
}

int Decoder::writeVector(Type type) {
  const Operand *operand = next("a destination operand");
  if (!operand)
    return 0;
  if (operand->kind != Operand::Kind::Vector) {
    write(*operand, type);
    return 1;
  }
  for (const Operand &element : operand->elements)
    write(element, type);
  return int(operand->elements.size());
}

Address Decoder::address(Space space) {
  const Operand *operand = next("an address");
  return operand ? address(*operand, space) : Address();
}

Address Decoder::address(const Operand &operand, Space space) {
  Address result;
  if (operand.kind != Operand::Kind::Address) {
    fail("an address in brackets is needed");
    return result;
  }
  const Operand &base = operand.elements[0];
  result.offset = operand.offset;
  if (base.kind == Operand::Kind::Symbol) {
    const auto entity = function.source->find(source.scope, base.name);
    const ptx::Variable *variable = entity && entity->kind == ptx::Entity::Kind::Variable
                                        ? &function.source->variables[entity->index]
                                    : entity ? nullptr
                                             : compiler.image.module->variable(base.name);
    if (!variable) {
      fail(fmt::format("'{}' is no variable", base.name));
      return result;
    }
    if (space != Space::Generic && variable->space != space &&
        !(space == Space::SharedCluster && variable->space == Space::Shared))
      fail(fmt::format("'{}' is a .{} variable", base.name, spaceName(variable->space)));
    if (variable->space == Space::Param) {
      if (function.variableOffsets[entity->index] >= 0) {
        result.localParameter = true;
      } else {
        result.kernelParameter = true;
        for (const auto &parameter : compiler.kernel->parameters)
          if (parameter.name == variable->name)
            result.offset += parameter.offset;
        return result;
      }
    }
    result.base = symbolAddress(base, 64);
    slots.push_back(result.base);
    return result;
  }
  if (base.kind == Operand::Kind::Immediate) {
    result.base = constant(base.bits, 64);
    slots.push_back(result.base);
    return result;
  }
  int bits = 64;
  result.base = registerSlot(base, bits, false);
  if (bits != 64 && bits != 32)
    fail("an address has 32 or 64 bits");
  result.wide = bits == 64;
  result.localParameter = space == Space::Param && !function.source->isKernel;
  slots.push_back(result.base);
  return result;
}

uint32_t Decoder::label(std::string_view name) {
  const auto entity = function.source->find(source.scope, name);
  if (!entity || entity->kind != ptx::Entity::Kind::Label) {
    fail(fmt::format("there is no label '{}'", name));
    return 0;
  }
  return uint32_t(entity->index);
}

uint32_t Decoder::label(const Operand &operand) {
  if (operand.kind != Operand::Kind::Symbol) {
    fail("a label is needed");
    return 0;
  }
  return label(operand.name);
}

void Decoder::finish() {
  if (failed())
    return;
  if (const std::string_view left = peekModifier(); !left.empty())
    fail(fmt::format("unknown modifier '.{}'", left));
  else if (nextOperand < source.operands.size())
    fail("too many operands");
  if (source.modifiers.size() > 60)
    fail("too many modifiers");
}

} // namespace ingot::emulator
