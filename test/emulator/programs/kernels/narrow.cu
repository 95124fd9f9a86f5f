// Arithmetic in half, bfloat16 and the 8-bit floats through the toolkit's headers.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#define INDEX (blockIdx.x * blockDim.x + threadIdx.x)

__device__ unsigned short bits(__half x) { return __half_as_ushort(x); }
__device__ unsigned short bits(__nv_bfloat16 x) { return __bfloat16_as_ushort(x); }

// 16 results for each pair: correctly rounded arithmetic, then comparisons.
template <typename T> __device__ void arithmetic(T x, T y, T z, unsigned short *o) {
  o[0] = bits(__hadd(x, y));
  o[1] = bits(__hsub(x, y));
  o[2] = bits(__hmul(x, y));
  o[3] = bits(__hfma(x, y, z));
  o[4] = bits(__hneg(x));
  o[5] = bits(__habs(x));
  o[6] = bits(__hmin(x, y));
  o[7] = bits(__hmax(y, z));
  o[8] = __heq(x, y) | __hne(x, y) << 1 | __hlt(x, y) << 2 | __hle(x, y) << 3 | __hgt(x, y) << 4 |
         __hge(x, y) << 5 | __hequ(x, y) << 6 | __hneu(x, y) << 7 | __hltu(x, y) << 8 |
         __hisnan(x) << 9;
  o[9] = bits(__hfma_relu(x, y, z));
  o[10] = bits(__hmin_nan(x, y));
  o[11] = bits(__hmax_nan(x, y));
}

KERNEL void halfArithmetic(const __half *a, const __half *b, const __half *c, unsigned short *out,
                           int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  unsigned short *o = out + 16 * i;
  arithmetic(a[i], b[i], c[i], o);
  o[12] = bits(__hadd_sat(a[i], b[i]));
  o[13] = bits(__hfma_sat(a[i], b[i], c[i]));
  o[14] = bits(hfloor(a[i]));
  o[15] = bits(hrint(b[i]));
}

KERNEL void bfloatArithmetic(const __nv_bfloat16 *a, const __nv_bfloat16 *b,
                             const __nv_bfloat16 *c, unsigned short *out, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  unsigned short *o = out + 16 * i;
  arithmetic(a[i], b[i], c[i], o);
  o[12] = o[13] = 0;
  o[14] = bits(hfloor(a[i]));
  o[15] = bits(hrint(b[i]));
}

// The packed forms do to both halves what the plain ones do.
KERNEL void packedArithmetic(const __half2 *a, const __half2 *b, const __nv_bfloat162 *c,
                             const __nv_bfloat162 *d, __half2 *halves, __nv_bfloat162 *bfloats,
                             int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  __half2 *o = halves + 8 * i;
  o[0] = __hadd2(a[i], b[i]);
  o[1] = __hsub2(a[i], b[i]);
  o[2] = __hmul2(a[i], b[i]);
  o[3] = __hfma2(a[i], b[i], __lowhigh2highlow(a[i]));
  o[4] = __hmax2(a[i], b[i]);
  o[5] = __heq2(a[i], b[i]);
  o[6] = __hlt2(a[i], __low2half2(b[i]));
  o[7] = __hneg2(__habs2(a[i]));
  __nv_bfloat162 *p = bfloats + 8 * i;
  p[0] = __hadd2(c[i], d[i]);
  p[1] = __hsub2(c[i], d[i]);
  p[2] = __hmul2(c[i], d[i]);
  p[3] = __hfma2(c[i], d[i], __lowhigh2highlow(c[i]));
  p[4] = __hmax2(c[i], d[i]);
  p[5] = __heq2(c[i], d[i]);
  p[6] = __hlt2(c[i], __low2bfloat162(d[i]));
  p[7] = __hneg2(__habs2(c[i]));
}

// Functions that the hardware approximates.
KERNEL void halfFunctions(const __half *in, __half *out, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  const __half x = in[i];
  __half *o = out + 8 * i;
  o[0] = __hdiv(__float2half(1.5f), x);
  o[1] = hsqrt(__habs(x));
  o[2] = hrsqrt(__habs(x));
  o[3] = hexp2(x);
  o[4] = hlog2(__habs(x));
  o[5] = hexp(x);
  o[6] = hrcp(x);
  o[7] = htanh_approx(x);
}

// Conversions of every float to the narrow types and back.
KERNEL void narrowConversions(const float *in, unsigned short *out, float *back, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  const float x = in[i];
  unsigned short *o = out + 16 * i;
  o[0] = bits(__float2half_rn(x));
  o[1] = bits(__float2half_rz(x));
  o[2] = bits(__float2half_ru(x));
  o[3] = bits(__float2half_rd(x));
  o[4] = bits(__float2bfloat16_rn(x));
  o[5] = bits(__float2bfloat16_rz(x));
  o[6] = bits(__float2bfloat16_ru(x));
  o[7] = bits(__float2bfloat16_rd(x));
  o[8] = __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E4M3);
  o[9] = __nv_cvt_float_to_fp8(x, __NV_SATFINITE, __NV_E5M2);
  o[10] = __nv_cvt_float2_to_fp8x2(make_float2(x, -x), __NV_SATFINITE, __NV_E4M3);
  o[11] = __nv_cvt_float2_to_fp8x2(make_float2(-x, x), __NV_SATFINITE, __NV_E5M2);
  o[12] = (unsigned short)__half2short_rz(__float2half_rn(x));
  o[13] = (unsigned short)__half2short_rn(__float2half_rn(x));
  o[14] = bits(__int2half_rn((int)(threadIdx.x * 37) - 1000));
  o[15] = bits(__ushort2bfloat16_rn((unsigned short)(threadIdx.x * 129)));
  float *r = back + 4 * i;
  r[0] = __half2float(__float2half_rn(x));
  r[1] = __bfloat162float(__float2bfloat16_rn(x));
  r[2] = __half2float(__half(__nv_cvt_fp8_to_halfraw((__nv_fp8_storage_t)o[8], __NV_E4M3)));
  r[3] = __half2float(__half(__nv_cvt_fp8_to_halfraw((__nv_fp8_storage_t)o[9], __NV_E5M2)));
}

// Single-precision functions: fast ones map to approximate instructions, the others to libdevice.
KERNEL void floatFunctions(const float *in, float *out, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  const float x = in[i], p = fabsf(x) + 1e-3f;
  float *o = out + 16 * i;
  o[0] = __expf(x);
  o[1] = __logf(p);
  o[2] = __sinf(x);
  o[3] = __cosf(x);
  o[4] = __fdividef(1.0f, p);
  o[5] = rsqrtf(p);
  o[6] = exp2f(x);
  o[7] = __powf(p, 0.7f);
  o[8] = expf(x);
  o[9] = logf(p);
  o[10] = sinf(x);
  o[11] = tanhf(x);
  o[12] = erff(x);
  o[13] = powf(p, 1.3f);
  o[14] = fmodf(x, 0.75f);
  o[15] = cbrtf(x);
}

KERNEL void doubleFunctions(const double *in, double *out, int n) {
  const int i = INDEX;
  if (i >= n)
    return;
  const double x = in[i], p = fabs(x) + 1e-3;
  double *o = out + 8 * i;
  o[0] = exp(x);
  o[1] = log(p);
  o[2] = sin(x);
  o[3] = tanh(x);
  o[4] = erf(x);
  o[5] = pow(p, 1.3);
  o[6] = rsqrt(p);
  o[7] = fmod(x, 0.75);
}
