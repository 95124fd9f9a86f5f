// Lets clang compile scalar.cuh for LLVM's NVPTX target without any part of the CUDA toolkit:
// `clang++ -x c++ --target=nvptx64-nvidia-cuda -include clang_nvptx.h`.
#define KERNEL extern "C" __attribute__((nvptx_kernel)) __attribute__((visibility("default")))
#define __device__ static inline
#define __noinline__ __attribute__((noinline))
#define __constant__ static __attribute__((address_space(4))) const

struct Dim {
  unsigned x;
};
#define threadIdx (Dim{(unsigned)__nvvm_read_ptx_sreg_tid_x()})
#define blockIdx (Dim{(unsigned)__nvvm_read_ptx_sreg_ctaid_x()})
#define blockDim (Dim{(unsigned)__nvvm_read_ptx_sreg_ntid_x()})
#define gridDim (Dim{(unsigned)__nvvm_read_ptx_sreg_nctaid_x()})

struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
__device__ float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
__device__ int2 make_int2(int x, int y) { return {x, y}; }

__device__ int min(int x, int y) { return x < y ? x : y; }
__device__ unsigned max(unsigned x, unsigned y) { return x > y ? x : y; }

__device__ int __popc(unsigned x) { return __builtin_popcount(x); }
__device__ int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
__device__ int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
__device__ int __clzll(long long x) { return x ? __builtin_clzll((unsigned long long)x) : 64; }
__device__ int __ffs(int x) { return __builtin_ffs(x); }
__device__ unsigned __brev(unsigned x) { return __builtin_bitreverse32(x); }
__device__ unsigned long long __brevll(unsigned long long x) { return __builtin_bitreverse64(x); }
__device__ unsigned __byte_perm(unsigned x, unsigned y, unsigned s) {
  return (unsigned)__nvvm_prmt(x, y, s);
}
__device__ unsigned __funnelshift_l(unsigned low, unsigned high, unsigned s) {
  return (unsigned)((((unsigned long long)high << 32 | low) << (s & 31)) >> 32);
}
__device__ unsigned __funnelshift_r(unsigned low, unsigned high, unsigned s) {
  return (unsigned)(((unsigned long long)high << 32 | low) >> (s & 31));
}
__device__ unsigned __funnelshift_lc(unsigned low, unsigned high, unsigned s) {
  return s >= 32 ? low : __funnelshift_l(low, high, s);
}
__device__ unsigned __funnelshift_rc(unsigned low, unsigned high, unsigned s) {
  return s >= 32 ? high : __funnelshift_r(low, high, s);
}
__device__ int __mulhi(int x, int y) { return (int)(((long long)x * y) >> 32); }
__device__ unsigned __umulhi(unsigned x, unsigned y) {
  return (unsigned)(((unsigned long long)x * y) >> 32);
}
__device__ long long __mul64hi(long long x, long long y) {
  return (long long)(((__int128)x * y) >> 64);
}
__device__ unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
  return (unsigned long long)(((unsigned __int128)x * y) >> 64);
}
__device__ int __mul24(int x, int y) { return __nvvm_mul24_i(x, y); }
__device__ unsigned __umul24(unsigned x, unsigned y) { return (unsigned)__nvvm_mul24_ui(x, y); }
__device__ unsigned __sad(int x, int y, unsigned z) { return (unsigned)__nvvm_sad_i(x, y, (int)z); }
__device__ unsigned __usad(unsigned x, unsigned y, unsigned z) { return __nvvm_sad_ui(x, y, z); }
__device__ int __hadd(int x, int y) { return (int)(((long long)x + y) >> 1); }
__device__ int __rhadd(int x, int y) { return (int)(((long long)x + y + 1) >> 1); }
__device__ unsigned __uhadd(unsigned x, unsigned y) {
  return (unsigned)(((unsigned long long)x + y) >> 1);
}
template <typename T, typename B> __device__ T dotBytes(unsigned x, unsigned y, T z) {
  for (int i = 0; i < 4; ++i)
    z += (T)(unsigned)((int)(B)(x >> 8 * i) * (int)(B)(y >> 8 * i));
  return z;
}
__device__ int __dp4a(int x, int y, int z) {
  return (int)dotBytes<unsigned, signed char>((unsigned)x, (unsigned)y, (unsigned)z);
}
__device__ unsigned __dp4a(unsigned x, unsigned y, unsigned z) {
  return dotBytes<unsigned, unsigned char>(x, y, z);
}
template <int first> __device__ int dotShorts(int x, int y, int z) {
  unsigned sum = (unsigned)z;
  for (int i = 0; i < 2; ++i)
    sum += (unsigned)((int)(short)(x >> 16 * i) * (int)(signed char)(y >> 8 * (i + first)));
  return (int)sum;
}
__device__ int __dp2a_lo(int x, int y, int z) { return dotShorts<0>(x, y, z); }
__device__ int __dp2a_hi(int x, int y, int z) { return dotShorts<2>(x, y, z); }

__device__ unsigned __float_as_uint(float x) { return __builtin_bit_cast(unsigned, x); }
__device__ long long __double_as_longlong(double x) { return __builtin_bit_cast(long long, x); }

// `r` is CUDA's name of the rounding, `p` the ISA's.
#define ROUNDED(r, p)                                                                              \
  __device__ float __fadd_##r(float x, float y) { return __nvvm_add_##p##_f(x, y); }               \
  __device__ float __fmul_##r(float x, float y) { return __nvvm_mul_##p##_f(x, y); }               \
  __device__ float __fdiv_##r(float x, float y) { return __nvvm_div_##p##_f(x, y); }               \
  __device__ float __frcp_##r(float x) { return __nvvm_rcp_##p##_f(x); }                           \
  __device__ float __fsqrt_##r(float x) { return __nvvm_sqrt_##p##_f(x); }                         \
  __device__ float __fmaf_##r(float x, float y, float z) { return __nvvm_fma_##p##_f(x, y, z); }   \
  __device__ double __dadd_##r(double x, double y) { return __nvvm_add_##p##_d(x, y); }            \
  __device__ double __dmul_##r(double x, double y) { return __nvvm_mul_##p##_d(x, y); }            \
  __device__ double __ddiv_##r(double x, double y) { return __nvvm_div_##p##_d(x, y); }            \
  __device__ double __dsqrt_##r(double x) { return __nvvm_sqrt_##p##_d(x); }                       \
  __device__ double __fma_##r(double x, double y, double z) {                                      \
    return __nvvm_fma_##p##_d(x, y, z);                                                            \
  }                                                                                                \
  __device__ float __double2float_##r(double x) { return __nvvm_d2f_##p(x); }                      \
  __device__ float __int2float_##r(int x) { return __nvvm_i2f_##p(x); }                            \
  __device__ float __ll2float_##r(long long x) { return __nvvm_ll2f_##p(x); }                      \
  __device__ double __ll2double_##r(long long x) { return __nvvm_ll2d_##p(x); }                    \
  __device__ int __float2int_##r(float x) { return __nvvm_f2i_##p(x); }                            \
  __device__ unsigned __float2uint_##r(float x) { return (unsigned)__nvvm_f2ui_##p(x); }           \
  __device__ int __double2int_##r(double x) { return __nvvm_d2i_##p(x); }                          \
  __device__ long long __double2ll_##r(double x) { return __nvvm_d2ll_##p(x); }
ROUNDED(rn, rn)
ROUNDED(rz, rz)
ROUNDED(ru, rp)
ROUNDED(rd, rm)
#undef ROUNDED

__device__ float __saturatef(float x) { return __nvvm_saturate_f(x); }
#define fminf __nvvm_fmin_f
#define fmaxf __nvvm_fmax_f
#define fmin __nvvm_fmin_d
#define fmax __nvvm_fmax_d
#define fabsf __builtin_fabsf
#define fabs __builtin_fabs
#define copysignf __builtin_copysignf
#define copysign __builtin_copysign
#define floorf __builtin_floorf
#define ceilf __builtin_ceilf
#define truncf __builtin_truncf
#define rintf __builtin_rintf
#define floor __builtin_floor
#define ceil __builtin_ceil
#define trunc __builtin_trunc
#define rint __builtin_rint
