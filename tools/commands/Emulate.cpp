/// `ingot emulate`: a kernel of any PTX text, or a whole CUDA program, on the PTX machine with all
/// checks.
#include "runtime/data/Files.h"
#include "runtime/data/Npy.h"
#include "runtime/emulator/driver/Driver.h"
#include "runtime/support/Json.h"
#include "runtime/support/Print.h"
#include "tools/commands/Command.h"
#include "tools/commands/EmulateProgram.h"
#include "tools/commands/Numbers.h"
#include "tools/commands/TensorText.h"
#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <random>

namespace ingot {
namespace {

using namespace emulator;

struct EmulateFlags {
  std::string file, kernel, grid = "1", block = "32", cluster = "1", chip;
  std::vector<std::string> arguments, outputs, off;
  int64_t shared = 0;
  uint64_t seed = 0;
  int threads = 0;
  int64_t limit = 0;
  bool json = false, strict = false;
};

/// A buffer in device memory that stands for an argument.
struct Buffer {
  uint64_t address = 0;
  Tensor tensor;
};

Result<Dim3> parseDim(const char *flag, const std::string &text) {
  uint32_t values[3] = {1, 1, 1};
  const char *at = text.data(), *end = at + text.size();
  for (int i = 0; i < 3; ++i) {
    const auto [next, error] = std::from_chars(at, end, values[i]);
    if (error != std::errc() || (next != end && (*next != ',' || i == 2)))
      return failure(Error::Code::Usage, flag, "'{}' is not X, X,Y or X,Y,Z", text);
    if (values[i] == 0)
      return failure(Error::Code::Usage, flag, "'{}': 0 is too few", text);
    if (next == end)
      return Dim3{values[0], values[1], values[2]};
    at = next + 1;
  }
  return failure(Error::Code::Usage, flag, "'{}' is not X, X,Y or X,Y,Z", text);
}

/// The bits of a scalar of the parameter's type.
Result<uint64_t> parseScalar(const std::string &place, const std::string &text, Type type) {
  const auto wrong = [&] {
    return failure(Error::Code::Usage, place, "'{}' is no {}", text, typeName(type));
  };
  const auto tooLarge = [&] {
    return failure(Error::Code::Usage, place, "'{}' does not fit {}", text, typeName(type));
  };
  const char *end = text.data() + text.size();
  if (emulator::isFloat(type)) {
    double value = 0;
    if (const auto [next, error] = std::from_chars(text.data(), end, value);
        error != std::errc() || next != end)
      return wrong();
    if (type == Type::F64)
      return std::bit_cast<uint64_t>(value);
    if (type == Type::F32 && std::isfinite(value) && std::isinf(static_cast<float>(value)))
      return tooLarge();
    if (type == Type::F32)
      return std::bit_cast<uint32_t>(static_cast<float>(value));
    return failure(Error::Code::Usage, place, "scalars of type {} cannot be given", typeName(type));
  }
  const bool negative = text.starts_with('-');
  const bool hex = text.starts_with(negative ? "-0x" : "0x");
  uint64_t value = 0;
  if (const auto [next, error] =
          std::from_chars(text.data() + negative + 2 * hex, end, value, hex ? 16 : 10);
      error != std::errc() || next != end)
    return wrong();
  // -1 is welcome for unsigned types too: it is how all bits are written.
  const int bits = bitsOf(type);
  if (negative ? value > uint64_t(1) << (bits - 1) : bits < 64 && value >> bits)
    return tooLarge();
  return negative ? uint64_t(0) - value : value;
}

/// `@file.npy` and `4xf32=1,2,3,4` are buffers with these values, `4xf32` one that nobody has
/// written.
bool isBuffer(const std::string &text) {
  return text.starts_with('@') ||
         (text.find('x') != text.npos && !text.starts_with("0x") && !text.starts_with("-0x"));
}

/// What the driver said, as an error; it may have named the place itself.
Status check(cuda::CUresult result, const std::string &place) {
  if (result == cuda::CUDA_SUCCESS)
    return {};
  const std::string &text = lastEmulatedError();
  return failure(Error::Code::BadInput, text.starts_with(place + ":") ? "" : place, "{}", text);
}

Result<Buffer> makeBuffer(const std::string &place, const std::string &text, size_t index) {
  const cuda::Driver &driver = emulatedDriver();
  const bool written = text.starts_with('@') || text.find('=') != text.npos;
  INGOT_ASSIGN(Tensor tensor, parseTensor(place, written ? text : text + "=0"));
  cuda::CUdeviceptr address = 0;
  INGOT_TRY(check(driver.cuMemAlloc(&address, std::max<size_t>(tensor.bytes(), 1)), place));
  emulatedMemory().describe(address, fmt::format("argument {}", index), {});
  if (written)
    INGOT_TRY(check(driver.cuMemcpyHtoD(address, tensor.data(), tensor.bytes()), place));
  return Buffer{address, std::move(tensor)};
}

Result<cuda::CUfunction> findKernel(cuda::CUmodule module, const EmulateFlags &flags,
                                    const std::string &file) {
  const std::vector<std::string> kernels = emulatedModule(module)->kernels();
  if (!flags.kernel.empty() || kernels.size() == 1) {
    const std::string &name = flags.kernel.empty() ? kernels.front() : flags.kernel;
    cuda::CUfunction function = nullptr;
    if (std::find(kernels.begin(), kernels.end(), name) != kernels.end()) {
      INGOT_TRY(check(emulatedDriver().cuModuleGetFunction(&function, module, name.c_str()), name));
      return function;
    }
  }
  if (kernels.empty())
    return failure(Error::Code::BadInput, file, "there is no kernel in it");
  return failure(Error::Code::Usage, "--kernel", "{}; kernels of {} are {}",
                 flags.kernel.empty() ? "which one is to run"
                                      : fmt::format("there is no kernel '{}'", flags.kernel),
                 file, fmt::join(kernels, ", "));
}

/// Lays the arguments out as the kernel's parameters.
Status fillParameters(const EmulateFlags &flags, const CompiledKernel &kernel,
                      std::vector<std::byte> &parameters, std::map<size_t, Buffer> &buffers) {
  if (flags.arguments.size() != kernel.parameters.size()) {
    std::vector<std::string> names;
    for (const CompiledKernel::Parameter &parameter : kernel.parameters)
      names.push_back(fmt::format("{} .{}", parameter.name, typeName(parameter.type)));
    return failure(Error::Code::Usage, "--arg", "{} takes {} arguments, {} were given: {}",
                   kernel.source->name, names.size(), flags.arguments.size(),
                   fmt::join(names, ", "));
  }
  parameters.resize(kernel.parameterBytes);
  for (size_t i = 0; i < flags.arguments.size(); ++i) {
    const CompiledKernel::Parameter &parameter = kernel.parameters[i];
    const std::string place = fmt::format("--arg {} ({})", i, parameter.name);
    const int64_t bytes = parameter.bytes;
    uint64_t bits = 0;
    if (bytes > 8)
      return failure(Error::Code::Usage, place, "parameters of {} bytes cannot be given", bytes);
    if (isBuffer(flags.arguments[i])) {
      if (bytes != 8)
        return failure(Error::Code::Usage, place, "a buffer needs 64 bits, {} has {}",
                       parameter.name, 8 * bytes);
      INGOT_ASSIGN(Buffer buffer, makeBuffer(place, flags.arguments[i], i));
      bits = buffer.address;
      buffers.emplace(i, std::move(buffer));
    } else {
      INGOT_ASSIGN(bits, parseScalar(place, flags.arguments[i], parameter.type));
    }
    std::memcpy(parameters.data() + parameter.offset, &bits, size_t(bytes));
  }
  return {};
}

/// Where an argument's buffer goes after the launch.
struct Output {
  size_t argument = 0;
  std::string path;
};

/// `K:@b.npy`
Result<Output> parseOutput(const std::string &text, const std::map<size_t, Buffer> &buffers) {
  size_t index = 0;
  const auto [next, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  const std::string_view rest(next, text.data() + text.size() - next);
  if (error != std::errc() || !rest.starts_with(":@") || rest.size() < 3)
    return failure(Error::Code::Usage, "--out", "'{}' is not K:@FILE.npy", text);
  if (!buffers.contains(index))
    return failure(Error::Code::Usage, "--out", "argument {} is no buffer", index);
  return Output{index, std::string(rest.substr(2))};
}

Status writeOutput(const Output &output, Buffer &buffer) {
  Tensor &tensor = buffer.tensor;
  INGOT_TRY(
      check(emulatedDriver().cuMemcpyDtoH(tensor.data(), buffer.address, tensor.bytes()), "--out"));
  return writeNpy(output.path, tensor);
}

nlohmann::json jsonOf(const Finding &finding) {
  return {{"check", finding.check}, {"message", finding.message}, {"kernel", finding.kernel},
          {"line", finding.line},   {"text", finding.text},       {"location", finding.location},
          {"block", finding.block}, {"thread", finding.thread},   {"address", finding.address},
          {"count", finding.count}, {"note", finding.note}};
}

/// 80 for "sm_80"; 0 for no text.
Result<int> parseChip(const std::string &text) {
  constexpr std::string_view chips[] = {"sm_80", "sm_86", "sm_87", "sm_89", "sm_90"};
  if (text.empty())
    return 0;
  if (std::find(std::begin(chips), std::end(chips), text) == std::end(chips))
    return failure(Error::Code::Usage, "--chip", "'{}' is none of {}", text,
                   fmt::join(chips, ", "));
  return std::stoi(text.substr(3));
}

Result<ProgramOptions> programOptions(const EmulateFlags &flags) {
  ProgramOptions options;
  INGOT_ASSIGN(options.chip, parseChip(flags.chip));
  options.off = flags.off;
  options.seed = flags.seed ? flags.seed : std::random_device()();
  options.threads = flags.threads;
  options.limit = uint64_t(flags.limit);
  options.strict = flags.strict;
  return options;
}

Status emulateProgramLine(const EmulateFlags &flags, const std::vector<std::string> &line) {
  INGOT_ASSIGN(ProgramOptions options, programOptions(flags));
  INGOT_TRY(deviceOptions(options));
  return emulateProgram(std::move(options), line);
}

Status emulate(const EmulateFlags &flags) {
  INGOT_ASSIGN(const ProgramOptions options, programOptions(flags));
  INGOT_ASSIGN(EmulatedDeviceOptions device, deviceOptions(options));
  INGOT_ASSIGN(const Dim3 grid, parseDim("--grid", flags.grid));
  INGOT_ASSIGN(const Dim3 block, parseDim("--block", flags.block));
  INGOT_ASSIGN(const Dim3 cluster, parseDim("--cluster", flags.cluster));
  INGOT_ASSIGN(std::string text, readInput(flags.file));
  const std::string file = flags.file == "-" ? "<stdin>" : flags.file;

  resetEmulatedDevice();
  std::optional<KernelProfile> profile; // of the launch, if it came to one
  device.moduleName = file;
  device.launched = [&](const LaunchRequest &request, const LaunchResult &result,
                        const MemoryCounters &memory) {
    profile = KernelProfile::of(request, result, memory);
  };
  configureEmulatedDevice(std::move(device));

  const cuda::Driver &driver = emulatedDriver();
  cuda::CUcontext context;
  cuda::CUmodule module;
  INGOT_TRY(check(driver.cuInit(0), "cuda:emulated"));
  INGOT_TRY(check(driver.cuDevicePrimaryCtxRetain(&context, 0), "cuda:emulated"));
  INGOT_TRY(check(driver.cuModuleLoadData(&module, text.c_str()), file));
  INGOT_ASSIGN(const cuda::CUfunction function, findKernel(module, flags, file));
  const CompiledKernel *found = emulatedKernel(function);
  if (!found)
    return failure(Error::Code::Unsupported, file, "{}", lastEmulatedError());
  const CompiledKernel &kernel = *found;
  const std::string &name = kernel.source->name;
  std::vector<std::byte> parameters;
  std::map<size_t, Buffer> buffers;
  INGOT_TRY(fillParameters(flags, kernel, parameters, buffers));
  std::vector<Output> outputs;
  for (const std::string &wanted : flags.outputs) {
    INGOT_ASSIGN(Output output, parseOutput(wanted, buffers));
    outputs.push_back(std::move(output));
  }
  INGOT_TRY(check(driver.cuFuncSetAttribute(function,
                                            cuda::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
                                            static_cast<int>(flags.shared)),
                  "--shared"));
  INGOT_TRY(check(driver.cuFuncSetAttribute(
                      function, cuda::CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1),
                  name));
  cuda::CUlaunchAttribute attribute = {};
  attribute.id = cuda::CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION;
  attribute.value.clusterDim = {cluster.x, cluster.y, cluster.z};
  const cuda::CUlaunchConfig config = {grid.x,
                                       grid.y,
                                       grid.z,
                                       block.x,
                                       block.y,
                                       block.z,
                                       static_cast<unsigned>(flags.shared),
                                       nullptr,
                                       &attribute,
                                       cluster.count() > 1 ? 1u : 0u};
  size_t bytes = parameters.size();
  void *extra[] = {cuda::CU_LAUNCH_PARAM_BUFFER_POINTER, parameters.data(),
                   cuda::CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes, cuda::CU_LAUNCH_PARAM_END};
  const Status launched = check(driver.cuLaunchKernelEx(&config, function, nullptr, extra), name);
  if (!profile)
    return launched;
  const std::vector<Finding> findings = takeEmulatedFindings();
  if (flags.json) {
    nlohmann::json report = profile->json();
    report["seed"] = options.seed;
    report["findings"] = nlohmann::json::array();
    for (const Finding &finding : findings)
      report["findings"].push_back(jsonOf(finding));
    print("{}\n", toText(report));
  } else {
    for (const Finding &finding : findings)
      print("{}\n\n", finding.str());
    print("{}", profile->table());
    print(stderr, "seed {}\n", options.seed);
  }
  // After the report, which must not be lost because a result cannot be written.
  for (const Output &output : outputs)
    INGOT_TRY(writeOutput(output, buffers.at(output.argument)));
  const auto failing = std::ranges::count(findings, false, &Finding::note);
  if (!failing)
    return {};
  return failure(Error::Code::Mismatch, name, "{} {}", failing,
                 failing == 1 ? "finding" : "findings");
}

} // namespace

Action declareEmulate(CLI::App &app) {
  auto flags = std::make_shared<EmulateFlags>();
  const std::vector<CLI::Option *> ofKernels = {
      app.add_option("ptx", flags->file,
                     "PTX text: nvcc's, LLVM's, Triton's; - for standard input"),
      app.add_option("--kernel", flags->kernel, "default: the only one"),
      app.add_option("--grid", flags->grid, "blocks: X, X,Y or X,Y,Z; default 1"),
      app.add_option("--block", flags->block, "threads of a block, likewise; default 32"),
      app.add_option("--cluster", flags->cluster, "blocks of a cluster, likewise; default 1"),
      addNumber(app, "--shared", flags->shared, ingot::between(0, std::numeric_limits<int>::max()),
                "bytes of dynamic shared memory of a block"),
      addRepeatable(app, "--arg", flags->arguments,
                    "next argument: 100 is a scalar of the parameter's type, @a.npy and 2xf32=1,2 "
                    "buffers, 2xf32 a buffer that nobody has written"),
      addRepeatable(app, "--out", flags->outputs, "K:@b.npy writes argument K, counted from 0"),
      app.add_flag("--json", flags->json, "one JSON object to stdout"),
  };
  addRepeatable(app, "--off", flags->off,
                fmt::format("a check to leave out: {}", fmt::join(checkNames(), ", ")));
  app.add_option("--chip", flags->chip,
                 "sm_80, sm_86, sm_87, sm_89 or sm_90; default: the newest that there is PTX for");
  addNumber(app, "--seed", flags->seed, Bounds(),
            "of the order of blocks and warps; default: drawn");
  addNumber(app, "--threads", flags->threads, ingot::between(0, 4096),
            "of the host; default: one per CPU");
  addNumber(app, "--limit", flags->limit, atLeast(0),
            "warp instructions after which a launch counts as stuck");
  app.add_flag(
      "--strict", flags->strict,
      "notes are findings, too: several threads store one value to one place; of a program "
      "also memory that is never freed and calls that fail");
  app.footer(
      "ingot emulate [--off, --chip, --seed, --threads, --limit, --strict] -- PROGRAM ARGUMENTS\n"
      "runs an unmodified CUDA program on the PTX machine; compile it with\n"
      "nvcc -cudart shared -lineinfo -gencode arch=compute_80,code=compute_80");
  return [flags, ofKernels]() -> Status {
    if (programLine().empty()) {
      if (flags->file.empty())
        return failure(Error::Code::Usage, "emulate",
                       "a PTX file, or -- and a program, is missing");
      return emulate(*flags);
    }
    for (const CLI::Option *option : ofKernels)
      if (option->count())
        return failure(Error::Code::Usage, option->get_name(),
                       "is for a kernel, not for a program behind --");
    return emulateProgramLine(*flags, programLine());
  };
}

} // namespace ingot
