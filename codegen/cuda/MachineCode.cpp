#include "codegen/cuda/MachineCode.h"
#include "runtime/cuda/Assembler.h"
#include "runtime/cuda/SplitPtx.h"
#include <algorithm>
#include <thread>

namespace ingot {
namespace {

/// What an earlier call has added: kernels refer to their PTX.
void eraseUnused(Program &program, const std::string &architecture) {
  std::vector<bool> isUsed(program.objects.size());
  for (const Kernel &kernel : program.kernels)
    isUsed[kernel.object] = true;
  std::vector<CodeObject> kept;
  std::vector<uint32_t> places;
  for (size_t index = 0; index < program.objects.size(); ++index) {
    CodeObject &object = program.objects[index];
    places.push_back(uint32_t(kept.size()));
    if (isUsed[index] || object.kind != CodeObject::Kind::Cubin ||
        object.architecture != architecture)
      kept.push_back(std::move(object));
  }
  for (Kernel &kernel : program.kernels)
    kernel.object = places[kernel.object];
  program.objects = std::move(kept);
}

} // namespace

Result<MachineCodeReport> addMachineCode(Program &program, const std::string &architecture,
                                         const DiskCache &cache, int threads) {
  INGOT_ASSIGN(const cuda::Assembler *assembler, cuda::Assembler::find());
  std::vector<std::string> texts, names;
  for (const CodeObject &object : program.objects)
    if (object.kind == CodeObject::Kind::Ptx)
      for (cuda::PtxEntry &entry : cuda::splitPtx(
               {reinterpret_cast<const char *>(object.bytes.data()), object.bytes.size()})) {
        names.push_back(std::move(entry.name));
        texts.push_back(std::move(entry.text));
      }
  auto keyOf = [](std::string_view text) { return contentHash(text) + ".cubin"; };
  const cuda::Assembler::Memory memory = {
      [&](std::string_view text) { return cache.get(keyOf(text)); },
      [&](std::string_view text, std::span<const uint8_t> entry) {
        cache.put(keyOf(text), entry);
      }};
  if (threads <= 0)
    threads = int(std::max(1u, std::thread::hardware_concurrency()));
  cuda::Assembler::Assembled made = assembler->assembleAll(
      texts, architecture, threads, cache.enabled() ? memory : cuda::Assembler::Memory());

  MachineCodeReport report;
  report.calls = made.calls;
  for (size_t index = 0; index < texts.size(); ++index)
    if (made.places[index])
      ++report.kernels;
    else
      report.remarks.push_back(
          fmt::format("kernel '{}': {}", names[index], made.places[index].error().message));
  eraseUnused(program, architecture);
  for (cuda::Cubin &cubin : made.cubins) {
    if (!cubin.log.empty())
      report.remarks.push_back(std::move(cubin.log));
    program.objects.push_back({CodeObject::Kind::Cubin, architecture, std::move(cubin.bytes)});
  }
  return report;
}

} // namespace ingot
