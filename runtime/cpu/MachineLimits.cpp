#include "runtime/cpu/MachineLimits.h"
#include "runtime/cpu/CpuInfo.h"
#include "runtime/support/Clock.h"
#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <thread>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ingot {

namespace {

/// Computes a value that nobody needs.
void keep(float value) { asm volatile("" : : "m"(value)); }

// Independent sums hide the latency of an operation; twelve of them fit sixteen registers.
constexpr int chains = 12;
constexpr int64_t rounds = 1'000'000;
constexpr double steps = double(chains) * rounds;

/// `rounds` · `chains` multiply-adds, which this file is compiled to fuse; returns something of
/// them, so that they are not dropped.
template <typename Vector> inline __attribute__((always_inline)) float multiplyAdds() {
  Vector sums[chains], factor = Vector{} + 0.999f, term = Vector{} + 0.001f;
  // Of known ones the compiler would find sums that never change, and compute fewer than are
  // counted.
  asm volatile("" : "+m"(factor), "+m"(term));
  for (int chain = 0; chain < chains; ++chain)
    sums[chain] = Vector{} + float(chain); // equal chains would be computed once
  for (int64_t round = 0; round < rounds; ++round)
    for (Vector &sum : sums)
      sum = sum * factor + term;
  Vector total = {};
  for (Vector &sum : sums)
    total += sum;
  return total[0];
}

/// A loop that keeps a core's arithmetic units busy, and its operations.
struct Work {
  float (*run)();
  double flops;
};

typedef float Vector16 __attribute__((vector_size(16)));
float multiplyAdds16() { return multiplyAdds<Vector16>(); }

#if defined(__x86_64__)
typedef float Vector32 __attribute__((vector_size(32)));
typedef float Vector64 __attribute__((vector_size(64)));
__attribute__((target("avx2,fma"))) float multiplyAdds32() { return multiplyAdds<Vector32>(); }
__attribute__((target("avx512f"))) float multiplyAdds64() { return multiplyAdds<Vector64>(); }

__attribute__((target("avx512f,avx512bf16"))) float dotProducts() {
  __m512 sums[chains];
  for (int chain = 0; chain < chains; ++chain)
    sums[chain] = _mm512_set1_ps(float(chain));
  __m512bh left = (__m512bh)_mm512_set1_epi32(0x3f803f80), right = left; // ones
  for (int64_t round = 0; round < rounds; ++round)
    for (__m512 &sum : sums)
      sum = _mm512_dpbf16_ps(sum, left, right);
  __m512 total = sums[0];
  for (__m512 &sum : sums)
    total = total + sum;
  return total[0];
}

Work widestMultiplyAdds() {
  if (__builtin_cpu_supports("avx512f"))
    return {multiplyAdds64, 2 * 16 * steps};
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    return {multiplyAdds32, 2 * 8 * steps};
  return {multiplyAdds16, 2 * 4 * steps};
}
Work bf16DotProducts() {
  if (__builtin_cpu_supports("avx512bf16"))
    return {dotProducts, 2 * 32 * steps};
  return {nullptr, 0};
}
#else
Work widestMultiplyAdds() { return {multiplyAdds16, 2 * 4 * steps}; }
Work bf16DotProducts() { return {nullptr, 0}; }
#endif

/// Threads that start each attempt together.
class Team {
public:
  explicit Team(int threads) : threads(threads) {}

  /// The best rate of all threads together in `attempts`, where one call of `work(thread)` is worth
  /// `amount`. Threads that another process holds back lower the rate of that attempt alone.
  double rate(int attempts, double amount, const std::function<void(int)> &work) const {
    double best = 0;
    for (int attempt = 0; attempt < attempts; ++attempt) {
      std::atomic<int> waiting = threads;
      std::vector<double> starts(threads), ends(threads);
      auto timed = [&](int thread) {
        --waiting;
        while (waiting > 0)
          std::this_thread::yield();
        starts[thread] = steadySeconds();
        work(thread);
        ends[thread] = steadySeconds();
      };
      std::vector<std::thread> others;
      for (int thread = 1; thread < threads; ++thread)
        others.emplace_back(timed, thread);
      timed(0);
      for (std::thread &other : others)
        other.join();
      // From the first start to the last end: threads that run one after the other share nothing.
      double seconds = *std::ranges::max_element(ends) - *std::ranges::min_element(starts);
      best = std::max(best, threads * amount / seconds);
    }
    return best;
  }

private:
  int threads;
};

/// Runs `work` often enough that reading the clock does not show.
void repeat(int64_t bytes, const std::function<void()> &work) {
  constexpr int64_t least = 16 << 20;
  for (int64_t done = 0; done < least; done += bytes)
    work();
}
double repeated(int64_t bytes) {
  constexpr int64_t least = 16 << 20;
  return double((least + bytes - 1) / bytes * bytes);
}

constexpr int64_t unrolled = 64; ///< floats a round: several cache lines are on their way at once

/// The sum of the data, in the widest vectors.
template <typename Vector>
inline __attribute__((always_inline)) float sumAll(const float *data, int64_t count) {
  constexpr int64_t lanes = sizeof(Vector) / sizeof(float);
  Vector sums[unrolled / lanes] = {};
  for (int64_t i = 0; i + unrolled <= count; i += unrolled)
    for (int64_t part = 0; part < unrolled / lanes; ++part)
      sums[part] += *reinterpret_cast<const Vector *>(data + i + part * lanes);
  Vector total = {};
  for (Vector &sum : sums)
    total += sum;
  return total[0];
}

template <typename Vector>
inline __attribute__((always_inline)) void scaleAll(float *data, int64_t count) {
  constexpr int64_t lanes = sizeof(Vector) / sizeof(float);
  for (int64_t i = 0; i + unrolled <= count; i += unrolled)
    for (int64_t part = 0; part < unrolled / lanes; ++part)
      *reinterpret_cast<Vector *>(data + i + part * lanes) *= 0.999f;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) float sum32(const float *data, int64_t count) {
  return sumAll<Vector32>(data, count);
}
__attribute__((target("avx512f"))) float sum64(const float *data, int64_t count) {
  return sumAll<Vector64>(data, count);
}
__attribute__((target("avx2"))) void scale32(float *data, int64_t count) {
  scaleAll<Vector32>(data, count);
}
__attribute__((target("avx512f"))) void scale64(float *data, int64_t count) {
  scaleAll<Vector64>(data, count);
}
float sum(const float *data, int64_t count) {
  if (__builtin_cpu_supports("avx512f"))
    return sum64(data, count);
  return __builtin_cpu_supports("avx2") ? sum32(data, count) : sumAll<Vector16>(data, count);
}
void scale(float *data, int64_t count) {
  if (__builtin_cpu_supports("avx512f"))
    return scale64(data, count);
  return __builtin_cpu_supports("avx2") ? scale32(data, count) : scaleAll<Vector16>(data, count);
}
#else
float sum(const float *data, int64_t count) { return sumAll<Vector16>(data, count); }
void scale(float *data, int64_t count) { scaleAll<Vector16>(data, count); }
#endif

class Bandwidths {
public:
  /// `most` bytes a thread will be touched.
  Bandwidths(int threads, int64_t most) : team(threads) {
    for (int thread = 0; thread < threads; ++thread) {
      floats.emplace_back(static_cast<float *>(std::aligned_alloc(4096, size_t(most))), std::free);
      std::memset(floats.back().get(), 0, size_t(most));
    }
  }
  double read(int64_t bytes) const {
    return team.rate(attempts, repeated(bytes), [&](int thread) {
      repeat(bytes, [&] { keep(sum(floats[thread].get(), bytes / 4)); });
    });
  }
  double update(int64_t bytes) const {
    return team.rate(attempts, 2 * repeated(bytes), [&](int thread) {
      repeat(bytes, [&] { scale(floats[thread].get(), bytes / 4); });
    });
  }
  double copy(int64_t bytes) const {
    return team.rate(attempts, repeated(bytes), [&](int thread) {
      float *data = floats[thread].get();
      repeat(bytes, [&] { std::memcpy(data + bytes / 8, data, size_t(bytes / 2)); });
    });
  }

private:
  static constexpr int attempts = 4;
  Team team;
  std::vector<std::unique_ptr<float, decltype(&std::free)>> floats;
};

} // namespace

MachineLimits::Bound MachineLimits::bound(double operations, double bytes,
                                          double workingSet) const {
  const Bound arithmetic = {operations / flops, "FMA"};
  for (const Level &level : levels) {
    if (workingSet > double(level.bytes))
      continue;
    const Bound traffic = {bytes / level.bandwidth, level.name};
    return traffic.seconds > arithmetic.seconds ? traffic : arithmetic;
  }
  return arithmetic;
}

double runMultiplyAdds() {
  const Work work = widestMultiplyAdds();
  keep(work.run());
  return work.flops;
}

MachineLimits measureMachine(int threads) {
  MachineLimits limits;
  limits.threads = std::max(threads, 1);
  Team team(limits.threads);
  auto best = [&](Work work) {
    return work.run ? team.rate(7, work.flops, [&](int) { keep(work.run()); }) : 0;
  };
  limits.flops = best(widestMultiplyAdds());
  limits.bf16Flops = best(bf16DotProducts());

  const int64_t l2 = std::max<int64_t>(cacheBytes(2), 256 << 10),
                last = std::max(cacheBytes(3), l2);
  // Much more than the last cache, which neighbours on a shared machine may share, but bounded:
  // touching memory takes longer than measuring it.
  const int64_t main = std::clamp<int64_t>(4 * last, 64 << 20, 512 << 20) / limits.threads;
  Bandwidths bandwidths(limits.threads, main);
  auto level = [&](std::string_view name, int64_t holds, int64_t touched) {
    limits.levels.push_back(
        {name, holds, std::max(bandwidths.read(touched), bandwidths.update(touched))});
  };
  level("L2", l2 * limits.threads, l2 / 2);
  if (last > l2)
    level("L3", last, last / 4 / limits.threads);
  limits.readBandwidth = bandwidths.read(main);
  limits.copyBandwidth = bandwidths.copy(main);
  limits.levels.push_back(
      {"memory", std::numeric_limits<int64_t>::max(),
       std::max({limits.readBandwidth, limits.copyBandwidth, bandwidths.update(main)})});
  return limits;
}

} // namespace ingot
