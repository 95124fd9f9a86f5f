// Tensor cores: the warp matrix functions of mma.h, and mma.sync with ldmatrix by hand.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <mma.h>
using namespace nvcuda;

// D = A·B + C by one warp: A row-major m x k, B column-major k x n, C and D row-major.
template <int M, int N, int K, typename In, typename Out, typename Memory>
__device__ void warpMatmul(const Memory *a, const Memory *b, const Out *c, Out *d, int k) {
  wmma::fragment<wmma::matrix_a, M, N, K, In, wmma::row_major> fa;
  wmma::fragment<wmma::matrix_b, M, N, K, In, wmma::col_major> fb;
  wmma::fragment<wmma::accumulator, M, N, K, Out> sum;
  wmma::load_matrix_sync(sum, c, N, wmma::mem_row_major);
  for (int i = 0; i < k; i += K) {
    wmma::load_matrix_sync(fa, a + i, k);
    wmma::load_matrix_sync(fb, b + i, k);
    wmma::mma_sync(sum, fa, fb, sum);
  }
  wmma::store_matrix_sync(d, sum, N, wmma::mem_row_major);
}

#define WMMA_KERNEL(name, M, N, K, In, Out, Memory)                                                \
  KERNEL void name(const Memory *a, const Memory *b, const Out *c, Out *d, int k) {                \
    warpMatmul<M, N, K, In, Out, Memory>(a, b, c, d, k);                                           \
  }
WMMA_KERNEL(wmmaHalf, 16, 16, 16, __half, float, __half)
WMMA_KERNEL(wmmaHalfTall, 32, 8, 16, __half, float, __half)
WMMA_KERNEL(wmmaHalfWide, 8, 32, 16, __half, float, __half)
WMMA_KERNEL(wmmaHalfHalf, 16, 16, 16, __half, __half, __half)
WMMA_KERNEL(wmmaBfloat, 16, 16, 16, __nv_bfloat16, float, __nv_bfloat16)
WMMA_KERNEL(wmmaTf32, 16, 16, 8, wmma::precision::tf32, float, float)
WMMA_KERNEL(wmmaSigned, 16, 16, 16, signed char, int, signed char)
WMMA_KERNEL(wmmaUnsigned, 16, 16, 16, unsigned char, int, unsigned char)
WMMA_KERNEL(wmmaDouble, 8, 8, 4, double, double, double)

// Elementwise work on a fragment needs no knowledge of its layout; column-major store.
KERNEL void wmmaScaled(const __half *a, const __half *b, float *d, float alpha) {
  wmma::fragment<wmma::matrix_a, 16, 16, 16, __half, wmma::col_major> fa;
  wmma::fragment<wmma::matrix_b, 16, 16, 16, __half, wmma::row_major> fb;
  wmma::fragment<wmma::accumulator, 16, 16, 16, float> sum;
  wmma::fill_fragment(sum, 0.25f);
  wmma::load_matrix_sync(fa, a, 16);
  wmma::load_matrix_sync(fb, b, 16);
  wmma::mma_sync(sum, fa, fb, sum);
  for (int i = 0; i < sum.num_elements; ++i)
    sum.x[i] = sum.x[i] * alpha;
  wmma::store_matrix_sync(d, sum, 16, wmma::mem_col_major);
}

__device__ unsigned sharedAddress(const void *p) { return (unsigned)__cvta_generic_to_shared(p); }

// A 64x64 block of C = A·B (A m x k, B k x n, both row-major f16): four warps, tiles of 64x32 and
// 32x64 in shared memory, ldmatrix (transposed for B), mma.m16n8k16.
KERNEL void matmulMma(const __half *a, const __half *b, float *c, int n, int k) {
  __shared__ __align__(16) __half as[64][40], bs[32][72];
  const int t = threadIdx.x, lane = t % 32, warp = t / 32;
  const int row = blockIdx.y * 64, column = blockIdx.x * 64;
  float sums[8][4] = {{0}};
  for (int base = 0; base < k; base += 32) {
    for (int i = t; i < 256; i += 128) {
      *(uint4 *)&as[i / 4][i % 4 * 8] = *(const uint4 *)&a[(row + i / 4) * k + base + i % 4 * 8];
      *(uint4 *)&bs[i / 8][i % 8 * 8] = *(const uint4 *)&b[(base + i / 8) * n + column + i % 8 * 8];
    }
    __syncthreads();
    for (int kk = 0; kk < 32; kk += 16) {
      unsigned fa[4];
      asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                   : "=r"(fa[0]), "=r"(fa[1]), "=r"(fa[2]), "=r"(fa[3])
                   : "r"(sharedAddress(&as[warp * 16 + lane % 16][kk + lane / 16 * 8])));
      for (int j = 0; j < 8; ++j) {
        unsigned fb[2];
        asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0,%1}, [%2];"
                     : "=r"(fb[0]), "=r"(fb[1])
                     : "r"(sharedAddress(&bs[kk + lane % 16][j * 8])));
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, "
                     "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(sums[j][0]), "+f"(sums[j][1]), "+f"(sums[j][2]), "+f"(sums[j][3])
                     : "r"(fa[0]), "r"(fa[1]), "r"(fa[2]), "r"(fa[3]), "r"(fb[0]), "r"(fb[1]));
      }
    }
    __syncthreads();
  }
  for (int j = 0; j < 8; ++j) {
    const int r = row + warp * 16 + lane / 4, s = column + j * 8 + lane % 4 * 2;
    c[r * n + s] = sums[j][0];
    c[r * n + s + 1] = sums[j][1];
    c[(r + 8) * n + s] = sums[j][2];
    c[(r + 8) * n + s + 1] = sums[j][3];
  }
}

// One m16n8 product each of the other types, fragments loaded as the ISA's tables say:
// A rows lane/4 and +8, B column lane/4.
#define LOAD32(p) (*(const unsigned *)(p))

KERNEL void mmaBfloat(const __nv_bfloat16 *a, const __nv_bfloat16 *b, float *d) {
  const int g = threadIdx.x / 4, q = threadIdx.x % 4 * 2;
  float s[4] = {0};
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, "
               "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(s[0]), "+f"(s[1]), "+f"(s[2]), "+f"(s[3])
               : "r"(LOAD32(a + g * 16 + q)), "r"(LOAD32(a + (g + 8) * 16 + q)),
                 "r"(LOAD32(a + g * 16 + q + 8)), "r"(LOAD32(a + (g + 8) * 16 + q + 8)),
                 "r"(LOAD32(b + g * 16 + q)), "r"(LOAD32(b + g * 16 + q + 8)));
  d[g * 8 + q] = s[0];
  d[g * 8 + q + 1] = s[1];
  d[(g + 8) * 8 + q] = s[2];
  d[(g + 8) * 8 + q + 1] = s[3];
}

KERNEL void mmaTf32(const float *a, const float *b, float *d) {
  const int g = threadIdx.x / 4, q = threadIdx.x % 4, p = 2 * q;
  float s[4] = {0};
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, "
               "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+f"(s[0]), "+f"(s[1]), "+f"(s[2]), "+f"(s[3])
               : "r"(LOAD32(a + g * 8 + q)), "r"(LOAD32(a + (g + 8) * 8 + q)),
                 "r"(LOAD32(a + g * 8 + q + 4)), "r"(LOAD32(a + (g + 8) * 8 + q + 4)),
                 "r"(LOAD32(b + g * 8 + q)), "r"(LOAD32(b + g * 8 + q + 4)));
  d[g * 8 + p] = s[0];
  d[g * 8 + p + 1] = s[1];
  d[(g + 8) * 8 + p] = s[2];
  d[(g + 8) * 8 + p + 1] = s[3];
}

KERNEL void mmaInteger(const signed char *a, const unsigned char *b, int *d) {
  const int g = threadIdx.x / 4, q = threadIdx.x % 4 * 4, p = threadIdx.x % 4 * 2;
  int s[4] = {0};
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.u8.s32 {%0,%1,%2,%3}, "
               "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+r"(s[0]), "+r"(s[1]), "+r"(s[2]), "+r"(s[3])
               : "r"(LOAD32(a + g * 32 + q)), "r"(LOAD32(a + (g + 8) * 32 + q)),
                 "r"(LOAD32(a + g * 32 + q + 16)), "r"(LOAD32(a + (g + 8) * 32 + q + 16)),
                 "r"(LOAD32(b + g * 32 + q)), "r"(LOAD32(b + g * 32 + q + 16)));
  d[g * 8 + p] = s[0];
  d[g * 8 + p + 1] = s[1];
  d[(g + 8) * 8 + p] = s[2];
  d[(g + 8) * 8 + p + 1] = s[3];
}

KERNEL void mmaDouble(const double *a, const double *b, double *d) {
  const int g = threadIdx.x / 4, q = threadIdx.x % 4, p = 2 * q;
  double s0 = 0, s1 = 0;
  asm volatile("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0,%1}, {%2}, {%3}, {%0,%1};"
               : "+d"(s0), "+d"(s1)
               : "d"(a[g * 4 + q]), "d"(b[g * 4 + q]));
  d[g * 8 + p] = s0;
  d[g * 8 + p + 1] = s1;
}

// Rows go in by address, come out by fragment: plain and transposed.
KERNEL void loadMatrices(const unsigned short *in, unsigned *plain, unsigned *transposed) {
  __shared__ __align__(16) unsigned short rows[32][8];
  const int lane = threadIdx.x;
  *(uint4 *)rows[lane] = *(const uint4 *)(in + 8 * lane);
  __syncthreads();
  unsigned *p = plain + 4 * lane, *q = transposed + 4 * lane;
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(p[0]), "=r"(p[1]), "=r"(p[2]), "=r"(p[3])
               : "r"(sharedAddress(rows[lane])));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(q[0]), "=r"(q[1]), "=r"(q[2]), "=r"(q[3])
               : "r"(sharedAddress(rows[lane])));
}
