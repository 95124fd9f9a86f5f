// Copies that run beside the threads on sm_80: cp.async through the pipeline primitives, and
// libcu++'s barrier and pipeline.
#include <cooperative_groups.h>
#include <cuda/barrier>
#include <cuda/pipeline>
#include <cuda_pipeline.h>
namespace cg = cooperative_groups;

// A three-stage pipeline over tiles of 256 floats; 16 bytes a thread.
KERNEL void pipelinedSum(const float *in, float *out, int tiles) {
  __shared__ __align__(16) float stages[3][256];
  const int t = threadIdx.x; // 64 threads
  for (int s = 0; s < 2; ++s) {
    if (s < tiles)
      __pipeline_memcpy_async(&stages[s][4 * t], in + 256 * s + 4 * t, 16);
    __pipeline_commit();
  }
  float sum = 0;
  for (int k = 0; k < tiles; ++k) {
    __pipeline_wait_prior(1);
    __syncthreads();
    for (int j = 0; j < 4; ++j)
      sum += stages[k % 3][(4 * t + 37 * j) % 256] * (float)(j + 1);
    if (k + 2 < tiles)
      __pipeline_memcpy_async(&stages[(k + 2) % 3][4 * t], in + 256 * (k + 2) + 4 * t, 16);
    __pipeline_commit();
  }
  out[t] = sum;
}

// Sizes of 4 and 8 bytes, and zero-filled tails.
KERNEL void zeroFill(const int *in, int *out, int n) {
  __shared__ __align__(16) int tile[4 * 64];
  __shared__ __align__(8) int small[2 * 64];
  const int t = threadIdx.x;
  const int left = min(max(n - 4 * t, 0), 4);
  __pipeline_memcpy_async(&tile[4 * t], in + (left ? 4 * t : 0), 16, 16 - 4 * left);
  __pipeline_memcpy_async(&small[2 * t], in + 2 * t, 8);
  __pipeline_commit();
  __pipeline_wait_prior(0);
  __syncthreads();
  for (int k = 0; k < 4; ++k)
    out[4 * t + k] = tile[4 * (63 - t) + k] + small[(2 * t + k) % 128];
}

// Copies complete a barrier in shared memory.
KERNEL void barrierCopy(const int *in, int *out, int tiles) {
  __shared__ __align__(16) int tile[128];
#pragma nv_diag_suppress static_var_with_dynamic_init
  __shared__ cuda::barrier<cuda::thread_scope_block> barrier;
  const auto block = cg::this_thread_block();
  if (block.thread_rank() == 0)
    init(&barrier, blockDim.x);
  block.sync();
  int sum = 0;
  for (int k = 0; k < tiles; ++k) {
    cuda::memcpy_async(&tile[4 * threadIdx.x], in + 128 * k + 4 * threadIdx.x,
                       cuda::aligned_size_t<16>(16), barrier);
    barrier.arrive_and_wait();
    for (int j = 0; j < 4; ++j)
      sum = sum * 3 + tile[(threadIdx.x + 31 * j) % 128];
    block.sync();
  }
  out[threadIdx.x] = sum;
}

// A pipeline shared by the block: producers and consumers at once, two stages.
KERNEL void pipelineCopy(const int *in, int *out, int tiles) {
  __shared__ __align__(16) int stages[2][128];
#pragma nv_diag_suppress static_var_with_dynamic_init
  __shared__ cuda::pipeline_shared_state<cuda::thread_scope_block, 2> state;
  const auto block = cg::this_thread_block();
  auto pipeline = cuda::make_pipeline(block, &state);
  int sum = 0;
  for (int k = 0, fetched = 0; k < tiles; ++k) {
    for (; fetched < tiles && fetched < k + 2; ++fetched) {
      pipeline.producer_acquire();
      cuda::memcpy_async(block, stages[fetched % 2], in + 128 * fetched,
                         cuda::aligned_size_t<16>(512), pipeline);
      pipeline.producer_commit();
    }
    pipeline.consumer_wait();
    for (int j = 0; j < 4; ++j)
      sum = sum * 5 + stages[k % 2][(threadIdx.x * 3 + j) % 128];
    pipeline.consumer_release();
  }
  out[threadIdx.x] = sum;
}

// Arrive early, work, then wait: phases of a barrier without copies.
KERNEL void splitBarrier(const int *in, int *out, int rounds) {
#pragma nv_diag_suppress static_var_with_dynamic_init
  __shared__ cuda::barrier<cuda::thread_scope_block> barrier;
  __shared__ int slots[2][96];
  if (threadIdx.x == 0)
    init(&barrier, blockDim.x);
  __syncthreads();
  int v = in[threadIdx.x];
  for (int r = 0; r < rounds; ++r) {
    slots[r % 2][threadIdx.x] = v;
    auto token = barrier.arrive();
    v = v * 7 + r;
    barrier.wait(cuda::std::move(token));
    v += slots[r % 2][(threadIdx.x + 33) % 96];
  }
  out[threadIdx.x] = v;
}
