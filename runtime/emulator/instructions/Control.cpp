/// bra, brx.idx, call, ret, exit, trap and what does nothing.
#include "runtime/emulator/machine/Control.h"
#include "runtime/emulator/machine/Compile.h"
#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/Lanes.h"
#include "runtime/emulator/machine/SystemCalls.h"
#include <bit>

namespace ingot::emulator {

using ptx::Operand;

namespace {

void runBranch(Warp &warp, const Instruction &in, uint32_t mask) { warp.branch(mask, in.target); }

void runUniformBranch(Warp &warp, const Instruction &in, uint32_t mask) {
  if (mask != warp.active)
    warp.report(in, mask, "divergent-uniform",
                "bra.uni is taken by some lanes of the warp and not by others");
  warp.branch(mask, in.target);
}

Handler decodeBra(Decoder &d) {
  d.classify(Class::Control);
  const bool uniform = d.flag("uni");
  const Operand *target = d.takeOperand();
  if (!target)
    return nullptr;
  d.instruction().target = d.label(*target);
  return uniform ? runUniformBranch : runBranch;
}

void runBranchIndexed(Warp &warp, const Instruction &in, uint32_t mask) {
  const auto &targets = *static_cast<const std::vector<uint32_t> *>(in.extra);
  const auto *index = warp.reg<uint32_t>(in.slots[0]);
  // The lanes that the guard leaves out go on behind the instruction.
  for (uint32_t left = mask; left;) {
    const uint32_t first = index[std::countr_zero(left)];
    uint32_t same = 0;
    for (uint32_t rest = left; rest; rest &= rest - 1) {
      const int lane = std::countr_zero(rest);
      same |= uint32_t(index[lane] == first) << lane;
    }
    left &= ~same;
    if (first >= targets.size()) {
      warp.report(in, same, "branch-index",
                  fmt::format("index {} into a table of {} labels", first, targets.size()));
      warp.launch->stopped = true;
      warp.yieldNow();
      return;
    }
    warp.branch(same, targets[first]);
  }
}

Handler decodeBrx(Decoder &d) {
  d.classify(Class::Control);
  if (!d.flag("idx"))
    return nullptr;
  d.flag("uni");
  d.read(Type::U32);
  const Operand *list = d.takeOperand();
  if (!list)
    return nullptr;
  const auto entity = d.inFunction().find(d.text().scope, list->name);
  if (!entity || entity->kind != ptx::Entity::Kind::Targets)
    return d.fail(fmt::format("'{}' is no list of .branchtargets", list->name));
  std::vector<uint32_t> targets;
  for (const std::string_view name : d.inFunction().targets[entity->index])
    targets.push_back(d.label(name));
  d.instruction().extra = d.make(std::move(targets));
  return runBranchIndexed;
}

void runExit(Warp &warp, const Instruction &in, uint32_t mask) { warp.exit(mask); }

Handler decodeExit(Decoder &d) {
  d.classify(Class::Control);
  return runExit;
}

Handler decodeRet(Decoder &d) {
  d.classify(Class::Control);
  d.flag("uni");
  return runReturn;
}

void runTrap(Warp &warp, const Instruction &in, uint32_t mask) {
  warp.report(in, mask, "trap", "the kernel executed trap");
  warp.launch->stopped = true;
  warp.yieldNow();
}

Handler decodeTrap(Decoder &d) {
  d.classify(Class::Control);
  return runTrap;
}

// Calls.

struct Call {
  const CompiledFunction *function = nullptr; ///< null: through `address`
  const CompiledKernel *kernel = nullptr;
  Slot address = noSlot;
  SystemCall system = nullptr;
  std::vector<Place> arguments, results;
};

std::byte *localOf(Warp &warp, const Frame &frame, int lane, int64_t offset) {
  return warp.local.data() + lane * warp.localStride + frame.localBase + offset;
}

int64_t rowBytes(int64_t bytes) { return bytes <= 2 ? 2 : bytes <= 4 ? 4 : 8; }

/// A value of a lane, copied between two frames.
void copyValue(Warp &warp, int lane, const Frame &from, const Place &source, const Frame &to,
               const Place &target) {
  std::byte *in = source.slot != noSlot
                      ? from.registers + source.slot + lane * rowBytes(source.bytes)
                      : localOf(warp, from, lane, source.local);
  std::byte *out = target.slot != noSlot
                       ? to.registers + target.slot + lane * rowBytes(target.bytes)
                       : localOf(warp, to, lane, target.local);
  std::memcpy(out, in, std::min(source.bytes, target.bytes));
}

void callFunction(Warp &warp, const Instruction &in, uint32_t mask, const Call &call,
                  const CompiledFunction &function) {
  const std::vector<Place> &parameters = function.parameters;
  if (parameters.size() < call.arguments.size()) {
    warp.report(in, mask, "call-signature",
                fmt::format("'{}' takes {} arguments, the call passes {}", function.source->name,
                            parameters.size(), call.arguments.size()));
    warp.launch->stopped = true;
    return warp.yieldNow();
  }
  const Frame &caller = *warp.frame;
  warp.call(function, mask);
  if (warp.launch->stopped)
    return;
  for (uint32_t left = mask; left; left &= left - 1)
    for (size_t i = 0; i < call.arguments.size(); ++i)
      copyValue(warp, std::countr_zero(left), caller, call.arguments[i], *warp.frame,
                parameters[i]);
}

void runCall(Warp &warp, const Instruction &in, uint32_t mask) {
  const Call &call = *static_cast<const Call *>(in.extra);
  if (call.system) {
    std::vector<std::byte *> arguments, results;
    for (uint32_t left = mask; left; left &= left - 1) {
      const int lane = std::countr_zero(left);
      const auto locate = [&](const Place &passed) {
        return passed.slot != noSlot ? warp.registers + passed.slot + lane * rowBytes(passed.bytes)
                                     : localOf(warp, *warp.frame, lane, passed.local);
      };
      arguments.clear();
      results.clear();
      for (const Place &passed : call.arguments)
        arguments.push_back(locate(passed));
      for (const Place &passed : call.results)
        results.push_back(locate(passed));
      call.system(warp, in, lane, arguments, results);
    }
    return;
  }
  if (call.function)
    return callFunction(warp, in, mask, call, *call.function);
  // Through a register: the first lane's function now, the other lanes run the call again.
  const auto *address = warp.reg<uint64_t>(call.address);
  const uint64_t first = address[std::countr_zero(mask)];
  uint32_t same = 0;
  for (uint32_t left = mask; left; left &= left - 1) {
    const int lane = std::countr_zero(left);
    same |= uint32_t(address[lane] == first) << lane;
  }
  const auto function = call.kernel->byAddress.find(first);
  if (function == call.kernel->byAddress.end()) {
    warp.report(in, same, "call-address", fmt::format("there is no function at {:#x}", first),
                first);
    warp.launch->stopped = true;
    return warp.yieldNow();
  }
  if (mask != same)
    warp.branch(mask & ~same, in.index);
  callFunction(warp, in, same, call, *function->second);
}

} // namespace

// Copies results into the caller's frame, then returns.
void runReturn(Warp &warp, const Instruction &instruction, uint32_t mask) {
  const Frame &frame = *warp.frame;
  if (frame.caller) {
    const auto &call =
        *static_cast<const Call *>(frame.caller->function->code[frame.returnPc - 1].extra);
    const std::vector<Place> &results = frame.function->results;
    for (uint32_t left = mask; left; left &= left - 1)
      for (size_t i = 0; i < std::min(results.size(), call.results.size()); ++i)
        copyValue(warp, std::countr_zero(left), frame, results[i], *frame.caller, call.results[i]);
  }
  warp.ret(mask);
}

namespace {

/// A constant argument as the parameter's type has it; 64 bits where that is not known.
Place passedConstant(Decoder &d, const Operand &operand, Type type) {
  Place passed;
  uint64_t bits = operand.bits;
  if (operand.isFloat && type == Type::F32)
    bits = std::bit_cast<uint32_t>(float(std::bit_cast<double>(bits)));
  else if (operand.isFloat32 && type == Type::F64)
    bits = std::bit_cast<uint64_t>(double(std::bit_cast<float>(uint32_t(bits))));
  passed.bytes = type == Type::None ? 8 : bytesOf(type);
  passed.slot = d.constant(bits, passed.bytes <= 2 ? 16 : int(8 * passed.bytes));
  return passed;
}

/// What is between '(' and ')', as places in the caller's frame. `signature`: of the function.
bool passedValues(Decoder &d, const Operand &list, const ptx::Signature *signature,
                  std::vector<Place> &into, bool written) {
  for (const Operand &operand : list.elements) {
    Place passed;
    if (operand.kind == Operand::Kind::Register) {
      const Type type = d.inFunction().registers[operand.index].type;
      passed.slot = written ? d.write(operand, type) : d.read(operand, type);
      passed.bytes = bytesOf(type);
    } else if (operand.kind == Operand::Kind::Immediate && !written) {
      passed = passedConstant(d, operand,
                              signature && into.size() < signature->parameters.size()
                                  ? signature->parameters[into.size()].variable.type
                                  : Type::None);
    } else {
      const auto entity = d.inFunction().find(d.text().scope, operand.name);
      const int64_t offset = entity && entity->kind == ptx::Entity::Kind::Variable
                                 ? d.compiledFunction().variableOffsets[entity->index]
                                 : -1;
      if (offset < 0) {
        d.fail(fmt::format("'{}' is no .param variable of this function", operand.name));
        return false;
      }
      passed.local = offset;
      passed.bytes = d.inFunction().variables[entity->index].bytes;
    }
    into.push_back(passed);
  }
  return true;
}

Handler decodeCall(Decoder &d) {
  d.classify(Class::Control);
  d.flag("uni");
  Call call;
  const Operand *operand = d.takeOperand();
  const Operand *results = nullptr;
  if (operand && operand->kind == Operand::Kind::List) {
    results = operand;
    operand = d.takeOperand();
  }
  if (!operand)
    return nullptr;
  const Operand &callee = *operand;
  const ptx::Function *direct = callee.kind == Operand::Kind::Symbol
                                    ? d.kernel().image.module->function(callee.name)
                                    : nullptr;
  const ptx::Signature *signature = direct ? &direct->signature : nullptr;
  if (const Operand *arguments = d.peekOperand();
      arguments && arguments->kind == Operand::Kind::List) {
    d.takeOperand();
    if (!passedValues(d, *arguments, signature, call.arguments, false))
      return nullptr;
  }
  if (results && !passedValues(d, *results, signature, call.results, true))
    return nullptr;
  call.kernel = d.kernel().kernel.get();
  if (callee.kind == Operand::Kind::Register) {
    call.address = d.read(callee, Type::U64);
    if (d.operandsLeft())
      d.takeOperand(); // the prototype or the list of possible functions
  } else if (callee.kind == Operand::Kind::Symbol) {
    const ptx::Function *function = direct;
    if (!function)
      return d.fail(fmt::format("there is no function '{}'", callee.name));
    call.function = d.kernel().reach(*function);
    if (!call.function)
      call.system = findSystemCall(callee.name, call.arguments.size());
    if (!call.function && !call.system)
      return d.fail(fmt::format("function '{}' has no body", callee.name));
    if (call.function && function->signature.parameters.size() != call.arguments.size())
      return d.fail(fmt::format("'{}' takes {} arguments", callee.name,
                                function->signature.parameters.size()));
    if (call.function && function->signature.results.size() != call.results.size())
      return d.fail(
          fmt::format("'{}' has {} results", callee.name, function->signature.results.size()));
  } else {
    return d.fail("a function is needed");
  }
  d.instruction().extra = d.make(std::move(call));
  return runCall;
}

void runNothing(Warp &warp, const Instruction &in, uint32_t mask) {}
void runYield(Warp &warp, const Instruction &in, uint32_t mask) { warp.yieldNow(); }

Handler decodeNanosleep(Decoder &d) {
  d.classify(Class::Control);
  if (d.type() != Type::U32)
    return nullptr;
  d.read(Type::U32);
  return runYield;
}

/// One grid runs at a time, after all that it depends on.
Handler decodeGridDependency(Decoder &d) {
  d.classify(Class::Control);
  return d.oneOf({"launch_dependents", "wait"}) < 0 ? nullptr : runNothing;
}

Handler decodeBreakpoint(Decoder &d) {
  d.classify(Class::Control);
  return runNothing;
}

Handler decodePmevent(Decoder &d) {
  d.classify(Class::Control);
  d.flag("mask");
  d.integer();
  return runNothing;
}

constexpr InstructionRow rows[] = {
    {"bra", decodeBra},
    {"brx", decodeBrx},
    {"exit", decodeExit},
    {"ret", decodeRet},
    {"trap", decodeTrap},
    {"call", decodeCall},
    {"nanosleep", decodeNanosleep},
    {"griddepcontrol", decodeGridDependency},
    {"brkpt", decodeBreakpoint},
    {"pmevent", decodePmevent},
};

} // namespace

Family controlFamily() { return rows; }

} // namespace ingot::emulator
