#include "runtime/emulator/machine/Compile.h"
#include "runtime/emulator/machine/Control.h"
#include "runtime/emulator/machine/Machine.h"
#include <algorithm>

namespace ingot::emulator {
namespace {

int64_t roundUp(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

/// Whether an instruction looks for what others do: an atomic, a volatile or acquiring load, a test
/// of a memory barrier.
bool polls(const ptx::Instruction &text) {
  if (text.opcode == "atom" || text.opcode == "mbarrier")
    return true;
  return text.opcode == "ld" &&
         std::any_of(text.modifiers.begin(), text.modifiers.end(), [](std::string_view modifier) {
           return modifier == "volatile" || modifier == "acquire" || modifier == "relaxed";
         });
}

/// Short loops that poll must let others run early: see Warp::branch.
void markPollingLoops(CompiledFunction &function) {
  constexpr uint32_t longest = 64;
  const auto &text = function.source->instructions;
  for (uint32_t i = 0; i < text.size(); ++i) {
    Instruction &branch = function.code[i];
    if (text[i].opcode != "bra" || branch.target > i || i - branch.target > longest)
      continue;
    if (std::any_of(text.begin() + branch.target, text.begin() + i, polls))
      branch.mode = pollingBranch;
  }
}

/// Registers start with a pattern that is neither zero nor a small number.
constexpr std::byte poison{0xcd};

} // namespace

Slot FrameLayout::allocate(int bits) {
  if (bits == 1) {
    if (predicates % registerAlignment == 0) {
      predicates = bytes;
      bytes += registerAlignment;
    }
    const Slot slot = predicates;
    predicates += sizeof(uint32_t);
    return slot;
  }
  const Slot slot = bytes;
  const int size = bits <= 16   ? 2 * lanes
                   : bits <= 32 ? 4 * lanes
                   : bits <= 64 ? 8 * lanes
                                : 16 * lanes;
  bytes += uint32_t(roundUp(size, registerAlignment));
  return slot;
}

uint64_t ModuleImage::variableAddress(const ptx::Variable &variable) const {
  const auto found = variables.find(&variable);
  return found == variables.end() ? 0 : found->second;
}

uint64_t ModuleImage::functionAddress(const ptx::Function &function) const {
  for (size_t i = 0; i < module->functions.size(); ++i)
    if (module->functions[i].get() == &function)
      return functionWindow + 16 * (i + 1);
  return 0;
}

tl::unexpected<Error> KernelCompiler::error(int line, std::string_view text,
                                            std::string_view message) const {
  return failure(Error::Code::Unsupported, fmt::format("{}:{}", image.module->name, line),
                 "kernel '{}': {}: {}", source.name, message, text);
}

CompiledFunction *KernelCompiler::reach(const ptx::Function &function) {
  if (!function.isDefined)
    return nullptr;
  CompiledFunction *&compiled = known[&function];
  if (!compiled) {
    kernel->functions.push_back(std::make_unique<CompiledFunction>());
    compiled = kernel->functions.back().get();
    compiled->source = &function;
    compiled->kernel = kernel.get();
    pending.push_back(compiled);
    kernel->byAddress[image.functionAddress(function)] = compiled;
  }
  return compiled;
}

int KernelCompiler::sharedVariable(const ptx::Variable &variable) {
  for (size_t i = 0; i < kernel->shared.size(); ++i)
    if (kernel->shared[i].variable == &variable)
      return int(i);
  kernel->shared.push_back({&variable, 0});
  return int(kernel->shared.size()) - 1;
}

void KernelCompiler::layOutParameters() {
  for (const ptx::Signature::Parameter &parameter : source.signature.parameters) {
    const ptx::Variable &variable = parameter.variable;
    const int64_t offset = roundUp(kernel->parameterBytes, variable.alignment);
    kernel->parameters.push_back({variable.name, variable.type, offset, variable.bytes});
    kernel->parameterBytes = offset + variable.bytes;
  }
}

void KernelCompiler::layOutShared() {
  int64_t dynamicAlignment = 16;
  int64_t end = kernel->reservedSharedBytes;
  for (SharedVariable &shared : kernel->shared) {
    const ptx::Variable &variable = *shared.variable;
    if (variable.isExtern && variable.bytes == 0) {
      dynamicAlignment = std::max(dynamicAlignment, variable.alignment);
      continue;
    }
    shared.offset = roundUp(end, variable.alignment);
    end = shared.offset + variable.bytes;
  }
  kernel->staticSharedBytes = end - kernel->reservedSharedBytes;
  kernel->dynamicSharedOffset = roundUp(end, dynamicAlignment);
  for (SharedVariable &shared : kernel->shared)
    if (shared.variable->isExtern && shared.variable->bytes == 0)
      shared.offset = kernel->dynamicSharedOffset;
}

Result<std::unique_ptr<CompiledKernel>> KernelCompiler::run() {
  kernel = std::make_unique<CompiledKernel>();
  kernel->module = image.module;
  kernel->source = &source;
  layOutParameters();
  reach(source);
  // What a variable points to may be called too.
  for (const ptx::Variable &variable : image.module->variables)
    for (const ptx::Relocation &relocation : variable.relocations)
      if (const ptx::Function *function = image.module->function(relocation.symbol))
        reach(*function);
  while (!pending.empty()) {
    CompiledFunction *function = pending.back();
    pending.pop_back();
    INGOT_TRY(decode(*function));
  }
  layOutShared();
  for (const auto &function : kernel->functions) {
    function->firstCounter = kernel->counters;
    kernel->counters += function->code.size();
  }
  return std::move(kernel);
}

Status KernelCompiler::decode(CompiledFunction &function) {
  const ptx::Function &text = *function.source;
  layout = {};
  for (const ptx::Register &reg : text.registers)
    layout.registers.push_back(layout.allocate(bitsOf(reg.type)));
  function.variableOffsets.assign(text.variables.size(), -1);
  const size_t signatureVariables =
      std::count_if(text.signature.parameters.begin(), text.signature.parameters.end(),
                    [](const auto &parameter) { return parameter.reg < 0; });
  for (size_t i = 0; i < text.variables.size(); ++i) {
    const ptx::Variable &variable = text.variables[i];
    const bool kernelParameter = text.isKernel && i < signatureVariables;
    if (kernelParameter || (variable.space != Space::Local && variable.space != Space::Param))
      continue;
    function.variableOffsets[i] =
        roundUp(function.localBytes, std::max<int64_t>(variable.alignment, 1));
    function.localBytes = function.variableOffsets[i] + variable.bytes;
  }
  size_t variable = 0;
  for (auto [from, to] : {std::pair(&text.signature.results, &function.results),
                          std::pair(&text.signature.parameters, &function.parameters)})
    for (const ptx::Signature::Parameter &parameter : *from) {
      Place &place = to->emplace_back();
      place.bytes = parameter.variable.bytes;
      if (parameter.reg >= 0)
        place.slot = layout.registers[parameter.reg];
      else
        place.local = function.variableOffsets[variable++];
    }
  const size_t count = text.instructions.size();
  function.code.resize(count + 1);
  function.details.resize(count + 1);
  std::vector<size_t> firstSlot(count + 1);
  for (size_t i = 0; i < count; ++i) {
    firstSlot[i] = function.slots.size();
    function.code[i].index = uint32_t(i);
    INGOT_TRY(decode(function, text.instructions[i], function.code[i], function.details[i],
                     function.slots));
  }
  // Falling off the end returns.
  firstSlot[count] = function.slots.size();
  function.code[count].index = uint32_t(count);
  function.code[count].run = runReturn;
  function.details[count].kind = Class::Control;
  for (size_t i = 0; i <= count; ++i)
    function.code[i].slots = function.slots.data() + firstSlot[i];
  markPollingLoops(function);
  function.image.assign(layout.bytes, poison);
  for (const auto &[slot, constant] : layout.fills) {
    const auto &[bits, width] = constant;
    std::byte *row = function.image.data() + slot;
    if (width == 1) {
      const uint32_t mask = bits ? allLanes : 0;
      std::memcpy(row, &mask, sizeof mask);
      continue;
    }
    const int bytes = width <= 16 ? 2 : width <= 32 ? 4 : 8;
    for (int lane = 0; lane < lanes; ++lane)
      std::memcpy(row + lane * bytes, &bits, bytes);
  }
  return {};
}

Status KernelCompiler::decode(CompiledFunction &function, const ptx::Instruction &text,
                              Instruction &result, Detail &detail, std::vector<Slot> &slots) {
  const std::span<const InstructionRow> rows = rowsOf(text.opcode);
  if (rows.empty())
    return error(text.line, text.text, fmt::format("unknown instruction '{}'", text.opcode));
  std::string message;
  for (const InstructionRow &row : rows) {
    const uint32_t index = result.index;
    result = {};
    result.index = index;
    detail = {};
    detail.source = &text;
    if (text.guard >= 0) {
      result.guard = layout.registers[text.guard];
      result.guardNegated = text.guardNegated;
      detail.uses.push_back({result.guard, 1, false});
    }
    Decoder decoder(*this, function, text, result, detail);
    result.run = row.decode(decoder);
    if (result.run)
      decoder.finish();
    if (result.run && !decoder.failed()) {
      for (const Slot slot : decoder.takeSlots())
        slots.push_back(slot);
      return {};
    }
    if (decoder.failed() && message.empty())
      message = decoder.error();
  }
  return error(text.line, text.text, message.empty() ? "unknown types or modifiers" : message);
}

Result<std::unique_ptr<CompiledKernel>> compileKernel(const ModuleImage &image,
                                                      const ptx::Function &kernel) {
  return KernelCompiler(image, kernel).run();
}

} // namespace ingot::emulator
