#include "runtime/emulator/machine/InstructionSet.h"
#include "runtime/emulator/machine/Lanes.h"
#include <map>

namespace ingot::emulator {

namespace {

constexpr Family (*families[])() = {
    integerFamily,       bitsFamily,       compareFamily,    moveFamily,          floatFamily,
    convertFamily,       memoryFamily,     controlFamily,    warpFamily,          atomicFamily,
    barrierFamily,       matrixFamily,     warpMatrixFamily, memoryBarrierFamily, asyncCopyFamily,
    bulkCopyFamily,      asyncStoreFamily, registerFamily,   videoFamily,         tensorMapFamily,
    convertPackedFamily,
};

using Table = std::map<std::string_view, std::vector<InstructionRow>>;

const Table &table() {
  // Never destroyed: a program's own statics may still load modules when it ends.
  static const Table &table = *[] {
    auto rows = std::make_unique<Table>();
    for (const auto family : families)
      for (const InstructionRow &row : family())
        (*rows)[row.opcode].push_back(row);
    return rows.release();
  }();
  return table;
}

} // namespace

std::span<const InstructionRow> rowsOf(std::string_view opcode) {
  const auto found = table().find(opcode);
  return found == table().end() ? std::span<const InstructionRow>() : found->second;
}

std::vector<std::string_view> opcodes() {
  std::vector<std::string_view> names;
  for (const auto &[opcode, rows] : table())
    names.push_back(opcode);
  return names;
}

int hostVectorLevel() {
#if defined(__x86_64__)
  static const int level = [] {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd"))
      return 2;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? 1 : 0;
  }();
  return level;
#else
  return 0;
#endif
}

} // namespace ingot::emulator
