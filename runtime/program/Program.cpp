#include "runtime/program/Program.h"
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

namespace ingot {

std::string_view name(BufferKind kind) {
  static constexpr std::array<std::string_view, 8> names = {
      "parameter", "state", "gradient", "input", "output", "constant", "activation", "workspace"};
  return names[static_cast<size_t>(kind)];
}

std::string_view name(Access access) {
  static constexpr std::array<std::string_view, 3> names = {"read", "write", "update"};
  return names[static_cast<size_t>(access)];
}

const Port *Function::port(std::string_view portName) const {
  auto found = std::ranges::find(ports, portName, &Port::name);
  return found == ports.end() ? nullptr : &*found;
}

const Function *Program::function(std::string_view functionName) const {
  auto found = std::ranges::find(functions, functionName, &Function::name);
  return found == functions.end() ? nullptr : &*found;
}

namespace {

constexpr int64_t alignment = 64;
/// No arena is larger, so that sums of offsets and sizes cannot overflow.
constexpr int64_t largestArena = int64_t(1) << 46;
constexpr int deepestNesting = 64;

/// A named stretch of the persistent part of the arena.
struct Stretch {
  int64_t offset, bytes;
  std::string name;
};

class Validator {
public:
  explicit Validator(const Program &program) : program(program) {}

  Status run() {
    INGOT_TRY(checkSizes());
    for (const Kernel &kernel : program.kernels)
      INGOT_TRY(checkKernel(kernel));
    for (const Constant &constant : program.constants)
      INGOT_TRY(checkConstant(constant));
    std::set<std::string_view> names;
    for (const Function &function : program.functions) {
      if (!names.insert(function.name).second)
        return bad("function '{}' is there twice", function.name);
      INGOT_TRY(checkFunction(function));
    }
    return checkPersistentOverlaps();
  }

private:
  template <typename... Args>
  static tl::unexpected<Error> bad(fmt::format_string<Args...> format, Args &&...args) {
    return failure(Error::Code::BadInput, "", "unsound program: {}",
                   fmt::format(format, std::forward<Args>(args)...));
  }

  static bool inside(int64_t offset, int64_t bytes, int64_t limit) {
    return offset >= 0 && bytes >= 0 && offset <= limit && bytes <= limit - offset;
  }

  /// Bytes of a shape, or nothing when a dimension is negative or the product exceeds any arena.
  static std::optional<int64_t> checkedBytes(ElementType type, const Shape &shape) {
    if (std::ranges::any_of(shape, [](int64_t size) { return size < 0; }))
      return std::nullopt;
    if (std::ranges::count(shape, 0))
      return 0;
    int64_t bytes = static_cast<int64_t>(byteSize(type));
    for (int64_t size : shape) {
      if (size > largestArena / bytes)
        return std::nullopt;
      bytes *= size;
    }
    return bytes;
  }

  Status checkSizes() {
    if (program.arenaBytes < 0 || program.arenaBytes > largestArena)
      return bad("an arena of {} bytes", program.arenaBytes);
    if (program.persistentBytes < 0 || program.persistentBytes > program.arenaBytes)
      return bad("{} persistent bytes in an arena of {}", program.persistentBytes,
                 program.arenaBytes);
    if (program.workspaceBytes < 0 || program.workspaceBytes > largestArena)
      return bad("a workspace of {} bytes", program.workspaceBytes);
    return {};
  }

  Status checkKernel(const Kernel &kernel) {
    if (kernel.entry < 0 || kernel.entry >= static_cast<int64_t>(program.code.size()))
      return bad("kernel '{}' starts at byte {} of {} bytes of code", kernel.name, kernel.entry,
                 program.code.size());
    if (kernel.grains < 0)
      return bad("kernel '{}' has {} grains", kernel.name, kernel.grains);
    if (kernel.workspace < 0 || kernel.workspace > program.workspaceBytes)
      return bad("kernel '{}' needs {} bytes of workspace, the program has {}", kernel.name,
                 kernel.workspace, program.workspaceBytes);
    for (const KernelArgument &argument : kernel.arguments)
      if (argument.bytes < 0)
        return bad("kernel '{}' has an argument of {} bytes", kernel.name, argument.bytes);
    if (!std::isfinite(kernel.flops) || !std::isfinite(kernel.bytes) || kernel.flops < 0 ||
        kernel.bytes < 0)
      return bad("kernel '{}' counts {} operations and {} bytes", kernel.name, kernel.flops,
                 kernel.bytes);
    return {};
  }

  Status checkConstant(const Constant &constant) {
    std::optional<int64_t> bytes = checkedBytes(constant.value.type(), constant.value.shape());
    if (!bytes || !inside(constant.offset, *bytes, program.persistentBytes) ||
        constant.offset % alignment != 0)
      return bad("a constant of {} {} at byte {} does not lie aligned in the persistent {} bytes",
                 toString(constant.value.shape()), name(constant.value.type()), constant.offset,
                 program.persistentBytes);
    if (*bytes && !constant.value.data())
      return bad("the constant at byte {} has no value", constant.offset);
    persistent.push_back({constant.offset, *bytes, fmt::format("constant at {}", constant.offset)});
    return {};
  }

  Status checkFunction(const Function &function) {
    if (function.arenaBytes < program.persistentBytes || function.arenaBytes > program.arenaBytes)
      return bad("function '{}' uses {} bytes of an arena of {} with {} persistent", function.name,
                 function.arenaBytes, program.arenaBytes, program.persistentBytes);
    std::set<std::string_view> names;
    for (const Port &port : function.ports) {
      if (!names.insert(port.name).second)
        return bad("function '{}' has two ports '{}'", function.name, port.name);
      INGOT_TRY(checkPort(function, port));
    }
    for (const PlannedBuffer &buffer : function.buffers)
      if (!inside(buffer.offset, buffer.bytes, function.arenaBytes) || buffer.firstStep < 0 ||
          buffer.firstStep > buffer.lastStep)
        return bad("buffer '{}' of function '{}' ({} bytes at {}, steps {} to {}) is not in its "
                   "arena of {} bytes",
                   buffer.name, function.name, buffer.bytes, buffer.offset, buffer.firstStep,
                   buffer.lastStep, function.arenaBytes);
    return checkSteps(function, function.steps, /*trips=*/0, /*depth=*/0);
  }

  Status checkPort(const Function &function, const Port &port) {
    const bool keeps = port.kind == BufferKind::Parameter || port.kind == BufferKind::State;
    const int64_t limit = keeps ? program.persistentBytes : function.arenaBytes;
    std::optional<int64_t> bytes = checkedBytes(port.type, port.shape);
    if (!bytes || !inside(port.offset, *bytes, limit) || port.offset % alignment != 0)
      return bad("port '{}' of function '{}' ({} {} at byte {}) does not lie aligned in the {} {} "
                 "bytes",
                 port.name, function.name, toString(port.shape), name(port.type), port.offset,
                 keeps ? "persistent" : "arena's", limit);
    if (!keeps)
      return {};
    auto [known, isNew] = shared.try_emplace(port.name, &port);
    if (isNew)
      persistent.push_back({port.offset, *bytes, port.name});
    else if (known->second->offset != port.offset || known->second->type != port.type ||
             known->second->shape != port.shape)
      return bad("'{}' of function '{}' ({} {} at byte {}) differs from the same name elsewhere "
                 "({} {} at byte {})",
                 port.name, function.name, toString(port.shape), name(port.type), port.offset,
                 toString(known->second->shape), name(known->second->type), known->second->offset);
    return {};
  }

  /// `trips` counts the iterations of the innermost loop around the steps; 0 outside loops.
  Status checkSteps(const Function &function, const std::vector<Step> &steps, int64_t trips,
                    int depth) {
    if (depth > deepestNesting)
      return bad("function '{}' nests steps deeper than {}", function.name, deepestNesting);
    for (const Step &step : steps) {
      if (auto *call = std::get_if<CallStep>(&step.node)) {
        INGOT_TRY(checkCall(function, *call, trips));
      } else if (auto *loop = std::get_if<LoopStep>(&step.node)) {
        if (loop->trips < 0)
          return bad("function '{}' loops {} times", function.name, loop->trips);
        INGOT_TRY(checkSteps(function, loop->body, std::max<int64_t>(loop->trips, 1), depth + 1));
      } else if (auto *branch = std::get_if<IfStep>(&step.node)) {
        if (!inside(branch->condition, 1, function.arenaBytes))
          return bad("function '{}' branches on byte {} of {}", function.name, branch->condition,
                     function.arenaBytes);
        INGOT_TRY(checkSteps(function, branch->thenBody, trips, depth + 1));
        INGOT_TRY(checkSteps(function, branch->elseBody, trips, depth + 1));
      }
    }
    return {};
  }

  Status checkCall(const Function &function, const CallStep &call, int64_t trips) {
    if (call.kernel >= program.kernels.size())
      return bad("function '{}' calls kernel {} of {}", function.name, call.kernel,
                 program.kernels.size());
    const std::string &kernel = program.kernels[call.kernel].name;
    const std::vector<KernelArgument> &arguments = program.kernels[call.kernel].arguments;
    if (call.arguments.size() != arguments.size())
      return bad("a call of kernel '{}' in function '{}' has {} arguments instead of {}", kernel,
                 function.name, call.arguments.size(), arguments.size());
    if (!call.strides.empty() && (trips == 0 || call.strides.size() != call.arguments.size()))
      return bad("a call of kernel '{}' in function '{}' has {} strides for {} arguments{}", kernel,
                 function.name, call.strides.size(), call.arguments.size(),
                 trips == 0 ? " outside a loop" : "");
    for (size_t i = 0; i < call.arguments.size(); ++i) {
      const int64_t first = call.arguments[i];
      const int64_t stride = call.strides.empty() ? 0 : call.strides[i];
      int64_t last = first;
      const int64_t bytes = arguments[i].bytes;
      if (!inside(first, bytes, function.arenaBytes) ||
          __builtin_mul_overflow(stride, trips > 0 ? trips - 1 : 0, &last) ||
          __builtin_add_overflow(first, last, &last) || !inside(last, bytes, function.arenaBytes))
        return bad("argument {} of a call of kernel '{}' in function '{}' leaves the arena of {} "
                   "bytes ({} bytes from {}, {} further an iteration)",
                   i, kernel, function.name, function.arenaBytes, bytes, first, stride);
    }
    return {};
  }

  Status checkPersistentOverlaps() {
    std::ranges::sort(persistent, {}, &Stretch::offset);
    const Stretch *previous = nullptr;
    for (const Stretch &next : persistent) {
      if (next.bytes == 0)
        continue;
      if (previous && previous->offset + previous->bytes > next.offset)
        return bad("'{}' and '{}' overlap in the arena", previous->name, next.name);
      previous = &next;
    }
    return {};
  }

  const Program &program;
  std::map<std::string_view, const Port *> shared;
  std::vector<Stretch> persistent;
};

} // namespace

Status Program::validate() const { return Validator(*this).run(); }

} // namespace ingot
