// Lanes of a warp talking to each other.

KERNEL void shuffles(const int *in, int *out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const unsigned all = 0xffffffffu;
  const int v = in[i];
  int *o = out + 16 * i;
  o[0] = __shfl_sync(all, v, 5);
  o[1] = __shfl_sync(all, v, v & 31);
  o[2] = __shfl_up_sync(all, v, 1);
  o[3] = __shfl_up_sync(all, v, 7, 16);
  o[4] = __shfl_down_sync(all, v, 3);
  o[5] = __shfl_down_sync(all, v, 2, 8);
  o[6] = __shfl_xor_sync(all, v, 9);
  o[7] = __shfl_xor_sync(all, v, 6, 4);
  o[8] = __shfl_sync(all, v, 3, 8);
  o[9] = __shfl_sync(all, v, v & 63, 16);
  o[10] = __shfl_up_sync(all, v, v & 31);
  o[11] = __shfl_down_sync(all, v, 33);
  const long long wide = (long long)v << 20 ^ i;
  o[12] = (int)(__shfl_xor_sync(all, wide, 16) >> 18);
  o[13] = __float_as_int(__shfl_down_sync(all, (float)v, 4));
  o[14] = (int)__double_as_longlong(__shfl_up_sync(all, (double)v * 1e-3, 2));
  o[15] = __shfl_xor_sync(all, v, 1, 2) + __shfl_sync(all, v, 31, 32);
}

KERNEL void votes(const int *in, unsigned *out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const unsigned all = 0xffffffffu;
  const int v = in[i];
  unsigned *o = out + 12 * i;
  o[0] = __ballot_sync(all, v & 1);
  o[1] = __any_sync(all, v == 3);
  o[2] = __all_sync(all, v >= 0);
  o[3] = __match_any_sync(all, v & 7);
  int uniform;
  o[4] = __match_all_sync(all, v >> 20, &uniform);
  o[5] = uniform;
  o[6] = __reduce_add_sync(all, (unsigned)v);
  o[7] = (unsigned)__reduce_min_sync(all, v);
  o[8] = __reduce_max_sync(all, (unsigned)v) ^ __reduce_and_sync(all, v | 1) ^
         __reduce_or_sync(all, v & 0xff);
  o[9] = __reduce_xor_sync(all, (unsigned)v);
  o[10] = __match_any_sync(all, (unsigned long long)(v & 3) << 40);
  // In a branch: lanes that took it, whatever the others do.
  unsigned mask = __ballot_sync(all, v & 2);
  if (v & 2) {
    o[11] = __ballot_sync(mask, v & 4) ^ __shfl_sync(mask, v, __ffs(mask) - 1) ^
            __reduce_add_sync(mask, 1u);
    __syncwarp(mask);
  } else {
    mask = ~mask;
    o[11] = __popc(__activemask() & ~mask) + __match_any_sync(mask, v & 5);
    __syncwarp(mask);
  }
}

KERNEL void laneRegisters(unsigned *out) {
  const unsigned i = blockIdx.x * blockDim.x * blockDim.y + threadIdx.y * blockDim.x + threadIdx.x;
  unsigned lane, warp, below, upTo, same, above, upFrom;
  asm("mov.u32 %0, %%laneid;" : "=r"(lane));
  asm("mov.u32 %0, %%warpid;" : "=r"(warp));
  asm("mov.u32 %0, %%lanemask_lt;" : "=r"(below));
  asm("mov.u32 %0, %%lanemask_le;" : "=r"(upTo));
  asm("mov.u32 %0, %%lanemask_eq;" : "=r"(same));
  asm("mov.u32 %0, %%lanemask_gt;" : "=r"(above));
  asm("mov.u32 %0, %%lanemask_ge;" : "=r"(upFrom));
  out[2 * i] = lane;
  out[2 * i + 1] = (below | same) == upTo && (above | same) == upFrom && below + 1 == same &&
                   warpSize == 32 && warp < 32;
}

// Inclusive sums in the warp, segmented by flags.
KERNEL void segmentedScan(const int *values, const unsigned char *heads, int *out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, lane = threadIdx.x % 32;
  int value = values[i];
  const unsigned flags = __ballot_sync(0xffffffffu, heads[i] != 0) | 1u;
  const int start = 31 - __clz(flags & (0xffffffffu >> (31 - lane)));
  for (int k = 1; k < 32; k *= 2) {
    const int other = __shfl_up_sync(0xffffffffu, value, k);
    if (lane - k >= start)
      value += other;
  }
  out[i] = value;
}

// Stream compaction: ballots give places, one atomic per warp.
KERNEL void compact(const int *in, int *out, unsigned *count, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const bool keep = i < n && in[i] % 3 == 0;
  const unsigned mask = __ballot_sync(0xffffffffu, keep);
  unsigned base = 0;
  const int leader = __ffs(mask) - 1;
  if (mask) {
    if ((int)(threadIdx.x % 32) == leader)
      base = atomicAdd(count, __popc(mask));
    base = __shfl_sync(0xffffffffu, base, leader);
    if (keep)
      out[base + __popc(mask & ((1u << threadIdx.x % 32) - 1))] = in[i];
  }
}

// Producer and consumer lanes of one warp over shared memory, with __syncwarp between.
KERNEL void warpExchange(const int *in, int *out) {
  __shared__ int slots[4][32];
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  int v = in[i];
  for (int r = 0; r < 4; ++r) {
    slots[warp][lane] = v;
    __syncwarp();
    v = v * 3 + slots[warp][(lane + 1 + r) % 32];
    __syncwarp();
  }
  out[i] = v;
}
