/// Just enough of CUDA's language for kernels without barriers to compile as host C++: a kernel is
/// a function that `forEachThread` calls once for every thread, one after the other.
///
/// Intrinsics are written from their documentation, in plain arithmetic, as the reference that the
/// emulator is compared with.
#pragma once
#include "test/emulator/Reference.h"
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#define KERNEL static inline
#define __device__ static inline
#define __constant__ static const
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)

namespace ingot::emulator::test::cuda {

struct Dim {
  unsigned x = 1, y = 1, z = 1;
};
inline thread_local Dim threadIdx, blockIdx, blockDim, gridDim;

/// Runs `kernel()` for every thread of a launch.
template <typename Kernel> void forEachThread(Dim grid, Dim block, Kernel kernel) {
  gridDim = grid;
  blockDim = block;
  for (blockIdx.z = 0; blockIdx.z < grid.z; ++blockIdx.z)
    for (blockIdx.y = 0; blockIdx.y < grid.y; ++blockIdx.y)
      for (blockIdx.x = 0; blockIdx.x < grid.x; ++blockIdx.x)
        for (threadIdx.z = 0; threadIdx.z < block.z; ++threadIdx.z)
          for (threadIdx.y = 0; threadIdx.y < block.y; ++threadIdx.y)
            for (threadIdx.x = 0; threadIdx.x < block.x; ++threadIdx.x)
              kernel();
}

using std::max;
using std::min;

/// The number where one is NaN; -0 is less than +0.
template <typename T> inline T smaller(T x, T y) {
  if (std::isnan(x) || std::isnan(y))
    return std::isnan(x) ? y : x;
  return x < y || (x == y && std::signbit(x)) ? x : y;
}
inline float fminf(float x, float y) { return smaller(x, y); }
inline double fmin(double x, double y) { return smaller(x, y); }
inline float fmaxf(float x, float y) { return -smaller(-x, -y); }
inline double fmax(double x, double y) { return -smaller(-x, -y); }

struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline int2 make_int2(int x, int y) { return {x, y}; }

// Bits.
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return x ? std::countr_zero(static_cast<unsigned>(x)) + 1 : 0; }
inline unsigned __brev(unsigned x) {
  unsigned result = 0;
  for (int i = 0; i < 32; ++i)
    result |= (x >> i & 1) << (31 - i);
  return result;
}
inline unsigned long long __brevll(unsigned long long x) {
  return static_cast<unsigned long long>(__brev(static_cast<unsigned>(x))) << 32 |
         __brev(static_cast<unsigned>(x >> 32));
}
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const uint64_t bytes = static_cast<uint64_t>(y) << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i)
    result |= static_cast<unsigned>(bytes >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
  return result;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>(((static_cast<uint64_t>(high) << 32 | low) << (shift & 31)) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> (shift & 31));
}
inline unsigned __funnelshift_lc(unsigned low, unsigned high, unsigned shift) {
  return shift >= 32 ? low : __funnelshift_l(low, high, shift);
}
inline unsigned __funnelshift_rc(unsigned low, unsigned high, unsigned shift) {
  return shift >= 32 ? high : __funnelshift_r(low, high, shift);
}

// Integer arithmetic.
inline int __mulhi(int x, int y) { return static_cast<int>((static_cast<int64_t>(x) * y) >> 32); }
inline unsigned __umulhi(unsigned x, unsigned y) {
  return static_cast<unsigned>((static_cast<uint64_t>(x) * y) >> 32);
}
__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 UnsignedInt128;
inline long long __mul64hi(long long x, long long y) {
  return static_cast<long long>((static_cast<Int128>(x) * y) >> 64);
}
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
  return static_cast<unsigned long long>((static_cast<UnsignedInt128>(x) * y) >> 64);
}
inline int __mul24(int x, int y) {
  auto low = [](int v) { return static_cast<int64_t>(static_cast<int>(unsigned(v) << 8) >> 8); };
  return static_cast<int>(low(x) * low(y));
}
inline unsigned __umul24(unsigned x, unsigned y) { return (x & 0xffffff) * (y & 0xffffff); }
inline unsigned __sad(int x, int y, unsigned z) {
  return static_cast<unsigned>(std::abs(static_cast<int64_t>(x) - y)) + z;
}
inline unsigned __usad(unsigned x, unsigned y, unsigned z) { return (x > y ? x - y : y - x) + z; }
inline int __hadd(int x, int y) { return static_cast<int>((static_cast<int64_t>(x) + y) >> 1); }
inline int __rhadd(int x, int y) {
  return static_cast<int>((static_cast<int64_t>(x) + y + 1) >> 1);
}
inline unsigned __uhadd(unsigned x, unsigned y) {
  return static_cast<unsigned>((static_cast<uint64_t>(x) + y) >> 1);
}
template <typename A, typename B> inline int64_t dotBytes(unsigned x, unsigned y) {
  int64_t sum = 0;
  for (int i = 0; i < 4; ++i)
    sum += static_cast<int64_t>(static_cast<A>(x >> 8 * i)) * static_cast<B>(y >> 8 * i);
  return sum;
}
inline int __dp4a(int x, int y, int z) {
  return static_cast<int>(dotBytes<int8_t, int8_t>(x, y) + z);
}
inline unsigned __dp4a(unsigned x, unsigned y, unsigned z) {
  return static_cast<unsigned>(dotBytes<uint8_t, uint8_t>(x, y) + z);
}
inline int __dp2a(int x, int y, int z, int first) {
  int64_t sum = z;
  for (int i = 0; i < 2; ++i)
    sum += static_cast<int64_t>(static_cast<int16_t>(x >> 16 * i)) *
           static_cast<int8_t>(y >> 8 * (i + first));
  return static_cast<int>(sum);
}
inline int __dp2a_lo(int x, int y, int z) { return __dp2a(x, y, z, 0); }
inline int __dp2a_hi(int x, int y, int z) { return __dp2a(x, y, z, 2); }

// Bits as numbers.
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }

/// Hides a value from the optimiser: nothing may be computed before the rounding is set.
template <typename T> inline T hidden(T value) {
  volatile T memory = value;
  return memory;
}

#define INGOT_ROUNDED(suffix, mode)                                                                \
  inline float __fadd_##suffix(float x, float y) {                                                 \
    HostRounding host(Rounding::mode);                                                             \
    return hidden(hidden(x) + y);                                                                  \
  }                                                                                                \
  inline float __fmul_##suffix(float x, float y) {                                                 \
    HostRounding host(Rounding::mode);                                                             \
    return hidden(hidden(x) * y);                                                                  \
  }                                                                                                \
  inline float __fdiv_##suffix(float x, float y) {                                                 \
    HostRounding host(Rounding::mode);                                                             \
    return hidden(hidden(x) / y);                                                                  \
  }                                                                                                \
  inline float __frcp_##suffix(float x) { return __fdiv_##suffix(1.0f, x); }                       \
  inline float __fsqrt_##suffix(float x) {                                                         \
    HostRounding host(Rounding::mode);                                                             \
    return hidden(std::sqrt(hidden(x)));                                                           \
  }                                                                                                \
  inline float __fmaf_##suffix(float x, float y, float z) {                                        \
    HostRounding host(Rounding::mode);                                                             \
    return hidden(std::fma(hidden(x), y, z));                                                      \
  }                                                                                                \
  inline double __dadd_##suffix(double x, double y) {                                              \
    HostRounding host(Rounding::mode);                                                             \
    return hidden(hidden(x) + y);                                                                  \
  }                                                                                                \
  inline double __dmul_##suffix(double x, double y) {                                              \
    HostRounding host(Rounding::mode);                                                             \
    return hidden(hidden(x) * y);                                                                  \
  }                                                                                                \
  inline double __ddiv_##suffix(double x, double y) {                                              \
    HostRounding host(Rounding::mode);                                                             \
    return hidden(hidden(x) / y);                                                                  \
  }                                                                                                \
  inline double __dsqrt_##suffix(double x) {                                                       \
    HostRounding host(Rounding::mode);                                                             \
    return hidden(std::sqrt(hidden(x)));                                                           \
  }                                                                                                \
  inline double __fma_##suffix(double x, double y, double z) {                                     \
    HostRounding host(Rounding::mode);                                                             \
    return hidden(std::fma(hidden(x), y, z));                                                      \
  }                                                                                                \
  inline float __double2float_##suffix(double x) {                                                 \
    HostRounding host(Rounding::mode);                                                             \
    return hidden(static_cast<float>(hidden(x)));                                                  \
  }                                                                                                \
  inline float __int2float_##suffix(int x) {                                                       \
    HostRounding host(Rounding::mode);                                                             \
    return hidden(static_cast<float>(hidden(x)));                                                  \
  }                                                                                                \
  inline float __ll2float_##suffix(long long x) {                                                  \
    HostRounding host(Rounding::mode);                                                             \
    return hidden(static_cast<float>(hidden(x)));                                                  \
  }                                                                                                \
  inline double __ll2double_##suffix(long long x) {                                                \
    HostRounding host(Rounding::mode);                                                             \
    return hidden(static_cast<double>(hidden(x)));                                                 \
  }                                                                                                \
  /* Out of range saturates; NaN is 0, or the top bit alone if either side has 64 bits. */         \
  inline int __float2int_##suffix(float x) {                                                       \
    HostRounding host(Rounding::mode);                                                             \
    const double rounded = hidden(std::nearbyint(hidden(static_cast<double>(x))));                 \
    if (std::isnan(rounded))                                                                       \
      return 0;                                                                                    \
    return static_cast<int>(std::clamp<double>(rounded, -2147483648.0, 2147483647.0));             \
  }                                                                                                \
  inline unsigned __float2uint_##suffix(float x) {                                                 \
    HostRounding host(Rounding::mode);                                                             \
    const double rounded = hidden(std::nearbyint(hidden(static_cast<double>(x))));                 \
    if (std::isnan(rounded))                                                                       \
      return 0;                                                                                    \
    return static_cast<unsigned>(std::clamp<double>(rounded, 0, 4294967295.0));                    \
  }                                                                                                \
  inline int __double2int_##suffix(double x) {                                                     \
    HostRounding host(Rounding::mode);                                                             \
    const double rounded = hidden(std::nearbyint(hidden(x)));                                      \
    if (std::isnan(rounded))                                                                       \
      return std::numeric_limits<int>::min();                                                      \
    return static_cast<int>(std::clamp<double>(rounded, -2147483648.0, 2147483647.0));             \
  }                                                                                                \
  inline long long __double2ll_##suffix(double x) {                                                \
    HostRounding host(Rounding::mode);                                                             \
    const double rounded = hidden(std::nearbyint(hidden(x)));                                      \
    if (std::isnan(rounded))                                                                       \
      return std::numeric_limits<long long>::min();                                                \
    if (rounded >= 0x1p63)                                                                         \
      return std::numeric_limits<long long>::max();                                                \
    if (rounded < -0x1p63)                                                                         \
      return std::numeric_limits<long long>::min();                                                \
    return static_cast<long long>(rounded);                                                        \
  }
INGOT_ROUNDED(rn, NearestEven)
INGOT_ROUNDED(rz, Zero)
INGOT_ROUNDED(ru, Up)
INGOT_ROUNDED(rd, Down)
#undef INGOT_ROUNDED

/// -0 becomes +0.
inline float __saturatef(float x) { return x > 0 ? std::min(x, 1.0f) : 0.0f; }

} // namespace ingot::emulator::test::cuda
