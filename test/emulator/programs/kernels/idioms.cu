// CUDA's own idioms: threads of a block, and blocks, working together.

// Sum of a block in shared memory: a tree with a barrier at each level.
KERNEL void reduceShared(const int *in, long long *out, int n) {
  __shared__ long long partial[256];
  const int t = threadIdx.x, i = blockIdx.x * blockDim.x + t;
  partial[t] = i < n ? in[i] : 0;
  __syncthreads();
  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    if (t < half)
      partial[t] += partial[t + half];
    __syncthreads();
  }
  if (t == 0)
    out[blockIdx.x] = partial[0];
}

// Sum and maximum of a grid: shuffles in the warp, shared memory between warps, atomics between
// blocks.
KERNEL void reduceShuffle(const int *in, unsigned long long *sum, int *largest, int n) {
  __shared__ long long sums[32];
  __shared__ int maxima[32];
  long long s = 0;
  int m = -2147483647 - 1;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    s += in[i];
    m = max(m, in[i]);
  }
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = (blockDim.x + 31) / 32;
  for (int k = 16; k > 0; k /= 2) {
    s += __shfl_down_sync(0xffffffffu, s, k);
    m = max(m, __shfl_xor_sync(0xffffffffu, m, k));
  }
  if (lane == 0) {
    sums[warp] = s;
    maxima[warp] = m;
  }
  __syncthreads();
  if (warp == 0) {
    s = lane < warps ? sums[lane] : 0;
    m = lane < warps ? maxima[lane] : -2147483647 - 1;
    for (int k = 16; k > 0; k /= 2) {
      s += __shfl_down_sync(0xffffffffu, s, k);
      m = max(m, __shfl_xor_sync(0xffffffffu, m, k));
    }
    if (lane == 0) {
      atomicAdd(sum, (unsigned long long)s);
      atomicMax(largest, m);
    }
  }
}

// The last block that finishes adds up what all wrote: fences and a counter.
__device__ unsigned finishedBlocks;

KERNEL void reduceLastBlock(const float *in, volatile float *partial, float *out, int n) {
  extern __shared__ float values[];
  __shared__ bool isLast;
  const int t = threadIdx.x;
  float sum = 0;
  for (int i = blockIdx.x * blockDim.x + t; i < n; i += gridDim.x * blockDim.x)
    sum += in[i];
  values[t] = sum;
  __syncthreads();
  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    if (t < half)
      values[t] += values[t + half];
    __syncthreads();
  }
  if (t == 0) {
    partial[blockIdx.x] = values[0];
    __threadfence();
    isLast = atomicInc(&finishedBlocks, gridDim.x - 1) == gridDim.x - 1;
  }
  __syncthreads();
  if (isLast && t == 0) {
    __threadfence();
    float total = 0;
    for (unsigned b = 0; b < gridDim.x; ++b)
      total += partial[b];
    *out = total;
  }
}

// Inclusive sums of a block: Hillis and Steele, two buffers.
KERNEL void scanHillisSteele(const int *in, int *out) {
  __shared__ int buffers[2][128];
  const int t = threadIdx.x, base = blockIdx.x * 128;
  int from = 0;
  buffers[0][t] = in[base + t];
  __syncthreads();
  for (int step = 1; step < 128; step *= 2) {
    buffers[1 - from][t] = buffers[from][t] + (t >= step ? buffers[from][t - step] : 0);
    from = 1 - from;
    __syncthreads();
  }
  out[base + t] = buffers[from][t];
}

// Exclusive sums of a block: Blelloch's up and down sweeps, two elements a thread, padded banks.
#define PADDED(i) ((i) + (i) / 32)
KERNEL void scanBlelloch(const int *in, int *out) {
  __shared__ int values[PADDED(256)];
  const int t = threadIdx.x, base = blockIdx.x * 256;
  values[PADDED(t)] = in[base + t];
  values[PADDED(t + 128)] = in[base + t + 128];
  int offset = 1;
  for (int d = 128; d > 0; d /= 2) {
    __syncthreads();
    if (t < d)
      values[PADDED(offset * (2 * t + 2) - 1)] += values[PADDED(offset * (2 * t + 1) - 1)];
    offset *= 2;
  }
  if (t == 0)
    values[PADDED(255)] = 0;
  for (int d = 1; d < 256; d *= 2) {
    offset /= 2;
    __syncthreads();
    if (t < d) {
      const int a = PADDED(offset * (2 * t + 1) - 1), b = PADDED(offset * (2 * t + 2) - 1);
      const int left = values[a];
      values[a] = values[b];
      values[b] += left;
    }
  }
  __syncthreads();
  out[base + t] = values[PADDED(t)];
  out[base + t + 128] = values[PADDED(t + 128)];
}

// Inclusive sums of a whole array in one pass: blocks take tickets and look back at what earlier
// ones published (0 nothing, 1 their own sum, 2 their prefix). Later tickets spin on earlier ones.
struct LookBack {
  unsigned state;
  int sum, prefix;
};
__device__ unsigned nextTicket;

KERNEL void scanLookBack(const int *in, int *out, volatile LookBack *blocks, int n) {
  __shared__ int ticket, before, warpSums[4];
  const int t = threadIdx.x, lane = t % 32, warp = t / 32;
  if (t == 0)
    ticket = (int)atomicAdd(&nextTicket, 1u);
  __syncthreads();
  const int block = ticket, i = block * 128 + t;
  int value = i < n ? in[i] : 0;
  for (int k = 1; k < 32; k *= 2) {
    const int other = __shfl_up_sync(0xffffffffu, value, k);
    if (lane >= k)
      value += other;
  }
  if (lane == 31)
    warpSums[warp] = value;
  __syncthreads();
  for (int w = 0; w < warp; ++w)
    value += warpSums[w];
  if (t == 127) {
    if (block == 0) {
      blocks[0].prefix = value;
      __threadfence();
      blocks[0].state = 2;
      before = 0;
    } else {
      blocks[block].sum = value;
      __threadfence();
      blocks[block].state = 1;
      int exclusive = 0;
      for (int b = block - 1; b >= 0;) {
        const unsigned state = blocks[b].state;
        __threadfence();
        if (state == 2) {
          exclusive += blocks[b].prefix;
          break;
        }
        if (state == 1) {
          exclusive += blocks[b].sum;
          --b;
        }
      }
      blocks[block].prefix = exclusive + value;
      __threadfence();
      blocks[block].state = 2;
      before = exclusive;
    }
  }
  __syncthreads();
  if (i < n)
    out[i] = before + value;
}

KERNEL void histogram(const unsigned char *in, unsigned *bins, int n) {
  __shared__ unsigned local[256];
  for (int b = threadIdx.x; b < 256; b += blockDim.x)
    local[b] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    atomicAdd(&local[in[i]], 1u);
  __syncthreads();
  for (int b = threadIdx.x; b < 256; b += blockDim.x)
    if (local[b])
      atomicAdd(&bins[b], local[b]);
}

// C = A·B + C, row-major; a 32x32 tile a block, 2x2 elements a thread, ragged edges.
KERNEL void matmulTiled(const float *a, const float *b, float *c, int m, int n, int k) {
  __shared__ float as[32][17], bs[16][32];
  const int tx = threadIdx.x, ty = threadIdx.y;
  const int row = blockIdx.y * 32, column = blockIdx.x * 32;
  float sums[2][2] = {{0}};
  for (int base = 0; base < k; base += 16) {
    for (int r = ty; r < 32; r += 16) {
      as[r][tx] = row + r < m && base + tx < k ? a[(row + r) * k + base + tx] : 0;
      bs[ty][tx + (r - ty)] =
          base + ty < k && column + tx + (r - ty) < n ? b[(base + ty) * n + column + tx + (r - ty)] : 0;
    }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 16; ++i)
      for (int y = 0; y < 2; ++y)
        for (int x = 0; x < 2; ++x)
          sums[y][x] = __fmaf_rn(as[ty + 16 * y][i], bs[i][tx + 16 * x], sums[y][x]);
    __syncthreads();
  }
  for (int y = 0; y < 2; ++y)
    for (int x = 0; x < 2; ++x) {
      const int r = row + ty + 16 * y, s = column + tx + 16 * x;
      if (r < m && s < n)
        c[r * n + s] += sums[y][x];
    }
}

KERNEL void transpose(const float *in, float *out, int rows, int columns) {
  __shared__ float tile[32][33];
  const int x = blockIdx.x * 32 + threadIdx.x;
  for (int j = threadIdx.y; j < 32; j += blockDim.y) {
    const int y = blockIdx.y * 32 + j;
    if (x < columns && y < rows)
      tile[j][threadIdx.x] = in[y * columns + x];
  }
  __syncthreads();
  const int tx = blockIdx.y * 32 + threadIdx.x;
  for (int j = threadIdx.y; j < 32; j += blockDim.y) {
    const int ty = blockIdx.x * 32 + j;
    if (tx < rows && ty < columns)
      out[ty * rows + tx] = tile[threadIdx.x][j];
  }
}

KERNEL void bitonicSort(unsigned *keys, unsigned short *values) {
  extern __shared__ unsigned sharedKeys[];
  unsigned short *sharedValues = (unsigned short *)(sharedKeys + 2 * blockDim.x);
  const int t = threadIdx.x, size = 2 * blockDim.x, base = blockIdx.x * size;
  for (int k = t; k < size; k += blockDim.x) {
    sharedKeys[k] = keys[base + k];
    sharedValues[k] = values[base + k];
  }
  for (int run = 2; run <= size; run *= 2)
    for (int step = run / 2; step > 0; step /= 2) {
      __syncthreads();
      const int a = 2 * t - (t & (step - 1)), b = a + step;
      if ((sharedKeys[a] > sharedKeys[b]) == ((a & run) == 0)) {
        const unsigned key = sharedKeys[a];
        sharedKeys[a] = sharedKeys[b];
        sharedKeys[b] = key;
        const unsigned short value = sharedValues[a];
        sharedValues[a] = sharedValues[b];
        sharedValues[b] = value;
      }
    }
  __syncthreads();
  for (int k = t; k < size; k += blockDim.x) {
    keys[base + k] = sharedKeys[k];
    values[base + k] = sharedValues[k];
  }
}

// Five points in two dimensions; the halo comes with the tile, edges repeat.
KERNEL void stencil(const float *in, float *out, int width, int height) {
  __shared__ float tile[10][18];
  const int x0 = blockIdx.x * 16 - 1, y0 = blockIdx.y * 8 - 1;
  for (int k = threadIdx.y * 16 + threadIdx.x; k < 180; k += 128) {
    const int x = min(max(x0 + k % 18, 0), width - 1), y = min(max(y0 + k / 18, 0), height - 1);
    tile[k / 18][k % 18] = in[y * width + x];
  }
  __syncthreads();
  const int tx = threadIdx.x + 1, ty = threadIdx.y + 1;
  const int x = x0 + tx, y = y0 + ty;
  if (x < width && y < height)
    out[y * width + x] = 0.5f * tile[ty][tx] + 0.125f * (tile[ty - 1][tx] + tile[ty + 1][tx]) +
                         0.125f * (tile[ty][tx - 1] + tile[ty][tx + 1]);
}

// Rounds of neighbour exchange with a barrier of the whole grid between them: every block must be
// resident at once (a cooperative launch).
__device__ unsigned arrivedBlocks;
__device__ volatile unsigned gridPhase;

__device__ void gridBarrier() {
  __syncthreads();
  if (threadIdx.x == 0) {
    const unsigned phase = gridPhase;
    __threadfence();
    if (atomicAdd(&arrivedBlocks, 1u) == gridDim.x - 1) {
      arrivedBlocks = 0;
      __threadfence();
      gridPhase = phase + 1;
    } else {
      while (gridPhase == phase)
        __nanosleep(32);
    }
    __threadfence();
  }
  __syncthreads();
}

KERNEL void gridRounds(volatile int *first, volatile int *second, int rounds) {
  const int n = gridDim.x * blockDim.x, i = blockIdx.x * blockDim.x + threadIdx.x;
  volatile int *from = first, *to = second;
  for (int r = 0; r < rounds; ++r) {
    to[i] = from[(i + 1) % n] + 3 * from[(i + n - 1) % n] + r;
    volatile int *swap = from;
    from = to;
    to = swap;
    gridBarrier();
  }
}

// Named barriers: one half of the block produces, the other consumes, through two slots.
KERNEL void producerConsumer(const int *in, int *out, int rounds) {
  __shared__ int slots[2][64];
  const int t = threadIdx.x % 64;
  if (threadIdx.x < 64) {
    for (int r = 0; r < rounds; ++r) {
      if (r >= 2)
        asm volatile("barrier.sync %0, 128;" ::"r"(3 + r % 2) : "memory");
      slots[r % 2][t] = in[64 * r + t] * 2;
      asm volatile("barrier.arrive %0, 128;" ::"r"(1 + r % 2) : "memory");
    }
  } else {
    int sum = 0;
    for (int r = 0; r < rounds; ++r) {
      asm volatile("barrier.sync %0, 128;" ::"r"(1 + r % 2) : "memory");
      sum += slots[r % 2][63 - t] * (r + 1);
      if (r + 2 < rounds)
        asm volatile("barrier.arrive %0, 128;" ::"r"(3 + r % 2) : "memory");
    }
    out[t] = sum;
  }
}

// Barriers that reduce a predicate over the block.
KERNEL void barrierReductions(const int *in, int *out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const int count = __syncthreads_count(in[i] > 0);
  const int all = __syncthreads_and(in[i] > -100);
  const int any = __syncthreads_or(in[i] > 90);
  out[i] = count * 4 + all * 2 + any;
}

// A queue in memory: a spin lock by compare-and-swap, taken by one lane of a warp at a time.
__device__ int lockWord;

KERNEL void spinLock(volatile int *counter, volatile int *log) {
  for (bool done = false; !done;) {
    if (atomicCAS(&lockWord, 0, 1) == 0) {
      __threadfence();
      const int ticket = *counter;
      *counter = ticket + 1;
      log[ticket] = blockIdx.x * blockDim.x + threadIdx.x;
      __threadfence();
      atomicExch(&lockWord, 0);
      done = true;
    }
  }
}

// Clocks run forward and sleeping ends.
KERNEL void clocks(long long *out) {
  const long long before = clock64();
  __nanosleep(100);
  const long long after = clock64();
  unsigned long long timer;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(timer));
  out[threadIdx.x] = after > before && timer != 0;
}
