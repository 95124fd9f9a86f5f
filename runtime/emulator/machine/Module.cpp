#include "runtime/emulator/machine/Module.h"
#include <cstring>

namespace ingot::emulator {

Result<std::unique_ptr<Module>> Module::load(std::string text, std::string name,
                                             GlobalMemory &memory) {
  INGOT_ASSIGN(ptx::Module parsed, ptx::parse(std::move(text), std::move(name)));
  std::unique_ptr<Module> module(new Module(std::move(parsed), memory));
  module->image.module = &module->module;
  INGOT_TRY(module->place());
  return module;
}

Module::~Module() {
  for (const auto &[variable, address] : image.variables)
    (void)memory.release(address);
}

namespace {

bool needsMemory(const ptx::Variable &variable) {
  return variable.space == Space::Global || variable.space == Space::Const;
}

} // namespace

Status Module::place() {
  const auto each = [&](auto use) -> Status {
    for (const ptx::Variable &variable : module.variables)
      if (needsMemory(variable))
        INGOT_TRY(use(variable, nullptr));
    for (const auto &function : module.functions)
      for (const ptx::Variable &variable : function->variables)
        if (needsMemory(variable))
          INGOT_TRY(use(variable, function.get()));
    return {};
  };
  INGOT_TRY(each([&](const ptx::Variable &variable, const ptx::Function *) -> Status {
    if (variable.isExtern)
      return {};
    const auto kind = variable.space == Space::Const ? Allocation::Kind::Constant
                      : variable.managed             ? Allocation::Kind::Managed
                                                     : Allocation::Kind::Variable;
    INGOT_ASSIGN(const uint64_t address,
                 memory.allocate(uint64_t(variable.bytes), kind, variable.name,
                                 uint64_t(std::max<int64_t>(variable.alignment, 16))));
    image.variables[&variable] = address;
    return {};
  }));
  // Declared here and defined further down.
  for (const ptx::Variable &variable : module.variables)
    if (needsMemory(variable) && variable.isExtern) {
      const ptx::Variable *defined = module.variable(variable.name);
      if (defined == &variable)
        return failure(Error::Code::BadInput, fmt::format("{}:{}", module.name, variable.line),
                       "variable '{}' is .extern and defined nowhere", variable.name);
    }
  return each([&](const ptx::Variable &variable, const ptx::Function *function) {
    return fill(variable, function);
  });
}

Status Module::fill(const ptx::Variable &variable, const ptx::Function *function) {
  if (variable.initial.empty() || variable.isExtern)
    return {};
  INGOT_ASSIGN(std::byte *const host,
               memory.range(image.variableAddress(variable), uint64_t(variable.bytes)));
  std::memcpy(host, variable.initial.data(), variable.initial.size());
  for (const ptx::Relocation &relocation : variable.relocations) {
    uint64_t address = 0;
    if (function)
      for (const ptx::Variable &other : function->variables)
        if (other.name == relocation.symbol)
          address = image.variableAddress(other);
    if (const ptx::Variable *other = module.variable(relocation.symbol); other && !address)
      address = image.variableAddress(*other);
    if (const ptx::Function *target = module.function(relocation.symbol); target && !address)
      address = image.functionAddress(*target);
    if (!address)
      return failure(Error::Code::BadInput, fmt::format("{}:{}", module.name, variable.line),
                     "'{}' starts with the address of '{}', which is not declared", variable.name,
                     relocation.symbol);
    const uint64_t value = (address + relocation.addend) >> relocation.shift;
    std::memcpy(host + relocation.offset, &value, std::min(relocation.bytes, 8));
  }
  return {};
}

Result<const CompiledKernel *> Module::kernel(std::string_view name) {
  std::lock_guard lock(mutex);
  if (auto known = compiled.find(name); known != compiled.end())
    return known->second.get();
  const ptx::Function *function = module.function(name);
  if (!function || !function->isKernel || !function->isDefined) {
    std::string names;
    for (const std::string &other : kernels())
      names += (names.empty() ? "" : ", ") + other;
    return failure(Error::Code::Usage, module.name, "there is no kernel '{}'; there are: {}", name,
                   names.empty() ? "none" : names);
  }
  INGOT_ASSIGN(std::unique_ptr<CompiledKernel> kernel, compileKernel(image, *function));
  return (compiled[std::string(name)] = std::move(kernel)).get();
}

Result<Module::Global> Module::global(std::string_view name) const {
  const ptx::Variable *variable = module.variable(name);
  if (!variable || !needsMemory(*variable))
    return failure(Error::Code::Usage, module.name, "there is no variable '{}'", name);
  return Global{image.variableAddress(*variable), uint64_t(variable->bytes)};
}

std::vector<std::string> Module::kernels() const {
  std::vector<std::string> names;
  for (const auto &function : module.functions)
    if (function->isKernel && function->isDefined)
      names.push_back(function->name);
  return names;
}

} // namespace ingot::emulator
