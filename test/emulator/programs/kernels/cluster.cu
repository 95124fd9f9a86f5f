// Clusters of blocks on sm_90: distributed shared memory, cluster barriers, remote atomics.
#include <cooperative_groups.h>
namespace cg = cooperative_groups;

// Each block publishes its sum; every block of the cluster reads all of them.
KERNEL void __cluster_dims__(4, 1, 1) clusterSum(const int *in, int *out) {
  __shared__ int sum;
  const cg::cluster_group cluster = cg::this_cluster();
  if (threadIdx.x == 0)
    sum = 0;
  __syncthreads();
  atomicAdd(&sum, in[blockIdx.x * blockDim.x + threadIdx.x]);
  cluster.sync();
  int total = 0;
  for (unsigned r = 0; r < cluster.num_blocks(); ++r)
    total += *cluster.map_shared_rank(&sum, r) * (int)(r + 1);
  out[blockIdx.x * blockDim.x + threadIdx.x] = total;
  cluster.sync(); // no block leaves while another may read its memory
}

// A histogram whose bins are spread over the cluster's shared memories.
KERNEL void clusterHistogram(const int *in, unsigned *bins, int n, int binsPerBlock) {
  extern __shared__ unsigned local[];
  const cg::cluster_group cluster = cg::this_cluster();
  for (int b = threadIdx.x; b < binsPerBlock; b += blockDim.x)
    local[b] = 0;
  cluster.sync();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    atomicAdd(cluster.map_shared_rank(local, in[i] / binsPerBlock) + in[i] % binsPerBlock, 1u);
  cluster.sync();
  for (int b = threadIdx.x; b < binsPerBlock; b += blockDim.x)
    atomicAdd(&bins[cluster.block_rank() * binsPerBlock + b], local[b]);
}

// A ring: each block writes into its neighbour's shared memory; registers name places in cluster.
KERNEL void clusterRing(const int *in, int *out, unsigned *places) {
  __shared__ int mailbox[64];
  const cg::cluster_group cluster = cg::this_cluster();
  const unsigned rank = cluster.block_rank(), size = cluster.num_blocks();
  const int i = blockIdx.x * 64 + threadIdx.x;
  cluster.sync();
  int *const neighbour = cluster.map_shared_rank(mailbox, (rank + 1) % size);
  neighbour[threadIdx.x] = in[i];
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::
                   : "memory");
  out[i] = mailbox[63 - threadIdx.x];
  if (threadIdx.x == 0) {
    unsigned clusterId, clusterCount, blockInCluster, owner;
    asm("mov.u32 %0, %%clusterid.x;" : "=r"(clusterId));
    asm("mov.u32 %0, %%nclusterid.x;" : "=r"(clusterCount));
    asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(blockInCluster));
    asm("getctarank.u64 %0, %1;" : "=r"(owner) : "l"(neighbour));
    places[4 * blockIdx.x] = clusterId;
    places[4 * blockIdx.x + 1] = clusterCount;
    places[4 * blockIdx.x + 2] = blockInCluster;
    places[4 * blockIdx.x + 3] = owner;
  }
  cluster.sync();
}
