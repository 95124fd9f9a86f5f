/// A CUDA program as nvcc makes one, written by hand so that testing needs no CUDA toolkit: it
/// registers a fat binary with PTX before main and calls the runtime's C interface. Its argument
/// names what it does; test/end-to-end/test_cuda_program.py knows what has to come of it.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

struct Dim {
  unsigned x = 1, y = 1, z = 1;
};
struct LaunchAttribute;
using Stream = struct StreamHandle *;
using Event = struct EventHandle *;

// What of the interface is called; all but the texts return cudaError_t.
extern "C" {
void **__cudaRegisterFatBinary(void *);
void __cudaRegisterFatBinaryEnd(void **);
void __cudaUnregisterFatBinary(void **);
void __cudaRegisterFunction(void **, const char *, char *, const char *, int, void *, void *,
                            void *, void *, int *);
void __cudaRegisterVar(void **, char *, char *, const char *, int, size_t, int, int);
void __cudaRegisterManagedVar(void **, void **, char *, const char *, int, size_t, int, int);
char __cudaInitModule(void **);
unsigned __cudaPushCallConfiguration(Dim, Dim, size_t, void *);
int __cudaPopCallConfiguration(Dim *, Dim *, size_t *, void *);
int cudaLaunchKernel(const void *, Dim, Dim, void **, size_t, Stream);
int cudaLaunchCooperativeKernel(const void *, Dim, Dim, void **, size_t, Stream);
int cudaMalloc(void **, size_t);
int cudaMallocManaged(void **, size_t, unsigned);
int cudaMallocAsync(void **, size_t, Stream);
int cudaFreeAsync(void *, Stream);
int cudaFree(void *);
int cudaHostAlloc(void **, size_t, unsigned);
int cudaFreeHost(void *);
int cudaHostRegister(void *, size_t, unsigned);
int cudaHostUnregister(void *);
int cudaMemcpy(void *, const void *, size_t, int);
int cudaMemcpyAsync(void *, const void *, size_t, int, Stream);
int cudaMemcpy2D(void *, size_t, const void *, size_t, size_t, size_t, int);
int cudaMallocPitch(void **, size_t *, size_t, size_t);
int cudaMemset(void *, int, size_t);
int cudaMemcpyToSymbol(const void *, const void *, size_t, size_t, int);
int cudaMemcpyFromSymbol(void *, const void *, size_t, size_t, int);
int cudaStreamCreate(Stream *);
int cudaStreamCreateWithFlags(Stream *, unsigned);
int cudaStreamDestroy(Stream);
int cudaStreamSynchronize(Stream);
int cudaStreamWaitEvent(Stream, Event, unsigned);
int cudaStreamBeginCapture(Stream, int);
int cudaStreamEndCapture(Stream, void **);
int cudaGraphInstantiate(void **, void *, unsigned long long);
int cudaGraphLaunch(void *, Stream);
int cudaGraphExecDestroy(void *);
int cudaGraphDestroy(void *);
int cudaLaunchHostFunc(Stream, void (*)(void *), void *);
int cudaEventCreate(Event *);
int cudaEventRecord(Event, Stream);
int cudaEventSynchronize(Event);
int cudaEventElapsedTime(float *, Event, Event);
int cudaEventDestroy(Event);
int cudaDeviceSynchronize();
int cudaDeviceReset();
int cudaGetLastError();
int cudaPeekAtLastError();
const char *cudaGetErrorName(int);
const char *cudaGetErrorString(int);
int cudaGetDeviceCount(int *);
int cudaSetDevice(int);
int cudaDeviceGetAttribute(int *, int, int);
int cudaRuntimeGetVersion(int *);
int cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *, const void *, int, size_t);
int cudaFuncSetAttribute(const void *, int, int);
int cudaMallocArray(void **, const void *, size_t, size_t, unsigned);
}

namespace {

constexpr int hostToDevice = 1, deviceToHost = 2;

constexpr const char *ptx = R"(.version 7.0
.target sm_80
.address_size 64
.visible .const .align 4 .f32 factor = 0f40000000;
.visible .global .align 4 .u32 counter;
.visible .global .attribute(.managed) .align 4 .u32 shared_word;
.extern .shared .align 4 .b8 dynamic[];

// out[i] = factor * in[i] for i < n
.visible .entry scale(.param .u64 in, .param .u64 out, .param .u32 n)
{
  .reg .pred %p<2>;
  .reg .b32 %r<8>;
  .reg .f32 %f<4>;
  .reg .b64 %rd<8>;
  ld.param.u64 %rd1, [in];
  ld.param.u64 %rd2, [out];
  ld.param.u32 %r1, [n];
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mov.u32 %r4, %tid.x;
  mad.lo.u32 %r5, %r2, %r3, %r4;
  setp.ge.u32 %p1, %r5, %r1;
  @%p1 bra END;
  mul.wide.u32 %rd3, %r5, 4;
  add.s64 %rd4, %rd1, %rd3;
  add.s64 %rd5, %rd2, %rd3;
  ld.global.f32 %f1, [%rd4];
  ld.const.f32 %f2, [factor];
  mul.f32 %f3, %f1, %f2;
  st.global.f32 [%rd5], %f3;
END:
  ret;
}

// out[i] = in[n - 1 - i] through dynamic shared memory; with or without the barrier
.visible .entry reverse(.param .u64 data, .param .u32 barrier)
{
  .reg .pred %p<2>;
  .reg .b32 %r<10>;
  .reg .b64 %rd<4>;
  ld.param.u64 %rd1, [data];
  ld.param.u32 %r1, [barrier];
  setp.eq.u32 %p1, %r1, 0;
  mov.u32 %r2, %tid.x;
  mov.u32 %r3, %ntid.x;
  mul.wide.u32 %rd2, %r2, 4;
  add.s64 %rd3, %rd1, %rd2;
  ld.global.u32 %r4, [%rd3];
  shl.b32 %r5, %r2, 2;
  mov.u32 %r6, dynamic;
  add.u32 %r5, %r5, %r6;
  st.shared.u32 [%r5], %r4;
  @%p1 bra READ;
  bar.sync 0;
READ:
  sub.u32 %r7, %r3, %r2;
  sub.u32 %r7, %r7, 1;
  shl.b32 %r7, %r7, 2;
  add.u32 %r7, %r7, %r6;
  ld.shared.u32 %r8, [%r7];
  st.global.u32 [%rd3], %r8;
  ret;
}

.visible .entry count()
{
  .reg .b32 %r<4>;
  .reg .b64 %rd<2>;
  atom.global.add.u32 %r1, [counter], 1;
  atom.global.add.u32 %r2, [shared_word], 1;
  ret;
}

.visible .entry stop()
{
  trap;
}
)";

std::vector<char> fatBinary; ///< one uncompressed image of PTX for sm_80
struct {
  uint32_t magic = 0x466243b1, version = 1;
  const void *container = nullptr;
  const void *unused = nullptr;
} wrapper;
void **handle = nullptr;

// The host's side of kernels and variables: their addresses are what counts.
char scaleEntry, reverseEntry, countEntry, stopEntry;
float factor;
uint32_t counter;
uint32_t *sharedWord;

template <typename T> void append(T value) {
  const char *bytes = reinterpret_cast<const char *>(&value);
  fatBinary.insert(fatBinary.end(), bytes, bytes + sizeof value);
}

void makeFatBinary(bool withPtx) {
  const size_t bytes = (std::strlen(ptx) + 8) / 8 * 8;
  append<uint32_t>(0xba55ed50);
  append<uint16_t>(1);
  append<uint16_t>(16);
  append<uint64_t>(64 + 16 + bytes);
  append<uint16_t>(withPtx ? 1 : 2);
  append<uint16_t>(0x101);
  append<uint32_t>(64 + 16);
  append<uint64_t>(bytes);
  append<uint32_t>(0); // not compressed
  append<uint32_t>(0);
  append<uint16_t>(0);
  append<uint16_t>(7);
  append<uint32_t>(80); // architecture
  append<uint32_t>(64); // its name follows the header
  append<uint32_t>(8);
  append<uint64_t>(0x11);
  append<uint64_t>(0);
  append<uint64_t>(0);
  const char name[16] = "hand.cu";
  fatBinary.insert(fatBinary.end(), name, name + 16);
  fatBinary.insert(fatBinary.end(), ptx, ptx + std::strlen(ptx));
  fatBinary.resize(16 + 64 + 16 + bytes);
  wrapper.container = fatBinary.data();
}

void unregister() { __cudaUnregisterFatBinary(handle); }

__attribute__((constructor)) void registerAll() {
  makeFatBinary(!std::getenv("WITHOUT_PTX"));
  handle = __cudaRegisterFatBinary(&wrapper);
  const auto kernel = [](char &entry, const char *name) {
    __cudaRegisterFunction(handle, &entry, &entry, name, -1, nullptr, nullptr, nullptr, nullptr,
                           nullptr);
  };
  kernel(scaleEntry, "scale");
  kernel(reverseEntry, "reverse");
  kernel(countEntry, "count");
  kernel(stopEntry, "stop");
  const auto host = [](auto &variable) { return reinterpret_cast<char *>(&variable); };
  __cudaRegisterVar(handle, host(factor), nullptr, "factor", 0, 4, 1, 0);
  __cudaRegisterVar(handle, host(counter), nullptr, "counter", 0, 4, 0, 0);
  __cudaRegisterManagedVar(handle, reinterpret_cast<void **>(&sharedWord), nullptr, "shared_word",
                           0, 4, 0, 0);
  __cudaRegisterFatBinaryEnd(handle);
  std::atexit(unregister);
}

void check(int error, const char *what) {
  if (!error)
    return;
  std::printf("%s: %s: %s\n", what, cudaGetErrorName(error), cudaGetErrorString(error));
  std::exit(3);
}
#define CHECK(call) check(call, #call)

void require(bool holds, const char *what) {
  if (holds)
    return;
  std::printf("wrong: %s\n", what);
  std::exit(4);
}
#define REQUIRE(condition) require(condition, #condition)

/// As the code behind `kernel<<<grid, block, shared, stream>>>(…)`.
template <typename... T>
int launch(char &entry, unsigned grid, unsigned block, size_t shared, Stream stream, T... values) {
  Dim grids, blocks;
  size_t bytes = 0;
  void *queue = nullptr;
  __cudaPushCallConfiguration({grid}, {block}, shared, stream);
  __cudaPopCallConfiguration(&grids, &blocks, &bytes, &queue);
  void *arguments[] = {&values..., nullptr};
  return cudaLaunchKernel(&entry, grids, blocks, arguments, bytes, Stream(queue));
}

template <typename T> T *allocate(size_t count) {
  void *memory = nullptr;
  CHECK(cudaMalloc(&memory, count * sizeof(T)));
  return static_cast<T *>(memory);
}

constexpr unsigned n = 1000;
std::vector<float> ramp() {
  std::vector<float> values(n);
  for (unsigned i = 0; i < n; ++i)
    values[i] = float(i);
  return values;
}

void vector() {
  const std::vector<float> in = ramp();
  std::vector<float> out(n);
  float *a = allocate<float>(n), *b = allocate<float>(n);
  CHECK(cudaMemcpy(a, in.data(), n * 4, hostToDevice));
  CHECK(launch(scaleEntry, 4, 256, 0, nullptr, a, b, n));
  CHECK(cudaGetLastError());
  CHECK(cudaMemcpy(out.data(), b, n * 4, deviceToHost));
  for (unsigned i = 0; i < n; ++i)
    REQUIRE(out[i] == 2 * in[i]);
  CHECK(cudaFree(a));
  CHECK(cudaFree(b));
}

/// A stream copies what another one's kernel writes, without waiting for it.
void unordered() {
  Stream one, two;
  CHECK(cudaStreamCreateWithFlags(&one, 1));
  CHECK(cudaStreamCreateWithFlags(&two, 1));
  const std::vector<float> in = ramp();
  std::vector<float> out(n);
  float *a = allocate<float>(n), *b = allocate<float>(n);
  CHECK(cudaMemcpy(a, in.data(), n * 4, hostToDevice));
  for (int i = 0; i < 3; ++i) {
    CHECK(launch(scaleEntry, 4, 256, 0, one, a, b, n));
    CHECK(cudaMemcpyAsync(out.data(), b, n * 4, deviceToHost, two));
    CHECK(cudaDeviceSynchronize());
  }
  CHECK(cudaFree(a));
  CHECK(cudaFree(b));
  CHECK(cudaStreamDestroy(one));
  CHECK(cudaStreamDestroy(two));
}

/// Reads memory that nobody has written: a finding that ends nothing.
void unwritten() {
  float *a = allocate<float>(n), *b = allocate<float>(n);
  for (int i = 0; i < 3; ++i)
    CHECK(launch(scaleEntry, 4, 256, 0, nullptr, a, b, n));
  CHECK(cudaDeviceSynchronize());
  CHECK(cudaFree(a));
  CHECK(cudaFree(b));
  std::puts("went on");
}

void reversal(unsigned barrier) {
  std::vector<uint32_t> values(256);
  for (uint32_t i = 0; i < 256; ++i)
    values[i] = i;
  uint32_t *data = allocate<uint32_t>(256);
  CHECK(cudaMemcpy(data, values.data(), 1024, hostToDevice));
  CHECK(launch(reverseEntry, 1, 256, 1024, nullptr, data, barrier));
  CHECK(cudaMemcpy(values.data(), data, 1024, deviceToHost));
  for (uint32_t i = 0; i < 256 && barrier; ++i)
    REQUIRE(values[i] == 255 - i);
  CHECK(cudaFree(data));
}

void symbols() {
  const float three = 3;
  CHECK(cudaMemcpyToSymbol(&factor, &three, 4, 0, hostToDevice));
  float back = 0;
  CHECK(cudaMemcpyFromSymbol(&back, &factor, 4, 0, deviceToHost));
  REQUIRE(back == 3);
  REQUIRE(__cudaInitModule(handle) && *sharedWord == 0);
  *sharedWord = 5;
  CHECK(launch(countEntry, 2, 64, 0, nullptr));
  CHECK(cudaDeviceSynchronize());
  uint32_t counted = 0;
  CHECK(cudaMemcpyFromSymbol(&counted, &counter, 4, 0, deviceToHost));
  REQUIRE(counted == 128 && *sharedWord == 133);
  REQUIRE(cudaMemcpyToSymbol(&three, &three, 4, 0, hostToDevice) == 13); // no symbol
  REQUIRE(cudaGetLastError() == 13);
}

void memory() {
  void *managed = nullptr, *pinned = nullptr, *async = nullptr, *pitched = nullptr;
  std::vector<float> registered = ramp();
  CHECK(cudaMallocManaged(&managed, n * 4, 1));
  CHECK(cudaHostAlloc(&pinned, n * 4, 0));
  CHECK(cudaHostRegister(registered.data(), n * 4, 0));
  CHECK(cudaMallocAsync(&async, n * 4, nullptr));
  CHECK(cudaMemcpy(async, registered.data(), n * 4, hostToDevice));
  CHECK(launch(scaleEntry, 4, 256, 0, nullptr, registered.data(), managed, n));
  CHECK(launch(scaleEntry, 4, 256, 0, nullptr, managed, pinned, n));
  CHECK(cudaDeviceSynchronize());
  for (unsigned i = 0; i < n; ++i)
    REQUIRE(static_cast<float *>(pinned)[i] == 4 * float(i));
  size_t pitch = 0;
  CHECK(cudaMallocPitch(&pitched, &pitch, 40, 10));
  REQUIRE(pitch >= 40);
  CHECK(cudaMemcpy2D(pitched, pitch, registered.data(), 40, 40, 10, hostToDevice));
  std::vector<float> back(100);
  CHECK(cudaMemcpy2D(back.data(), 40, pitched, pitch, 40, 10, deviceToHost));
  REQUIRE(back[99] == 99);
  CHECK(cudaHostUnregister(registered.data()));
  CHECK(cudaFreeAsync(async, nullptr));
  CHECK(cudaFreeHost(pinned));
  CHECK(cudaFree(managed));
  CHECK(cudaFree(pitched));
}

void streams() {
  Stream one, two;
  Event start, end;
  CHECK(cudaStreamCreate(&one));
  CHECK(cudaStreamCreate(&two));
  CHECK(cudaEventCreate(&start));
  CHECK(cudaEventCreate(&end));
  const std::vector<float> in = ramp();
  std::vector<float> out(n);
  float *a = allocate<float>(n), *b = allocate<float>(n);
  CHECK(cudaEventRecord(start, one));
  CHECK(cudaMemcpyAsync(a, in.data(), n * 4, hostToDevice, one));
  CHECK(launch(scaleEntry, 4, 256, 0, one, a, b, n));
  CHECK(cudaEventRecord(end, one));
  CHECK(cudaStreamWaitEvent(two, end, 0));
  CHECK(cudaMemcpyAsync(out.data(), b, n * 4, deviceToHost, two));
  CHECK(cudaStreamSynchronize(two));
  float milliseconds = -1;
  CHECK(cudaEventSynchronize(end));
  CHECK(cudaEventElapsedTime(&milliseconds, start, end));
  REQUIRE(milliseconds >= 0 && out[n - 1] == 2 * in[n - 1]);
  // The same in a graph, which runs twice; then a function of the host.
  void *graph = nullptr, *executable = nullptr;
  CHECK(cudaStreamBeginCapture(one, 0));
  CHECK(launch(scaleEntry, 4, 256, 0, one, b, a, n));
  CHECK(launch(scaleEntry, 4, 256, 0, one, a, b, n));
  CHECK(cudaStreamEndCapture(one, &graph));
  CHECK(cudaGraphInstantiate(&executable, graph, 0));
  CHECK(cudaGraphLaunch(executable, one));
  CHECK(cudaGraphLaunch(executable, one));
  CHECK(cudaMemcpy(out.data(), b, n * 4, deviceToHost));
  REQUIRE(out[1] == 32);
  int called = 0;
  CHECK(cudaLaunchHostFunc(one, [](void *data) { ++*static_cast<int *>(data); }, &called));
  CHECK(cudaStreamSynchronize(one));
  REQUIRE(called == 1);
  CHECK(cudaGraphExecDestroy(executable));
  CHECK(cudaGraphDestroy(graph));
  CHECK(cudaEventDestroy(start));
  CHECK(cudaEventDestroy(end));
  CHECK(cudaStreamDestroy(one));
  CHECK(cudaStreamDestroy(two));
  CHECK(cudaFree(a));
  CHECK(cudaFree(b));
}

void errors() {
  int count = 0, version = 0, blocks = 0, major = 0;
  CHECK(cudaGetDeviceCount(&count));
  CHECK(cudaRuntimeGetVersion(&version));
  REQUIRE(count == 1 && version >= 13000);
  REQUIRE(cudaSetDevice(1) == 101);
  REQUIRE(cudaPeekAtLastError() == 101 && cudaGetLastError() == 101 && cudaGetLastError() == 0);
  REQUIRE(launch(scaleEntry, 1, 2048, 0, nullptr, nullptr, nullptr, 0u) == 9);
  REQUIRE(cudaGetLastError() == 9);
  char unknown;
  REQUIRE(launch(unknown, 1, 32, 0, nullptr) == 98);
  CHECK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, &scaleEntry, 256, 0));
  REQUIRE(blocks == 8);
  CHECK(cudaDeviceGetAttribute(&major, 75, 0));
  std::printf("major %d\n", major);
  REQUIRE(std::string(cudaGetErrorString(0)) == "no error");
}

/// An access past the end: from then on every call fails, until the device is reset.
void outOfBounds() {
  float *a = allocate<float>(n);
  CHECK(cudaMemset(a, 0, n * 4));
  CHECK(launch(scaleEntry, 4, 256, 0, nullptr, a, a, n + 1));
  CHECK(cudaGetLastError()); // what runs is not known yet
  REQUIRE(cudaDeviceSynchronize() == 700);
  REQUIRE(cudaFree(a) == 700 && cudaGetLastError() == 700 && cudaGetLastError() == 700);
  CHECK(cudaDeviceReset());
  vector();
  std::puts("works again");
}

void trap() {
  CHECK(launch(stopEntry, 1, 32, 0, nullptr));
  REQUIRE(cudaDeviceSynchronize() == 719);
}

/// Frees in a destructor that runs after main.
struct Late {
  float *memory = nullptr;
  ~Late() { cudaFree(memory); }
} late;

void threads() {
  std::vector<std::thread> all;
  for (int i = 0; i < 4; ++i)
    all.emplace_back(vector);
  for (std::thread &thread : all)
    thread.join();
}

const std::map<std::string, std::function<void()>> cases = {
    {"vector", vector},
    {"unwritten", unwritten},
    {"reverse", [] { reversal(1); }},
    {"race", [] { reversal(0); }},
    {"symbols", symbols},
    {"memory", memory},
    {"streams", streams},
    {"unordered", unordered},
    {"errors", errors},
    {"out-of-bounds", outOfBounds},
    {"trap", trap},
    {"threads", threads},
    {"late", [] { late.memory = allocate<float>(n); }},
    {"leak", [] { allocate<float>(n); }},
    {"leak-and-reset", [] { allocate<float>(n), cudaDeviceReset(); }},
    {"refused",
     [] {
       void *array = nullptr;
       REQUIRE(cudaMallocArray(&array, nullptr, 1, 1, 0) == 801);
     }},
    {"exit", [] { std::exit(7); }},
    {"crash", [] { vector(), std::abort(); }},
    {"echo",
     [] {
       char line[100];
       if (std::fgets(line, sizeof line, stdin))
         std::printf("read %s", line);
     }},
    {"wait",
     [] {
       std::puts("ready"), std::fflush(stdout),
           std::this_thread::sleep_for(std::chrono::minutes(1));
     }},
};

} // namespace

int main(int argc, char **argv) {
  const auto found = cases.find(argc > 1 ? argv[1] : "");
  if (found == cases.end()) {
    std::printf("no such case\n");
    return 2;
  }
  found->second();
  std::printf("%s: done\n", argv[1]);
  return 0;
}
