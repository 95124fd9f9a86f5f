#include "runtime/cuda/MemoryNeed.h"
#include "runtime/program/Peak.h"
#include "runtime/support/HumanBytes.h"
#include <algorithm>

namespace ingot::cuda {
namespace {

/// "the program takes 3.0 GB of cuda's 80.0 GB, of which 2.0 GB are free: …"
std::string describe(const Gpu &gpu, const Program &program) {
  const auto [available, total] = gpu.memory();
  std::string text = fmt::format("the program takes {} of {}'s {}, of which {} are free",
                                 humanBytes(program.arenaBytes + program.workspaceBytes), gpu.name,
                                 humanBytes(total), humanBytes(available));
  if (program.functions.empty())
    return text;
  const Peak peak = findPeak(program, largestFunction(program));
  std::string parts;
  for (const auto &[role, bytes] : peak.bytes)
    if (bytes)
      parts +=
          fmt::format("{}{} {}", parts.empty() ? "" : ", ", ingot::name(role), humanBytes(bytes));
  if (program.workspaceBytes)
    parts +=
        fmt::format("{}scratch {}", parts.empty() ? "" : ", ", humanBytes(program.workspaceBytes));
  if (!parts.empty())
    text += fmt::format(": {}, the most in @{} at step {}{}", parts, peak.function, peak.step,
                        peak.op.empty() ? "" : fmt::format(" ({})", peak.op));
  return text;
}

} // namespace

Status checkMemory(const Gpu &gpu, const Program &program, int64_t stored) {
  const int64_t needed =
      program.arenaBytes + program.workspaceBytes - std::min(stored, program.persistentBytes);
  if (needed <= gpu.memory().first)
    return {};
  return failure(Error::Code::Unsupported, gpu.name, "not enough memory: {}",
                 describe(gpu, program));
}

tl::unexpected<Error> explainMemory(const Gpu &gpu, const Program &program, Error error) {
  error.message += "; " + describe(gpu, program);
  return tl::unexpected(std::move(error));
}

} // namespace ingot::cuda
