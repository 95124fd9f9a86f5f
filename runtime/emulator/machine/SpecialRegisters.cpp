#include "runtime/emulator/machine/SpecialRegisters.h"
#include <chrono>

namespace ingot::emulator {
namespace {

uint64_t nanoseconds() {
  return uint64_t(std::chrono::duration_cast<std::chrono::nanoseconds>(
                      std::chrono::steady_clock::now().time_since_epoch())
                      .count());
}

const LaunchRequest &request(const Warp &warp) { return warp.launch->request; }
const Block &block(const Warp &warp) { return *warp.block; }
/// Position of the block in its cluster.
Dim3 inCluster(const Warp &warp) {
  const Dim3 &size = request(warp).cluster;
  const uint32_t rank = block(warp).rank;
  return {rank % size.x, rank / size.x % size.y, rank / size.x / size.y};
}
Dim3 clusters(const Warp &warp) {
  const auto &[grid, size] = std::pair(request(warp).grid, request(warp).cluster);
  return {grid.x / size.x, grid.y / size.y, grid.z / size.z};
}

#define EACH_AXIS(name, dimension)                                                                 \
  {name ".x", 32, false, [](const Warp &w, int l) -> uint64_t { return (dimension).x; }},          \
      {name ".y", 32, false, [](const Warp &w, int l) -> uint64_t { return (dimension).y; }},      \
      {name ".z", 32, false, [](const Warp &w, int l) -> uint64_t { return (dimension).z; }}, {    \
    name ".w", 32, false, [](const Warp &w, int l) -> uint64_t { return 0; }                       \
  }
#define VALUE(name, bits, value)                                                                   \
  {name, bits, false, [](const Warp &w, int l) -> uint64_t { return value; }}
#define CHANGING(name, bits, value)                                                                \
  {name, bits, true, [](const Warp &w, int l) -> uint64_t { return value; }}

/// Shared memory that the launch has, static and dynamic.
uint64_t totalShared(const Warp &w) { return block(w).shared.size(); }

constexpr SpecialRegister table[] = {
    EACH_AXIS("%tid", w.threadOf(l)),
    EACH_AXIS("%ntid", request(w).block),
    EACH_AXIS("%ctaid", block(w).index),
    EACH_AXIS("%nctaid", request(w).grid),
    EACH_AXIS("%clusterid", block(w).cluster->index),
    EACH_AXIS("%nclusterid", clusters(w)),
    EACH_AXIS("%cluster_ctaid", inCluster(w)),
    EACH_AXIS("%cluster_nctaid", request(w).cluster),
    VALUE("%cluster_ctarank", 32, block(w).rank),
    VALUE("%cluster_nctarank", 32, request(w).cluster.count()),
    VALUE("%is_explicit_cluster", 1, request(w).cluster.count() > 1),
    VALUE("%laneid", 32, uint64_t(l)),
    VALUE("%warpid", 32, uint64_t(w.index)),
    VALUE("%nwarpid", 32, 64),
    // The machine has as many multiprocessors as an H100 and puts a block where its number says.
    VALUE("%smid", 32, (block(w).index.x + uint64_t(block(w).index.y) * request(w).grid.x) % 132),
    VALUE("%nsmid", 32, 132),
    VALUE("%gridid", 64, 1),
    VALUE("%lanemask_eq", 32, uint32_t(1) << l),
    VALUE("%lanemask_le", 32, uint32_t(2) * (uint32_t(1) << l) - 1),
    VALUE("%lanemask_lt", 32, (uint32_t(1) << l) - 1),
    VALUE("%lanemask_ge", 32, ~((uint32_t(1) << l) - 1)),
    VALUE("%lanemask_gt", 32, uint32_t(~(uint32_t(2) * (uint32_t(1) << l) - 1))),
    // A clock that counts what was executed is the same in every run of the same order.
    CHANGING("%clock", 32, uint32_t(w.executed)),
    CHANGING("%clock_hi", 32, w.executed >> 32),
    CHANGING("%clock64", 64, w.executed),
    CHANGING("%globaltimer", 64, nanoseconds()),
    CHANGING("%globaltimer_lo", 32, uint32_t(nanoseconds())),
    CHANGING("%globaltimer_hi", 32, nanoseconds() >> 32),
    VALUE("%total_smem_size", 32, totalShared(w)),
    VALUE("%aggr_smem_size", 32, totalShared(w)),
    VALUE("%dynamic_smem_size", 32, uint64_t(request(w).dynamicSharedBytes)),
    VALUE("%reserved_smem_offset_begin", 32, 0),
    VALUE("%reserved_smem_offset_end", 32, reservedSharedBytes),
    VALUE("%reserved_smem_offset_cap", 32, reservedSharedBytes),
    VALUE("%reserved_smem_offset_0", 32, 0),
    VALUE("%reserved_smem_offset_1", 32, reservedSharedBytes / 2),
    // The driver's: where the barrier of a cooperative launch lies.
    VALUE("%envreg1", 32, request(w).gridWorkspace >> 32),
    VALUE("%envreg2", 32, request(w).gridWorkspace & 0xffffffff),
    VALUE("%current_graph_exec", 64, 0),
};

template <typename T, typename Value> void fill(std::byte *row, Value value) {
  T *values = reinterpret_cast<T *>(row);
  for (int lane = 0; lane < lanes; ++lane)
    values[lane] = T(value(lane));
}

} // namespace

int findSpecialRegister(std::string_view name) {
  for (size_t i = 0; i < std::size(table); ++i)
    if (table[i].name == name)
      return int(i);
  return -1;
}

const SpecialRegister &specialRegister(int row) { return table[row]; }

void fillFrameValue(const Warp &warp, Frame &frame, const FrameValue &value) {
  std::byte *row = frame.registers + value.slot;
  const auto compute = [&](int lane) -> uint64_t {
    switch (value.kind) {
    case FrameValue::Kind::Special:
      return table[value.special].read(warp, lane);
    case FrameValue::Kind::SharedAddress:
      // Blocks of a cluster find each other's memory by rank, as on the real machine.
      return (uint64_t(warp.block->rank) << 24) +
             uint64_t(warp.launch->request.kernel->shared[value.index].offset + value.addend);
    case FrameValue::Kind::LocalAddress:
      return uint64_t(frame.localBase + value.addend);
    }
    return 0;
  };
  if (value.bits == 1) {
    uint32_t mask = 0;
    for (int lane = 0; lane < lanes; ++lane)
      mask |= uint32_t(compute(lane) & 1) << lane;
    *reinterpret_cast<uint32_t *>(row) = mask;
  } else if (value.bits == 16) {
    fill<uint16_t>(row, compute);
  } else if (value.bits == 32) {
    fill<uint32_t>(row, compute);
  } else {
    fill<uint64_t>(row, compute);
  }
}

} // namespace ingot::emulator
