#include "test/emulator/Gpu.h"
#include "runtime/emulator/machine/TensorMap.h"
#include <fstream>
#include <map>
#include <sstream>

namespace ingot::emulator::test {

namespace {

/// What ptxas calls the target of an architecture: sm_90a of compute_90a.
std::string targetOf(const Configuration &configuration) {
  const std::string &name = configuration.architecture;
  return name.starts_with("compute_") ? "sm_" + name.substr(8) : name;
}

Result<std::string> compileFile(const std::string &file, const Configuration &configuration) {
  const std::string folder = INGOT_SOURCE_DIR "/test/emulator/programs/kernels/";
  std::vector<std::string> command;
  switch (configuration.compiler) {
  case Configuration::Compiler::Nvrtc: {
    std::ifstream input(folder + file);
    std::ostringstream text;
    text << input.rdbuf();
    if (!input)
      return failure(Error::Code::Io, file, "cannot be read");
    return compileSource(text.str(), file, configuration);
  }
  case Configuration::Compiler::Clang:
    command = {findLlvmTool("clang++"),
               "-x",
               "c++",
               "--target=nvptx64-nvidia-cuda",
               "-march=" + configuration.architecture,
               "-S",
               "-nogpulib",
               "-nostdinc",
               "-ffp-contract=off",
               "-include",
               folder + "clang_nvptx.h",
               folder + file};
    break;
  case Configuration::Compiler::Llc:
    command = {findLlvmTool("llc"), "-march=nvptx64", "-mcpu=" + configuration.architecture,
               folder + file};
    break;
  }
  command.insert(command.end(), configuration.options.begin(), configuration.options.end());
  command.push_back("-o");
  return outputOf(std::move(command));
}

} // namespace

std::string Configuration::missing() const {
  switch (compiler) {
  case Compiler::Nvrtc:
    return Toolkit::instance().missing();
  case Compiler::Clang:
    return findLlvmTool("clang++").empty() ? "clang++-22 was not found" : "";
  case Compiler::Llc:
    return findLlvmTool("llc").empty() ? "llc-22 was not found" : "";
  }
  return {};
}

std::vector<Configuration> configurations() {
  return {{"sm80", "compute_80", {}},
          {"sm90a", "compute_90a", {"--generate-line-info"}},
          {"sm80_debug", "compute_80", {"--device-debug"}}};
}

std::vector<Configuration> configurationsWithClang() {
  std::vector<Configuration> all = configurations();
  all.push_back({"llvm_sm80", "sm_80", {"-O2"}, Configuration::Compiler::Clang});
  all.push_back({"llvm_sm90a_unoptimised", "sm_90a", {"-O0"}, Configuration::Compiler::Clang});
  return all;
}

Result<std::string> compileSource(const std::string &source, const std::string &name,
                                  const Configuration &configuration) {
  std::vector<std::string> options = {"--define-macro=KERNEL=extern \"C\" __global__",
                                      "--fmad=false"};
  options.insert(options.end(), configuration.options.begin(), configuration.options.end());
  return Toolkit::instance().compile(source, name, configuration.architecture, options);
}

Result<std::string> compileKernels(const std::string &file, const Configuration &configuration) {
  static std::map<std::string, Result<std::string>> known;
  const std::string key = file + "\n" + configuration.name;
  if (const auto found = known.find(key); found != known.end())
    return found->second;
  Result<std::string> ptx = compileFile(file, configuration);
  // What no assembler takes must not be what the emulator is measured by.
  if (ptx && Toolkit::instance().hasPtxas())
    if (const Status status = Toolkit::instance().assemble(*ptx, targetOf(configuration)); !status)
      ptx = tl::unexpected(status.error());
  return known.emplace(key, std::move(ptx)).first->second;
}

GpuTest::GpuTest() : random(freshSeed()) {}

void GpuTest::load(const std::string &file, const Configuration &configuration) {
  const Result<std::string> ptx = compileKernels(file, configuration);
  if (!ptx)
    FAIL() << ptx.error().text();
  device.load(*ptx);
}

GpuTest::Map GpuTest::tensorMap(uint64_t address, uint64_t columns, uint64_t rows,
                                uint64_t pitchBytes, uint32_t boxColumns, uint32_t boxRows,
                                uint32_t swizzle) {
  const uint64_t dimensions[2] = {columns, rows}, strides[1] = {pitchBytes};
  const uint32_t box[2] = {boxColumns, boxRows}, steps[2] = {1, 1};
  Map encoded{};
  const Result<TensorMap> map =
      TensorMap::make({.dataType = static_cast<uint32_t>(TensorElement::U16),
                       .rank = 2,
                       .address = address,
                       .dimensions = dimensions,
                       .strides = strides,
                       .box = box,
                       .elementStrides = steps,
                       .swizzle = swizzle});
  if (map)
    map->encode(encoded.bytes);
  else
    ADD_FAILURE() << map.error().text();
  return encoded;
}

void GpuTest::run(const std::string &kernel, const Shape &shape,
                  const std::vector<std::vector<std::byte>> &arguments) {
  const CompiledKernel *compiled = device.kernel(kernel);
  if (!compiled)
    FAIL() << "no module is loaded that has kernel " << kernel;
  const auto &parameters = compiled->parameters;
  ASSERT_EQ(parameters.size(), arguments.size()) << kernel;
  std::vector<std::byte> bytes(compiled->parameterBytes);
  for (size_t i = 0; i < arguments.size(); ++i) {
    ASSERT_EQ(static_cast<size_t>(parameters[i].bytes), arguments[i].size())
        << "argument " << i << " of " << kernel;
    std::memcpy(bytes.data() + parameters[i].offset, arguments[i].data(), arguments[i].size());
  }
  device.cluster = shape.cluster;
  device.dynamicSharedBytes = shape.shared;
  device.cooperative = shape.cooperative;
  device.options.seed = random();
  device.launchBytes(kernel, shape.grid, shape.block, std::move(bytes));
}

} // namespace ingot::emulator::test
