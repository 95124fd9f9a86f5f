// What sm_90a adds, by inline PTX: mbarriers with transaction counts, bulk and tensor copies,
// asynchronous warpgroup matrix products, stmatrix, elect.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

struct alignas(64) TensorMap {
  unsigned long long opaque[16];
};

__device__ unsigned sharedAddress(const void *p) { return (unsigned)__cvta_generic_to_shared(p); }

__device__ void barrierInit(unsigned long long *barrier, unsigned count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(sharedAddress(barrier)), "r"(count)
               : "memory");
}
__device__ void barrierExpect(unsigned long long *barrier, unsigned bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(
                   sharedAddress(barrier)),
               "r"(bytes)
               : "memory");
}
__device__ void barrierArrive(unsigned long long *barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(sharedAddress(barrier)) : "memory");
}
__device__ void barrierWait(unsigned long long *barrier, unsigned parity) {
  asm volatile("{\n.reg .pred done;\nwaiting:\n"
               "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
               "@done bra finished;\nbra waiting;\nfinished:\n}" ::"r"(sharedAddress(barrier)),
               "r"(parity)
               : "memory");
}
__device__ void fenceBarrierInit() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
__device__ void fenceAsync() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Bulk copies in, arithmetic in place, bulk copies out; two stages, one thread issues.
KERNEL void bulkCopies(const float *in, float *out, int tiles) {
  __shared__ __align__(128) float stages[2][256];
  __shared__ __align__(8) unsigned long long full[2];
  const int t = threadIdx.x; // 128 threads
  if (t == 0) {
    barrierInit(&full[0], 1);
    barrierInit(&full[1], 1);
    fenceBarrierInit();
  }
  __syncthreads();
  auto load = [&](int k) {
    barrierExpect(&full[k % 2], 1024);
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
                 "[%0], [%1], %2, [%3];" ::"r"(sharedAddress(stages[k % 2])),
                 "l"(in + 256 * k), "r"(1024), "r"(sharedAddress(&full[k % 2]))
                 : "memory");
  };
  if (t == 0)
    load(0);
  for (int k = 0; k < tiles; ++k) {
    if (t == 0 && k + 1 < tiles) {
      asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
      load(k + 1);
    }
    barrierWait(&full[k % 2], k / 2 % 2);
    stages[k % 2][t] = stages[k % 2][t] * 2 + 1;
    stages[k % 2][t + 128] = stages[k % 2][t + 128] * 3 - (float)k;
    fenceAsync();
    __syncthreads();
    if (t == 0) {
      asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(out + 256 * k),
                   "r"(sharedAddress(stages[k % 2])), "r"(1024)
                   : "memory");
      asm volatile("cp.async.bulk.commit_group;" ::: "memory");
    }
  }
  if (t == 0)
    asm volatile("cp.async.bulk.wait_group 0;" ::: "memory");
}

// Warps as producer and consumers around a ring of full and empty barriers.
KERNEL void barrierRing(const int *in, int *out, int tiles) {
  __shared__ __align__(16) int slots[3][64];
  __shared__ __align__(8) unsigned long long full[3], empty[3];
  const int t = threadIdx.x; // 96: one producer warp, two consumer warps
  if (t == 0) {
    for (int s = 0; s < 3; ++s) {
      barrierInit(&full[s], 32);
      barrierInit(&empty[s], 64);
    }
    fenceBarrierInit();
  }
  __syncthreads();
  if (t < 32) {
    for (int k = 0; k < tiles; ++k) {
      const int s = k % 3;
      barrierWait(&empty[s], (k / 3 & 1) ^ 1);
      slots[s][t] = in[64 * k + t];
      slots[s][t + 32] = in[64 * k + t + 32];
      barrierArrive(&full[s]);
    }
  } else {
    int sum = 0;
    for (int k = 0; k < tiles; ++k) {
      const int s = k % 3;
      barrierWait(&full[s], k / 3 & 1);
      sum = sum * 3 + slots[s][(t + 5) % 64];
      barrierArrive(&empty[s]);
    }
    out[t - 32] = sum;
  }
}

// A tile of a matrix comes and goes by tensor copy: in with the map's swizzle, which is undone by
// hand, out through a plain map. 64 columns of bf16 are 128 bytes.
KERNEL void tensorCopy(const __grid_constant__ TensorMap from, const __grid_constant__ TensorMap to,
                       int swizzled) {
  __shared__ __align__(1024) unsigned short tile[64][64], plain[64][64];
  __shared__ __align__(8) unsigned long long full;
  const int t = threadIdx.x;
  if (t == 0) {
    barrierInit(&full, 1);
    fenceBarrierInit();
  }
  __syncthreads();
  if (t == 0) {
    barrierExpect(&full, sizeof tile);
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%2, %3}], [%4];" ::"r"(sharedAddress(tile)),
                 "l"(&from), "r"(blockIdx.x * 64), "r"(blockIdx.y * 64), "r"(sharedAddress(&full))
                 : "memory");
  }
  barrierWait(&full, 0);
  for (int i = t; i < 4096; i += blockDim.x) {
    const int row = i / 64, column = i % 64;
    const int from = swizzled ? (column / 8 ^ row % 8) * 8 + column % 8 : column;
    plain[row][column] = (unsigned short)(tile[row][from] + 1);
  }
  fenceAsync();
  __syncthreads();
  if (t == 0) {
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(
                     &to),
                 "r"(blockIdx.x * 64), "r"(blockIdx.y * 64), "r"(sharedAddress(plain))
                 : "memory");
    asm volatile("cp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;" ::: "memory");
  }
}

// Descriptor of a tile with 128-byte swizzle: rows of 128 bytes, groups of 8 rows 1024 apart.
__device__ unsigned long long descriptor(const void *tile) {
  return (unsigned long long)(sharedAddress(tile) >> 4 & 0x3fff) | 1ull << 16 |
         (unsigned long long)(1024 >> 4) << 32 | 1ull << 62;
}

#define WGMMA_64X64(type)                                                                          \
  asm volatile(                                                                                    \
      "{\n.reg .pred p;\nsetp.ne.b32 p, %34, 0;\n"                                                 \
      "wgmma.mma_async.sync.aligned.m64n64k16.f32." type "." type " "                              \
      "{%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,"    \
      "%24,%25,%26,%27,%28,%29,%30,%31}, %32, %33, p, 1, 1, 0, 0;\n}"                              \
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]),        \
        "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]),    \
        "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]),              \
        "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]),              \
        "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])               \
      : "l"(descriptor(&as[0][0]) + 2 * step), "l"(descriptor(&bs[0][0]) + 2 * step),              \
        "r"(accumulate))

// D = A·Bᵀ, both 64 x k with k contiguous, by one warpgroup: threads store the swizzled tiles.
template <bool bfloat>
__device__ void warpgroupMatmul(const unsigned short *a, const unsigned short *b, float *out,
                                int k) {
  __shared__ __align__(1024) unsigned short as[64][64], bs[64][64];
  const int t = threadIdx.x;
  float d[32];
  for (int i = 0; i < 32; ++i)
    d[i] = 0;
  int accumulate = 0;
  for (int base = 0; base < k; base += 64) {
    for (int i = t; i < 4096; i += 128) {
      const int row = i / 64, column = i % 64, place = (column / 8 ^ row % 8) * 8 + column % 8;
      as[row][place] = a[row * k + base + column];
      bs[row][place] = b[row * k + base + column];
    }
    fenceAsync();
    __syncthreads();
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
    for (int step = 0; step < 4; ++step) {
      if (bfloat)
        WGMMA_64X64("bf16");
      else
        WGMMA_64X64("f16");
      accumulate = 1;
    }
    asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
    for (int i = 0; i < 32; ++i)
      asm volatile("" : "+f"(d[i])::"memory");
    __syncthreads();
  }
  const int row = t / 32 * 16 + t % 32 / 4, column = t % 4 * 2;
  for (int i = 0; i < 32; ++i)
    out[(row + i / 2 % 2 * 8) * 64 + i / 4 * 8 + column + i % 2] = d[i];
}

KERNEL void wgmmaHalf(const unsigned short *a, const unsigned short *b, float *out, int k) {
  warpgroupMatmul<false>(a, b, out, k);
}
KERNEL void wgmmaBfloat(const unsigned short *a, const unsigned short *b, float *out, int k) {
  warpgroupMatmul<true>(a, b, out, k);
}

// One leader a warp; matrices stored from fragments, plain and transposed.
KERNEL void storeMatrices(const unsigned *in, unsigned short *plain, unsigned short *transposed,
                          int *leaders) {
  __shared__ __align__(16) unsigned short rows[32][8];
  const int lane = threadIdx.x;
  unsigned leader, elected;
  asm volatile("{\n.reg .pred p;\nelect.sync %0|p, 0xffffffff;\nselp.u32 %1, 1, 0, p;\n}"
               : "=r"(leader), "=r"(elected));
  leaders[lane] = (int)(elected ? 100 + leader : leader);
  for (int pass = 0; pass < 2; ++pass) {
    const unsigned *v = in + 4 * lane;
    if (pass == 0)
      asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"(
                       sharedAddress(rows[lane])),
                   "r"(v[0]), "r"(v[1]), "r"(v[2]), "r"(v[3])
                   : "memory");
    else
      asm volatile("stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"(
                       sharedAddress(rows[lane])),
                   "r"(v[0]), "r"(v[1]), "r"(v[2]), "r"(v[3])
                   : "memory");
    __syncwarp();
    for (int c = 0; c < 8; ++c)
      (pass ? transposed : plain)[8 * lane + c] = rows[lane][c];
    __syncwarp();
  }
}

// A bulk copy that lands in both blocks of a cluster, and its barrier in each.
KERNEL void __cluster_dims__(2, 1, 1) multicast(const int *in, int *out) {
  __shared__ __align__(128) int tile[256];
  __shared__ __align__(8) unsigned long long full;
  unsigned rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  const int t = threadIdx.x; // 128
  if (t == 0) {
    barrierInit(&full, 1);
    fenceBarrierInit();
    barrierExpect(&full, sizeof tile);
  }
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::
                   : "memory");
  if (t == 0) // each block fetches one half for both
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes"
                 ".multicast::cluster [%0], [%1], %2, [%3], %4;" ::"r"(
                     sharedAddress(tile + 128 * rank)),
                 "l"(in + 128 * rank), "r"(512), "r"(sharedAddress(&full)), "h"((short)3)
                 : "memory");
  barrierWait(&full, 0);
  out[blockIdx.x * 256 + t] = tile[255 - t] + (int)rank;
  out[blockIdx.x * 256 + 128 + t] = tile[127 - t] + (int)rank;
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::
                   : "memory");
}

// A thread of one block arrives at a barrier of another.
KERNEL void __cluster_dims__(2, 1, 1) remoteArrive(const int *in, int *out) {
  __shared__ int mailbox[32];
  __shared__ __align__(8) unsigned long long ready;
  unsigned rank, remoteBarrier, remoteBox;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  if (threadIdx.x == 0) {
    barrierInit(&ready, 32);
    fenceBarrierInit();
  }
  asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
  asm("mapa.shared::cluster.u32 %0, %1, %2;"
      : "=r"(remoteBarrier)
      : "r"(sharedAddress(&ready)), "r"(rank ^ 1));
  asm("mapa.shared::cluster.u32 %0, %1, %2;"
      : "=r"(remoteBox)
      : "r"(sharedAddress(mailbox + threadIdx.x)), "r"(rank ^ 1));
  asm volatile("st.shared::cluster.u32 [%0], %1;" ::"r"(remoteBox),
               "r"(in[blockIdx.x * 32 + threadIdx.x])
               : "memory");
  asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(remoteBarrier)
               : "memory");
  asm volatile("{\n.reg .pred done;\nwaiting:\n"
               "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 done, [%0], 0;\n"
               "@!done bra waiting;\n}" ::"r"(sharedAddress(&ready))
               : "memory");
  out[blockIdx.x * 32 + threadIdx.x] = mailbox[31 - threadIdx.x];
  asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
}

// Registers move from the producer warpgroup to the consumer.
KERNEL void __launch_bounds__(256, 1) registerBudget(const int *in, int *out) {
  __shared__ int slots[128];
  if (threadIdx.x < 128) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
    slots[threadIdx.x] = in[threadIdx.x] * 3;
    asm volatile("bar.sync 1, 256;" ::: "memory");
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
    asm volatile("bar.sync 1, 256;" ::: "memory");
    out[threadIdx.x - 128] = slots[255 - threadIdx.x];
  }
}
