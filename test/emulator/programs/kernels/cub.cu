// CUB's block and warp algorithms, as libraries use them.
#include <cub/block/block_histogram.cuh>
#include <cub/block/block_load.cuh>
#include <cub/block/block_radix_sort.cuh>
#include <cub/block/block_reduce.cuh>
#include <cub/block/block_scan.cuh>
#include <cub/block/block_store.cuh>
#include <cub/warp/warp_merge_sort.cuh>
#include <cub/warp/warp_scan.cuh>

KERNEL void cubReduce(const float *in, float *out) {
  using Reduce = cub::BlockReduce<float, 128>;
  using Raking = cub::BlockReduce<float, 128, cub::BLOCK_REDUCE_RAKING>;
  __shared__ Reduce::TempStorage first;
  __shared__ Raking::TempStorage second;
  const float x = in[blockIdx.x * 128 + threadIdx.x];
  const float sum = Reduce(first).Sum(x);
  const float other = Raking(second).Sum(x);
  if (threadIdx.x == 0) {
    out[2 * blockIdx.x] = sum;
    out[2 * blockIdx.x + 1] = other;
  }
}

KERNEL void cubScan(const int *in, int *inclusive, int *exclusive) {
  using Load = cub::BlockLoad<int, 64, 4, cub::BLOCK_LOAD_TRANSPOSE>;
  using Store = cub::BlockStore<int, 64, 4, cub::BLOCK_STORE_WARP_TRANSPOSE>;
  using Scan = cub::BlockScan<int, 64, cub::BLOCK_SCAN_RAKING>;
  using WarpScans = cub::BlockScan<int, 64, cub::BLOCK_SCAN_WARP_SCANS>;
  __shared__ union {
    Load::TempStorage load;
    Store::TempStorage store;
    Scan::TempStorage scan;
    WarpScans::TempStorage warpScans;
  } shared;
  int items[4], sums[4];
  Load(shared.load).Load(in + blockIdx.x * 256, items);
  __syncthreads();
  Scan(shared.scan).InclusiveSum(items, sums);
  __syncthreads();
  Store(shared.store).Store(inclusive + blockIdx.x * 256, sums);
  __syncthreads();
  WarpScans(shared.warpScans).ExclusiveSum(items, sums);
  __syncthreads();
  Store(shared.store).Store(exclusive + blockIdx.x * 256, sums);
}

KERNEL void cubSort(const unsigned *keysIn, const int *valuesIn, unsigned *keys, int *values) {
  using Sort = cub::BlockRadixSort<unsigned, 64, 4, int>;
  __shared__ Sort::TempStorage shared;
  unsigned key[4];
  int value[4];
  for (int k = 0; k < 4; ++k) {
    key[k] = keysIn[4 * threadIdx.x + k];
    value[k] = valuesIn[4 * threadIdx.x + k];
  }
  Sort(shared).SortBlockedToStriped(key, value);
  for (int k = 0; k < 4; ++k) {
    keys[64 * k + threadIdx.x] = key[k];
    values[64 * k + threadIdx.x] = value[k];
  }
}

KERNEL void cubHistogram(unsigned char *in, unsigned *bins) {
  using Histogram = cub::BlockHistogram<unsigned char, 64, 4, 16, cub::BLOCK_HISTO_SORT>;
  __shared__ Histogram::TempStorage shared;
  __shared__ unsigned counts[16];
  unsigned char items[4];
  for (int k = 0; k < 4; ++k)
    items[k] = in[4 * threadIdx.x + k];
  Histogram(shared).Histogram(items, counts);
  __syncthreads();
  if (threadIdx.x < 16)
    bins[threadIdx.x] = counts[threadIdx.x];
}
