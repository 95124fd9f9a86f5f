#include "runtime/program/Program.h"
#include <algorithm>

namespace ingot {
namespace {

constexpr std::array<std::string_view, 12> roleNames = {
    "parameter", "state", "derived",  "input",    "target",     "scalar",
    "output",    "error", "constant", "gradient", "activation", "workspace"};

} // namespace

std::string_view name(Role role) { return roleNames[static_cast<size_t>(role)]; }

std::optional<Role> parseRole(std::string_view text) {
  auto found = std::ranges::find(roleNames, text);
  if (found == roleNames.end())
    return std::nullopt;
  return static_cast<Role>(found - roleNames.begin());
}

std::string_view name(Access access) {
  static constexpr std::array<std::string_view, 3> names = {"read", "write", "update"};
  return names[static_cast<size_t>(access)];
}

std::string_view name(KernelParameter::Kind kind) {
  static constexpr std::array<std::string_view, 4> names = {"buffer", "scratch", "scalar",
                                                            "tensor_map"};
  return names[static_cast<size_t>(kind)];
}

std::string_view name(CodeObject::Kind kind) {
  static constexpr std::array<std::string_view, 3> names = {"cpu_image", "ptx", "cubin"};
  return names[static_cast<size_t>(kind)];
}

int64_t Kernel::grains() const {
  if (auto *range = std::get_if<CpuRange>(&launch))
    return range->grains;
  const CudaGrid::Extents &grid = std::get<CudaGrid>(launch).grid;
  return grid[0] * grid[1] * grid[2];
}

int64_t Kernel::scratchBytes() const {
  int64_t bytes = 0;
  for (const KernelParameter &parameter : parameters)
    if (parameter.kind == KernelParameter::Kind::Scratch)
      bytes += parameter.bytes;
  return bytes;
}

std::vector<const KernelParameter *> Kernel::placed() const {
  std::vector<const KernelParameter *> result;
  for (const KernelParameter &parameter : parameters)
    if (parameter.hasPlace())
      result.push_back(&parameter);
  return result;
}

const Port *Function::port(std::string_view portName) const {
  auto found = std::ranges::find(ports, portName, &Port::name);
  return found == ports.end() ? nullptr : &*found;
}

const Function *Program::function(std::string_view functionName) const {
  auto found = std::ranges::find(functions, functionName, &Function::name);
  return found == functions.end() ? nullptr : &*found;
}

int64_t Program::codeBytes() const {
  int64_t bytes = 0;
  for (const CodeObject &object : objects)
    bytes += int64_t(object.bytes.size());
  return bytes;
}

} // namespace ingot
