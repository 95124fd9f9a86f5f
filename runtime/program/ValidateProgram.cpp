#include "runtime/program/Bucket.h"
#include "runtime/program/CpuImage.h"
#include "runtime/program/Program.h"
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace ingot {

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
    for (const CodeObject &object : program.objects)
      INGOT_TRY(checkObject(object));
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

  Status checkObject(const CodeObject &object) {
    entries.emplace_back();
    if (object.kind != CodeObject::Kind::CpuImage)
      return {};
    INGOT_ASSIGN(std::vector<ImageEntry> listed, entriesOf(object.bytes));
    for (ImageEntry &entry : listed)
      entries.back().emplace(std::move(entry.symbol), entry.interface);
    return {};
  }

  Status checkKernel(const Kernel &kernel) {
    if (kernel.object >= program.objects.size())
      return bad("kernel '{}' is in code object {} of {}", kernel.name, kernel.object,
                 program.objects.size());
    const bool onCpu = std::holds_alternative<CpuRange>(kernel.launch);
    const CodeObject &object = program.objects[kernel.object];
    if (onCpu != (object.kind == CodeObject::Kind::CpuImage))
      return bad("kernel '{}' is launched on a {}, but its code is {}", kernel.name,
                 onCpu ? "CPU" : "GPU", name(object.kind));
    for (const KernelParameter &parameter : kernel.parameters)
      INGOT_TRY(checkParameter(kernel, parameter));
    if (!std::isfinite(kernel.flops) || !std::isfinite(kernel.bytes) || kernel.flops < 0 ||
        kernel.bytes < 0)
      return bad("kernel '{}' counts {} operations and {} bytes", kernel.name, kernel.flops,
                 kernel.bytes);
    return onCpu ? checkCpuKernel(kernel) : checkGrid(kernel, std::get<CudaGrid>(kernel.launch));
  }

  Status checkCpuKernel(const Kernel &kernel) {
    if (kernel.grains() < 0)
      return bad("kernel '{}' has {} grains", kernel.name, kernel.grains());
    for (size_t i = 0; i < kernel.parameters.size(); ++i) {
      const KernelParameter::Kind kind = kernel.parameters[i].kind;
      if (kind != KernelParameter::Kind::Buffer &&
          (kind != KernelParameter::Kind::Scratch || i + 1 < kernel.parameters.size()))
        return bad("kernel '{}' takes a {} as parameter {}; on a CPU it takes buffers and then at "
                   "most one scratch",
                   kernel.name, name(kind), i);
    }
    auto entry = entries[kernel.object].find(kernel.name);
    if (entry == entries[kernel.object].end())
      return bad("kernel '{}' is no entry of its code", kernel.name);
    if (entry->second != interfaceOf(kernel))
      return bad("kernel '{}' is declared with other parameters or grains than its code was made "
                 "for",
                 kernel.name);
    return {};
  }

  Status checkGrid(const Kernel &kernel, const CudaGrid &grid) {
    constexpr int64_t mostBlocks = (int64_t(1) << 31) - 1, mostThreads = 1024, mostInCluster = 16,
                      mostShared = 227 << 10;
    const auto isWithin = [](const CudaGrid::Extents &extents, CudaGrid::Extents most,
                             int64_t product) {
      int64_t count = 1;
      for (size_t i = 0; i < 3; ++i) {
        if (extents[i] < 1 || extents[i] > most[i])
          return false;
        count *= extents[i];
      }
      return count <= product;
    };
    if (!isWithin(grid.grid, {mostBlocks, 65535, 65535}, INT64_MAX) ||
        !isWithin(grid.block, {1024, 1024, 64}, mostThreads) ||
        !isWithin(grid.cluster, {16, 16, 16}, mostInCluster) || grid.sharedBytes < 0 ||
        grid.sharedBytes > mostShared)
      return bad("kernel '{}' is launched as grid {} of blocks {}, clusters {}, {} bytes of shared "
                 "memory, which no GPU does",
                 kernel.name, fmt::join(grid.grid, "x"), fmt::join(grid.block, "x"),
                 fmt::join(grid.cluster, "x"), grid.sharedBytes);
    for (size_t i = 0; i < 3; ++i)
      if (grid.grid[i] % grid.cluster[i] != 0)
        return bad("kernel '{}' has a grid of {} that clusters of {} do not divide", kernel.name,
                   fmt::join(grid.grid, "x"), fmt::join(grid.cluster, "x"));
    return {};
  }

  Status checkParameter(const Kernel &kernel, const KernelParameter &parameter) {
    using Kind = KernelParameter::Kind;
    if (parameter.bytes < 0 || parameter.bytes > largestArena)
      return bad("kernel '{}' has an argument of {} bytes", kernel.name, parameter.bytes);
    if (parameter.kind == Kind::Scratch && parameter.bytes > program.workspaceBytes)
      return bad("kernel '{}' needs {} bytes of workspace, the program has {}", kernel.name,
                 parameter.bytes, program.workspaceBytes);
    if (parameter.kind == Kind::Scalar && parameter.bytes != 1 && parameter.bytes != 2 &&
        parameter.bytes != 4 && parameter.bytes != 8)
      return bad("kernel '{}' has a scalar of {} bytes", kernel.name, parameter.bytes);
    return parameter.kind == Kind::TensorMap ? checkMap(kernel, parameter) : Status();
  }

  /// The rules of `cuTensorMapEncodeTiled`, and that no element lies outside the parameter.
  Status checkMap(const Kernel &kernel, const KernelParameter &parameter) {
    const TensorMap &map = parameter.map;
    const size_t rank = map.sizes.size();
    bool isSound = rank >= 1 && rank <= 5 && map.strides.size() == rank - 1 &&
                   map.box.size() == rank && map.steps.size() == rank;
    int64_t last = 0; // byte of the last element
    for (size_t i = 0; isSound && i < rank; ++i) {
      const int64_t stride = i ? map.strides[i - 1] : int64_t(byteSize(map.type));
      isSound = map.sizes[i] >= 1 && map.sizes[i] <= int64_t(1) << 32 && map.box[i] >= 1 &&
                map.box[i] <= 256 && map.steps[i] >= 1 && map.steps[i] <= 8 && stride > 0 &&
                stride <= largestArena && (i == 0 || stride % 16 == 0) &&
                (map.sizes[i] - 1) <= largestArena / stride;
      last += isSound ? (map.sizes[i] - 1) * stride : 0;
    }
    isSound =
        isSound && last <= parameter.bytes - int64_t(byteSize(map.type)) &&
        (map.swizzle == 0 || map.swizzle == 32 || map.swizzle == 64 || map.swizzle == 128) &&
        (map.promotion == 0 || map.promotion == 64 || map.promotion == 128 || map.promotion == 256);
    if (!isSound)
      return bad(
          "kernel '{}' has a tensor map of {} with strides {} and boxes of {} over {} bytes, "
          "which no GPU reads",
          kernel.name, toString(map.sizes), fmt::join(map.strides, ", "), toString(map.box),
          parameter.bytes);
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
    for (const Port &port : function.ports) {
      INGOT_TRY(checkMembers(function, port));
      INGOT_TRY(checkCount(function, port));
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
    const bool keeps = isPersistent(port.role);
    const int64_t limit = keeps ? program.persistentBytes : function.arenaBytes;
    std::optional<int64_t> bytes = checkedBytes(port.type, port.shape);
    if (bytes &&
        (!port.layout.fits(elementCount(port.shape)) || (!keeps && !port.layout.isPlain())))
      return bad("port '{}' of function '{}' ({}) cannot lie in memory as {}", port.name,
                 function.name, toString(port.shape), toString(port.layout));
    if (bytes)
      bytes = port.memoryBytes();
    if (!bytes || !inside(port.offset, *bytes, limit) || port.offset % alignment != 0)
      return bad("port '{}' of function '{}' ({} {} at byte {}) does not lie aligned in the {} {} "
                 "bytes",
                 port.name, function.name, toString(port.shape), name(port.type), port.offset,
                 keeps ? "persistent" : "arena's", limit);
    if (port.limit < 0)
      return bad("port '{}' of function '{}' takes indices below {}", port.name, function.name,
                 port.limit);
    if (port.role == Role::Error && (port.type != ElementType::I64 || !port.shape.empty()))
      return bad("port '{}' of function '{}' reports an error as {} {}, not as one i64", port.name,
                 function.name, toString(port.shape), name(port.type));
    if (!keeps)
      return {};
    if (const Function *derive = program.function(deriveFunction);
        port.role == Role::Derived && !(derive && derive->port(port.name)))
      return bad("port '{}' of function '{}' is derived, and no function '{}' computes it",
                 port.name, function.name, deriveFunction);
    auto [known, isNew] = shared.try_emplace(port.name, &port);
    if (isNew)
      persistent.push_back({port.offset, *bytes, port.name});
    else if (known->second->offset != port.offset || known->second->type != port.type ||
             known->second->shape != port.shape || known->second->layout != port.layout)
      return bad("'{}' of function '{}' ({} {}, {}, at byte {}) differs from the same name "
                 "elsewhere ({} {}, {}, at byte {})",
                 port.name, function.name, toString(port.shape), name(port.type),
                 toString(port.layout), port.offset, toString(known->second->shape),
                 name(known->second->type), toString(known->second->layout), known->second->offset);
    return {};
  }

  /// After all ports.
  Status checkMembers(const Function &function, const Port &port) {
    int64_t elements = 0;
    for (const std::string &member : port.members) {
      const Port *known = function.port(member);
      if (!known || !isPersistent(known->role))
        return bad("port '{}' of function '{}' tells of '{}', which it does not keep", port.name,
                   function.name, member);
      elements += elementsInBucket(elementCount(known->shape), int64_t(byteSize(known->type)));
    }
    const int64_t own = elementCount(port.shape);
    if (!port.members.empty() && (own == 0 || elements % own != 0))
      return bad("port '{}' of function '{}' has {} elements for {}", port.name, function.name, own,
                 elements);
    return {};
  }

  Status checkCount(const Function &function, const Port &port) {
    const Port *count = function.port(port.count);
    const bool isCounted = count && count->role == Role::Output && port.role == Role::Output &&
                           count->type == ElementType::I64 && count->shape.empty() &&
                           port.counted >= 0 && port.counted < int64_t(port.shape.size());
    if (!port.count.empty() && !isCounted)
      return bad("port '{}' of function '{}' is counted by '{}' in dimension {}, which cannot be",
                 port.name, function.name, port.count, port.counted);
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
        INGOT_TRY(checkLoop(function, *loop));
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

  Status checkLoop(const Function &function, const LoopStep &loop) {
    if (loop.trips < 0)
      return bad("function '{}' loops {} times", function.name, loop.trips);
    constexpr int64_t bytes = sizeof(int64_t);
    auto lies = [&](std::optional<int64_t> place, int64_t first, int64_t end) {
      return !place || (*place >= first && *place % bytes == 0 && inside(*place, bytes, end));
    };
    const int64_t persistentEnd = program.persistentBytes, end = function.arenaBytes;
    if (!lies(loop.count, 0, persistentEnd) && !lies(loop.count, persistentEnd, end))
      return bad("function '{}' reads a loop's trip count at byte {} of {}", function.name,
                 *loop.count, end);
    if (!lies(loop.counter, persistentEnd, end))
      return bad("function '{}' counts a loop's iterations at byte {} of {}, {} of them persistent",
                 function.name, *loop.counter, end, persistentEnd);
    return {};
  }

  Status checkCall(const Function &function, const CallStep &call, int64_t trips) {
    if (call.kernel >= program.kernels.size())
      return bad("function '{}' calls kernel {} of {}", function.name, call.kernel,
                 program.kernels.size());
    const std::string &kernel = program.kernels[call.kernel].name;
    const std::vector<const KernelParameter *> parameters = program.kernels[call.kernel].placed();
    if (call.arguments.size() != parameters.size())
      return bad("a call of kernel '{}' in function '{}' has {} arguments instead of {}", kernel,
                 function.name, call.arguments.size(), parameters.size());
    if (!call.strides.empty() && (trips == 0 || call.strides.size() != call.arguments.size()))
      return bad("a call of kernel '{}' in function '{}' has {} strides for {} arguments{}", kernel,
                 function.name, call.strides.size(), call.arguments.size(),
                 trips == 0 ? " outside a loop" : "");
    for (size_t i = 0; i < call.arguments.size(); ++i) {
      const int64_t first = call.arguments[i];
      const int64_t stride = call.strides.empty() ? 0 : call.strides[i];
      int64_t last = first;
      const int64_t bytes = parameters[i]->bytes;
      if (!inside(first, bytes, function.arenaBytes) ||
          __builtin_mul_overflow(stride, trips > 0 ? trips - 1 : 0, &last) ||
          __builtin_add_overflow(first, last, &last) || !inside(last, bytes, function.arenaBytes))
        return bad("argument {} of a call of kernel '{}' in function '{}' leaves the arena of {} "
                   "bytes ({} bytes from {}, {} further an iteration)",
                   i, kernel, function.name, function.arenaBytes, bytes, first, stride);
      const auto [low, high] = std::minmax(first, last);
      if (low < program.persistentBytes && high > program.persistentBytes - bytes)
        return bad("argument {} of a call of kernel '{}' in function '{}' reaches both over "
                   "persistent memory and what follows it ({} bytes from {}, {} further an "
                   "iteration)",
                   i, kernel, function.name, bytes, first, stride);
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
  std::vector<std::map<std::string, uint64_t, std::less<>>> entries; ///< interfaces, by object
  std::map<std::string_view, const Port *> shared;
  std::vector<Stretch> persistent;
};

} // namespace

Status Program::validate() const { return Validator(*this).run(); }

} // namespace ingot
