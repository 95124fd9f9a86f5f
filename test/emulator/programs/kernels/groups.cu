// Cooperative groups: tiles, coalesced groups, reductions and scans.
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
namespace cg = cooperative_groups;

KERNEL void tileReduce(const int *in, int *out) {
  const cg::thread_block block = cg::this_thread_block();
  const int i = block.group_index().x * block.size() + block.thread_rank();
  const auto tile32 = cg::tiled_partition<32>(block);
  const auto tile8 = cg::tiled_partition<8>(tile32);
  int *o = out + 8 * i;
  o[0] = cg::reduce(tile32, in[i], cg::plus<int>());
  o[1] = cg::reduce(tile8, in[i], cg::less<int>());
  o[2] = cg::inclusive_scan(tile8, in[i]);
  o[3] = cg::exclusive_scan(tile32, in[i]);
  o[4] = tile8.shfl(in[i], 3) + tile8.thread_rank() * 1000 + tile8.meta_group_rank() * 100000;
  o[5] = tile8.ballot(in[i] & 1);
  o[6] = tile8.any(in[i] > 50) + 2 * tile8.all(in[i] > -50);
  o[7] = tile32.shfl_xor(in[i], 5);
}

// Lanes that meet in a branch form a group; its first lane adds for all.
KERNEL void coalescedCount(const int *in, unsigned *counters, unsigned *tickets, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  const int key = in[i] & 3;
  for (int k = 0; k < 4; ++k) {
    if (key == k) {
      const cg::coalesced_group group = cg::coalesced_threads();
      unsigned base = 0;
      if (group.thread_rank() == 0)
        base = atomicAdd(&counters[k], group.size());
      tickets[i] = group.shfl(base, 0) + group.thread_rank();
    }
  }
}

KERNEL void labeledPartition(const int *in, int *out) {
  const auto warp = cg::tiled_partition<32>(cg::this_thread_block());
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const auto same = cg::labeled_partition(warp, in[i] & 3);
  out[2 * i] = cg::reduce(same, in[i], cg::plus<int>());
  out[2 * i + 1] = (int)(same.thread_rank() * 64 + same.size());
}

// Tiles of more than a warp meet in shared memory and barriers.
KERNEL void wideTiles(const int *in, int *out) {
  __shared__ cg::block_tile_memory<128> memory;
  const auto block = cg::this_thread_block(memory);
  const auto tile = cg::tiled_partition<64>(block);
  const int i = blockIdx.x * 128 + threadIdx.x;
  out[i] = cg::reduce(tile, in[i], cg::plus<int>());
  tile.sync();
  block.sync();
}

KERNEL void gridSync(int *first, int *second) {
  const cg::grid_group grid = cg::this_grid();
  const int i = (int)grid.thread_rank(), n = (int)grid.size();
  first[i] = i * 3;
  grid.sync();
  second[i] = first[(i + 7) % n];
}
