#include "Support.h"
#include <cstdlib>
#include <cstring>

namespace ingot::emulator::test {

std::string header(std::string_view target) {
  return fmt::format(".version 9.0\n.target {}\n.address_size 64\n", target);
}

Device::Device(std::string ptx, std::string name) {
  memory.rememberWrites();
  auto loaded = Module::load(std::move(ptx), std::move(name), memory);
  if (!loaded) {
    ADD_FAILURE() << loaded.error().text();
    return;
  }
  module = std::move(*loaded);
  options.seed = freshSeed();
}

uint64_t Device::uploadBytes(const void *data, size_t bytes, std::string name) {
  auto address = memory.allocate(bytes, Allocation::Kind::Device, std::move(name));
  if (!address) {
    ADD_FAILURE() << address.error().text();
    return 0;
  }
  std::memcpy(*memory.range(*address, bytes), data, bytes);
  memory.written(*address, bytes);
  return *address;
}

void Device::downloadBytes(uint64_t address, void *data, size_t bytes) {
  auto host = memory.range(address, bytes);
  if (!host)
    ADD_FAILURE() << host.error().text();
  else
    std::memcpy(data, *host, bytes);
}

void Device::append(std::vector<std::byte> &to, const void *value, size_t bytes) {
  to.resize((to.size() + bytes - 1) / bytes * bytes);
  const auto *from = static_cast<const std::byte *>(value);
  to.insert(to.end(), from, from + bytes);
}

LaunchResult Device::launchBytes(std::string_view kernel, Dim3 grid, Dim3 block,
                                 std::vector<std::byte> parameters) {
  if (!module)
    return {};
  auto compiled = module->kernel(kernel);
  if (!compiled) {
    ADD_FAILURE() << compiled.error().text();
    return {};
  }
  LaunchRequest request;
  request.kernel = *compiled;
  request.grid = grid;
  request.block = block;
  request.cluster = cluster;
  request.dynamicSharedBytes = dynamicSharedBytes;
  request.parameters = std::move(parameters);
  Checks observer(*request.kernel, checks);
  auto result = run(std::move(request), options, memory, checks.any() ? &observer : nullptr);
  counters = observer.counters();
  if (!result) {
    ADD_FAILURE() << result.error().text();
    return {};
  }
  if (!expectFindings)
    for (const Finding &finding : result->findings)
      ADD_FAILURE() << finding.str();
  return std::move(*result);
}

} // namespace ingot::emulator::test
