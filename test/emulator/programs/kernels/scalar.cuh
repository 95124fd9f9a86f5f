// Kernels in which threads work alone: the same text is compiled by NVRTC and, through CudaShim.h,
// by the host compiler.

#define INDEX (blockIdx.x * blockDim.x + threadIdx.x)

KERNEL void vectorAdd(const float *a, const float *b, float *c, int n) {
  const int i = INDEX;
  if (i < n)
    c[i] = a[i] + b[i];
}

// Each thread takes every stride-th element; strides over memory may be negative.
KERNEL void saxpyStrided(int n, float alpha, const float *x, int xStride, float *y,
                             int yStride) {
  const int total = gridDim.x * blockDim.x;
  for (int i = INDEX; i < n; i += total) {
    const long long xi = xStride < 0 ? (long long)(1 - n) * xStride + (long long)i * xStride
                                     : (long long)i * xStride;
    y[(long long)i * yStride] = alpha * x[xi] + y[(long long)i * yStride];
  }
}

KERNEL void vectorTypes(const float4 *in, float4 *out, int2 *sums, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  const float4 v = in[i];
  out[i] = make_float4(v.w, v.z * 2, v.y - v.x, v.x);
  sums[i] = make_int2((int)v.x + (int)v.y, (int)v.z - (int)v.w);
}

KERNEL void hashMix(const unsigned *in, unsigned *out32, unsigned long long *out64, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  unsigned h = in[i] * 0xcc9e2d51u;
  h = (h << 15 | h >> 17) * 0x1b873593u;
  h ^= h >> 16;
  h *= 0x85ebca6bu;
  h ^= h >> 13;
  h *= 0xc2b2ae35u;
  out32[i] = h ^ h >> 16;
  unsigned long long z = in[i] + 0x9e3779b97f4a7c15ull * (i + 1);
  for (int round = 0; round < 5; ++round) {
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    z ^= z >> 31;
  }
  out64[i] = z;
}

KERNEL void wideIntegers(const unsigned long long *a, const unsigned long long *b,
                             unsigned long long *out, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  const unsigned long long x = a[i], y = b[i];
  const long long s = (long long)x, t = (long long)y;
  unsigned long long *o = out + 16 * (long long)i;
  o[0] = x + y;
  o[1] = x - y;
  o[2] = x * y;
  o[3] = y ? x / y : 1;
  o[4] = y ? x % y : 2;
  o[5] = t != 0 && t != -1 ? (unsigned long long)(s / t) : 3;
  o[6] = t != 0 && t != -1 ? (unsigned long long)(s % t) : 4;
  o[7] = x << (y & 63);
  o[8] = x >> (y & 63);
  o[9] = (unsigned long long)(s >> (y & 63));
  o[10] = __umul64hi(x, y);
  o[11] = (unsigned long long)__mul64hi(s, t);
  o[12] = (x < y) | (s < t) << 1 | (x == y) << 2 | (s >= t) << 3;
  o[13] = (unsigned long long)__popcll(x) << 32 | (unsigned)__clzll((long long)y);
  o[14] = __brevll(x) ^ (unsigned long long)(int)y;
  o[15] = (unsigned long long)((long long)(int)x * (int)y) +
          (unsigned long long)(unsigned)x * (unsigned)y;
}

KERNEL void narrowIntegers(const unsigned *in, unsigned *out, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  const unsigned v = in[i];
  const signed char a = (signed char)v, b = (signed char)(v >> 8);
  const unsigned char c = (unsigned char)(v >> 16), d = (unsigned char)(v >> 24);
  const short s = (short)v, t = (short)(v >> 16);
  const unsigned short u = (unsigned short)(v >> 8);
  const unsigned char sum = (unsigned char)(c + d);
  const short product = (short)(s * t);
  const signed char shifted = (signed char)(a >> 2);
  struct {
    unsigned low : 5;
    int middle : 11;
    unsigned high : 16;
  } fields;
  fields.low = v;
  fields.middle = (int)(v << 3) >> 9;
  fields.high = v >> 7;
  out[4 * i] = (unsigned)(a * b) ^ (unsigned)sum << 16;
  out[4 * i + 1] = (unsigned)product ^ (unsigned)(u / (d | 1)) ^ (unsigned)(s % (b | 1)) << 8;
  out[4 * i + 2] = (unsigned)shifted + (unsigned)(unsigned short)(u * u) + (a < b) + (c > d) * 2;
  out[4 * i + 3] = fields.low + (unsigned)fields.middle * 33u + fields.high * 1027u;
}

KERNEL void collatz(const unsigned *start, int *steps, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  unsigned long long x = start[i];
  int count = 0;
  while (x > 1) {
    x = x & 1 ? 3 * x + 1 : x / 2;
    ++count;
  }
  steps[i] = count;
}

// Loops in loops that lanes leave at different places: break, continue, return, goto.
KERNEL void nestedExits(const int *in, int *out, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  int state = in[i], sum = 0;
  for (int a = 0; a < 7; ++a) {
    if ((state + a) % 5 == 0)
      continue;
    for (int b = 0; b < 9; ++b) {
      state = (int)((unsigned)state * 1103515245u + 12345u);
      const int key = state >> 16 & 63;
      if (key == 1) {
        out[i] = sum ^ 0x1000;
        return;
      }
      if (key < 8)
        break;
      if (key > 56)
        goto next;
      sum += key;
      do {
        state ^= state << 3;
        sum += 1;
        if (state & 0x100)
          break;
      } while (sum % 3);
    }
    sum += 100;
  next:
    if (sum > 2000)
      break;
  }
  out[i] = sum;
}

KERNEL void switchCases(const int *in, int *out, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  int x = in[i], result = 0;
  for (int round = 0; round < 4; ++round) {
    switch (x & 15) {
    case 0: result += x * 3; break;
    case 1: result ^= 0x55; // falls through
    case 2: result -= x; break;
    case 3: result = result * 5 + 1; break;
    case 4: result |= 0x80; break;
    case 5: result <<= 1; break;
    case 6: result = ~result; break;
    case 7: result += in[(i + 1) % n]; break;
    case 9: result = -result; // falls through
    case 10: result += 7; break;
    case 11: result ^= x >> 3; break;
    case 12: result %= 1001; break;
    case 14: result = result > 0 ? result - 1 : result + 1; break;
    default: result += 1000; break;
    }
    x = (x >> 4) ^ result;
  }
  out[i] = result;
}

__device__ __noinline__ int fibonacci(int n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

__device__ __noinline__ int ackermann(int m, int n) {
  if (m == 0)
    return n + 1;
  return n == 0 ? ackermann(m - 1, 1) : ackermann(m - 1, ackermann(m, n - 1));
}

__device__ void quickSort(int *data, int low, int high) {
  if (low >= high)
    return;
  const int pivot = data[(low + high) / 2];
  int i = low, j = high;
  while (i <= j) {
    while (data[i] < pivot)
      ++i;
    while (data[j] > pivot)
      --j;
    if (i <= j) {
      const int swap = data[i];
      data[i++] = data[j];
      data[j--] = swap;
    }
  }
  quickSort(data, low, j);
  quickSort(data, i, high);
}

KERNEL void recursion(const int *in, int *out, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  int values[24];
  for (int k = 0; k < 24; ++k)
    values[k] = in[(i + 5 * k) % n];
  quickSort(values, 0, 23);
  int *o = out + 26 * i;
  for (int k = 0; k < 24; ++k)
    o[k] = values[k];
  o[24] = fibonacci(i % 12);
  o[25] = ackermann(i % 3, i % 4);
}

typedef int (*Operation)(int, int);
__device__ int addOperation(int a, int b) { return (int)((unsigned)a + (unsigned)b); }
__device__ int xorOperation(int a, int b) { return a ^ b; }
__device__ int maxOperation(int a, int b) { return a > b ? a : b; }
__device__ int mixOperation(int a, int b) { return (int)((unsigned)a * 31u) ^ fibonacci(b & 7); }

struct Record {
  double weight;
  int values[5];
  char tag;
};

__device__ __noinline__ Record combine(Record a, const Record &b, Operation operation) {
  for (int k = 0; k < 5; ++k)
    a.values[k] = operation(a.values[k], b.values[k]);
  a.weight += b.weight;
  a.tag = (char)(a.tag ^ b.tag);
  return a;
}

// Lanes call different functions through pointers and pass structures by value.
KERNEL void functionPointers(const int *in, int *out, double *weights, Record first, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  const Operation operations[4] = {addOperation, xorOperation, maxOperation, mixOperation};
  Record record = first;
  Record other;
  for (int k = 0; k < 5; ++k)
    other.values[k] = in[(i + k) % n];
  other.weight = in[i] * 0.125;
  other.tag = (char)i;
  record = combine(record, other, operations[in[i] & 3]);
  record = combine(other, record, operations[i & 3]);
  int sum = record.tag;
  for (int k = 0; k < 5; ++k)
    sum = (int)((unsigned)sum * 17u + (unsigned)record.values[k]);
  out[i] = sum;
  weights[i] = record.weight;
}

// Arrays of a thread, indexed by what it reads: local memory.
KERNEL void localArrays(const unsigned *in, unsigned *out, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  unsigned counts[16] = {0};
  unsigned char order[32];
  for (int k = 0; k < 32; ++k) {
    order[k] = (unsigned char)(in[(i + k) % n] >> (k & 7));
    ++counts[order[k] & 15];
  }
  for (int a = 1; a < 32; ++a) {
    const unsigned char value = order[a];
    int b = a;
    while (b > 0 && order[b - 1] > value) {
      order[b] = order[b - 1];
      --b;
    }
    order[b] = value;
  }
  unsigned hash = 0;
  for (int k = 0; k < 16; ++k)
    hash = hash * 33 + counts[k];
  for (int k = 0; k < 32; ++k)
    hash = hash * 31 + order[k];
  out[i] = hash;
}

__constant__ int primes[16] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53};
__constant__ struct {
  char name[8];
  short scale;
  double factors[4];
} settings = {"ingot", -7, {0.5, 1.25, -3.0, 1e-3}};

KERNEL void constantMemory(const int *in, double *out, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  int product = 1;
  for (int k = 0; k < 4; ++k)
    product = product * primes[in[i] >> 4 * k & 15] % 10007;
  out[i] = product * settings.factors[in[i] & 3] + settings.scale + settings.name[i % 5];
}

KERNEL void integerIntrinsics(const unsigned *a, const unsigned *b, unsigned *out, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  const unsigned x = a[i], y = b[i], z = x ^ (y << 7);
  unsigned *o = out + 24 * i;
  o[0] = __popc(x);
  o[1] = __clz((int)(x >> (y & 31)));
  o[2] = __brev(x);
  o[3] = __ffs((int)(x << (y & 31)));
  o[4] = __byte_perm(x, y, z & 0x7777);
  o[5] = __funnelshift_l(x, y, z);
  o[6] = __funnelshift_r(x, y, z);
  o[7] = __funnelshift_lc(x, y, z & 63);
  o[8] = __funnelshift_rc(x, y, z & 63);
  o[9] = __mulhi((int)x, (int)y);
  o[10] = __umulhi(x, y);
  o[11] = __mul24((int)x, (int)y);
  o[12] = __umul24(x, y);
  o[13] = __sad((int)x, (int)y, z);
  o[14] = __usad(x, y, z);
  o[15] = __hadd((int)x, (int)y);
  o[16] = __rhadd((int)x, (int)y);
  o[17] = __uhadd(x, y);
  o[18] = __dp4a((int)x, (int)y, (int)(z >> 8));
  o[19] = __dp4a(x, y, z);
  o[20] = __dp2a_lo((int)x, (int)y, (int)(z >> 8));
  o[21] = __dp2a_hi((int)x, (int)y, (int)(z >> 8));
  o[22] = min((int)x, (int)y) ^ max(x, y);
  o[23] = ((int)x < 0 ? 0u - x : x) + ((x / (y | 1)) ^ (unsigned)((int)x / (int)(y >> 1 | 1))) +
          x % (y | 1);
}

#define ALL_ROUNDINGS(o, f)                                                                        \
  (o)[0] = f(rn);                                                                                  \
  (o)[1] = f(rz);                                                                                  \
  (o)[2] = f(ru);                                                                                  \
  (o)[3] = f(rd);

KERNEL void floatRounding(const float *a, const float *b, const float *c, float *out, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  const float x = a[i], y = b[i], z = c[i];
  float *o = out + 32 * i;
#define F(r) __fadd_##r(x, y)
  ALL_ROUNDINGS(o, F)
#undef F
#define F(r) __fmul_##r(x, y)
  ALL_ROUNDINGS(o + 4, F)
#undef F
#define F(r) __fdiv_##r(x, y)
  ALL_ROUNDINGS(o + 8, F)
#undef F
#define F(r) __frcp_##r(x)
  ALL_ROUNDINGS(o + 12, F)
#undef F
#define F(r) __fsqrt_##r(x)
  ALL_ROUNDINGS(o + 16, F)
#undef F
#define F(r) __fmaf_##r(x, y, z)
  ALL_ROUNDINGS(o + 20, F)
#undef F
#define F(r) __double2float_##r((double)x * y)
  ALL_ROUNDINGS(o + 24, F)
#undef F
  o[28] = __saturatef(x);
  o[29] = fminf(x, y);
  o[30] = fmaxf(y, z);
  o[31] = fabsf(x) - copysignf(y, z);
}

KERNEL void doubleRounding(const double *a, const double *b, const double *c, double *out,
                               int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  const double x = a[i], y = b[i], z = c[i];
  double *o = out + 24 * i;
#define F(r) __dadd_##r(x, y)
  ALL_ROUNDINGS(o, F)
#undef F
#define F(r) __dmul_##r(x, y)
  ALL_ROUNDINGS(o + 4, F)
#undef F
#define F(r) __ddiv_##r(x, y)
  ALL_ROUNDINGS(o + 8, F)
#undef F
#define F(r) __dsqrt_##r(x)
  ALL_ROUNDINGS(o + 12, F)
#undef F
#define F(r) __fma_##r(x, y, z)
  ALL_ROUNDINGS(o + 16, F)
#undef F
  o[20] = fmin(x, y);
  o[21] = fmax(y, z);
  o[22] = fabs(x) - copysign(y, z);
  o[23] = (double)(float)x;
}

KERNEL void conversions(const float *a, const double *b, const long long *c,
                            unsigned long long *out, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  const float x = a[i];
  const double y = b[i];
  const long long z = c[i];
  unsigned long long *o = out + 40 * (long long)i;
#define F(r) (unsigned)__float2int_##r(x)
  ALL_ROUNDINGS(o, F)
#undef F
#define F(r) __float2uint_##r(x)
  ALL_ROUNDINGS(o + 4, F)
#undef F
#define F(r) (unsigned)__double2int_##r(y)
  ALL_ROUNDINGS(o + 8, F)
#undef F
#define F(r) (unsigned long long)__double2ll_##r(y)
  ALL_ROUNDINGS(o + 12, F)
#undef F
#define F(r) __float_as_uint(__int2float_##r((int)z))
  ALL_ROUNDINGS(o + 16, F)
#undef F
#define F(r) __float_as_uint(__ll2float_##r(z))
  ALL_ROUNDINGS(o + 20, F)
#undef F
#define F(r) (unsigned long long)__double_as_longlong(__ll2double_##r(z))
  ALL_ROUNDINGS(o + 24, F)
#undef F
  o[28] = __float_as_uint(floorf(x));
  o[29] = __float_as_uint(ceilf(x));
  o[30] = __float_as_uint(truncf(x));
  o[31] = __float_as_uint(rintf(x));
  o[32] = (unsigned long long)__double_as_longlong(floor(y));
  o[33] = (unsigned long long)__double_as_longlong(ceil(y));
  o[34] = (unsigned long long)__double_as_longlong(trunc(y));
  o[35] = (unsigned long long)__double_as_longlong(rint(y));
  o[36] = (unsigned long long)__double_as_longlong((double)(unsigned)z);
  o[37] = (unsigned long long)__double_as_longlong((double)(unsigned long long)z);
  o[38] = __float_as_uint((float)(unsigned)z);
  o[39] = __float_as_uint((float)(short)z) + __float_as_uint((float)(unsigned char)z);
}
#undef ALL_ROUNDINGS
#undef INDEX
