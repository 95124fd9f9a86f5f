// Every atomic operation of CUDA C++, on global and shared memory.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

// Slots of `results`: add, sub, min, max, and, or, xor; all orders give one result.
template <typename T> __device__ void commuting(T *slots, T value) {
  atomicAdd(&slots[0], value);
  atomicMin(&slots[2], value);
  atomicMax(&slots[3], value);
  atomicAnd(&slots[4], value | (T)0x10101);
  atomicOr(&slots[5], value & (T)0xf0f0);
  atomicXor(&slots[6], value);
}

KERNEL void atomicsInt(const int *in, int *slots, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    commuting(slots, in[i]);
    atomicSub(&slots[1], in[i]);
  }
}

KERNEL void atomicsUnsigned(const unsigned *in, unsigned *slots, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    commuting(slots, in[i]);
    atomicSub(&slots[1], in[i]);
    atomicInc(&slots[7], 6u);
    atomicDec(&slots[8], 10u);
  }
}

KERNEL void atomicsUnsigned64(const unsigned long long *in, unsigned long long *slots, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    commuting(slots, in[i]);
}

KERNEL void atomicsSigned64(const long long *in, long long *slots, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) {
    atomicMin(&slots[2], in[i]);
    atomicMax(&slots[3], in[i]);
    atomicAnd(&slots[4], in[i]);
    atomicOr(&slots[5], in[i]);
    atomicXor(&slots[6], in[i]);
  }
}

KERNEL void atomicsShared(const int *in, int *out, unsigned long long *wide) {
  __shared__ int slots[8];
  __shared__ unsigned long long slots64[8];
  const int t = threadIdx.x;
  if (t < 8) {
    slots[t] = t == 4 ? -1 : 0;
    slots64[t] = t == 4 ? ~0ull : 0;
  }
  __syncthreads();
  const int value = in[blockIdx.x * blockDim.x + t];
  commuting(slots, value);
  commuting(slots64, (unsigned long long)(unsigned)value << 16 | (unsigned)t);
  __syncthreads();
  if (t < 8) {
    out[blockIdx.x * 8 + t] = slots[t];
    wide[blockIdx.x * 8 + t] = slots64[t];
  }
}

// What an atomic returns: tickets are a permutation; exchanges and swaps hand every value on.
KERNEL void atomicsReturn(unsigned *counter, unsigned *tickets, unsigned *chain, unsigned *received,
                          unsigned long long *chain64, unsigned long long *received64) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  tickets[i] = atomicAdd(counter, 1u);
  received[i] = atomicExch(chain, i + 1);
  received64[i] = atomicExch(chain64, (unsigned long long)(i + 1) << 32);
}

// Sums of values that are exact in any order.
KERNEL void atomicsFloat(const float *in, float *sumFloat, double *sumDouble, __half *sumHalf,
                         __half2 *sumHalf2, __nv_bfloat162 *sumBf2, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  atomicAdd(sumFloat, in[i]);
  atomicAdd(sumDouble, (double)in[i] * 0.5);
  atomicAdd(sumHalf, __float2half(in[i]));
  atomicAdd(sumHalf2, __floats2half2_rn(in[i], -in[i]));
  atomicAdd(sumBf2, __floats2bfloat162_rn(in[i] > 0 ? 1.0f : 0.0f, 1.0f));
}

// Operations made of compare-and-swap: a product modulo a prime, a float maximum.
KERNEL void atomicsCas(const unsigned *in, unsigned *product, int *largest,
                       unsigned long long *product64, unsigned short *small, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n)
    return;
  const unsigned value = in[i] % 65520 + 1;
  for (unsigned old = *(volatile unsigned *)product, seen;; old = seen) {
    seen = atomicCAS(product, old, (unsigned)((unsigned long long)old * value % 65521));
    if (seen == old)
      break;
  }
  for (unsigned long long old = *(volatile unsigned long long *)product64, seen;; old = seen) {
    seen = atomicCAS(product64, old, old * value % 4294967291ull);
    if (seen == old)
      break;
  }
  for (unsigned short old = *(volatile unsigned short *)small, seen;; old = seen) {
    seen = atomicCAS(small, old, (unsigned short)(old + 1));
    if (seen == old)
      break;
  }
  const float x = (float)in[i];
  for (int old = *(volatile int *)largest;;) {
    if (__int_as_float(old) >= x)
      break;
    const int seen = atomicCAS(largest, old, __float_as_int(x));
    if (seen == old)
      break;
    old = seen;
  }
}

// Scopes of block and system.
KERNEL void atomicsScopes(int *block, int *system) {
  atomicAdd_block(&block[blockIdx.x], 1);
  atomicMax_system(system, (int)(blockIdx.x * blockDim.x + threadIdx.x));
}
