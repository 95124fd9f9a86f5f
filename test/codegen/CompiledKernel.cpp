#include "test/codegen/CompiledKernel.h"
#include "codegen/cpu/CpuBackend.h"
#include "codegen/cpu/Image.h"
#include "mlir/Parser/Parser.h"
#include "passes/Dialects.h"
#include "passes/Passes.h"
#include "passes/schedule/ScheduleKernels.h"
#include "llvm/ADT/APFloat.h"
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <gtest/gtest.h>
#include <list>
#include <map>
#include <random>
#include <sys/mman.h>
#include <unistd.h>

using namespace mlir;

namespace ingot::test {
namespace {

double milliseconds() {
  using namespace std::chrono;
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

void require(bool condition, const std::string &what) {
  if (condition)
    return;
  fprintf(stderr, "%s\n", what.c_str());
  abort();
}

template <typename T> T orDie(Result<T> result) {
  require(result.has_value(), result ? "" : result.error().text());
  return std::move(*result);
}

ElementType elementType(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return orDie(parseElementType(text));
}

} // namespace

CompiledKernel::CompiledKernel(const std::string &text, const std::string &targetName,
                               const TargetCosts &costs) {
  const CpuTarget target = orDie(CpuTarget::parse(targetName));
  const CpuBackend backend(target, costs);
  DialectRegistry registry;
  registerDialects(registry);
  MLIRContext context(registry, MLIRContext::Threading::DISABLED);
  auto module = parseSourceString<ModuleOp>(text, &context);
  require(bool(module), "cannot parse\n" + text);

  double start = milliseconds();
  auto kernel = *module->getOps<func::FuncOp>().begin();
  for (Type type : kernel.getResultTypes()) {
    auto tensor = cast<RankedTensorType>(type);
    results.push_back({elementType(tensor.getElementType()),
                       Shape(tensor.getShape().begin(), tensor.getShape().end())});
  }
  context.loadAllAvailableDialects();
  PassManager emitting(&context);
  emitting.addPass(createScheduleKernels(backend));
  emitting.addPass(createLowerKernels(backend));
  require(succeeded(emitting.run(*module)), "cannot lower\n" + text);
  kernel::ScheduleAttr schedule = kernel::scheduleOf(kernel);
  workspaceBytes = schedule.getScratch();
  launchScratchBytes = schedule.getLaunchScratch();
  for (kernel::PairAttr pair : schedule.getSharing())
    inPlace.push_back({pair.getResult(), pair.getOperand()});
  std::vector<std::string> names;
  for (auto [number, launch] : llvm::enumerate(schedule.getLaunches())) {
    grains.push_back(launch.getGrains());
    names.push_back(kernel::launchName(kernel.getName(), number));
    module->lookupSymbol<func::FuncOp>(names.back()).setPublic();
  }
  kernel.erase();

  double lowering = milliseconds();
  PassManager passes(&context);
  backend.addCodePasses(passes);
  require(succeeded(passes.run(*module)), "cannot reach the LLVM dialect");
  double compiling = milliseconds();
  std::vector<uint8_t> object = orDie(backend.compile(*module, nullptr));
  emitMs = lowering - start;
  lowerMs = compiling - lowering;
  llvmMs = milliseconds() - compiling;

  ImageBuilder image;
  const std::vector<int64_t> offsets = orDie(image.add(object, names));
  code = orDie(mapCode(image.bytes()));
  for (int64_t entry : offsets)
    entries.push_back(reinterpret_cast<Entry>(code.data() + entry));
}

namespace {

/// Memory that ends at a page which must not be touched, but for the rest of its last 64 bytes.
class GuardedMemory {
public:
  GuardedMemory(int64_t bytes, const void *contents) : bytes(bytes) {
    const int64_t page = sysconf(_SC_PAGESIZE);
    size = (bytes + page - 1) / page * page + page;
    start = static_cast<uint8_t *>(
        mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    require(start != MAP_FAILED && mprotect(start + size - page, page, PROT_NONE) == 0,
            "cannot map guarded memory");
    data = start + size - page - (bytes + 63) / 64 * 64;
    if (contents)
      std::memcpy(data, contents, bytes);
    else // whatever the workspace holds must not matter
      std::memset(data, 0xff, bytes);
  }
  GuardedMemory(const GuardedMemory &) = delete;
  ~GuardedMemory() { munmap(start, size); }

  uint8_t *data;
  const int64_t bytes;

private:
  uint8_t *start;
  int64_t size;
};

} // namespace

void CompiledKernel::run(const std::vector<Tensor> &memory,
                         const std::vector<std::vector<int64_t>> &bounds) const {
  std::list<GuardedMemory> guarded;
  std::map<const void *, void *> places; // tensors that share memory go on sharing it
  std::vector<void *> pointers;
  for (const Tensor &tensor : memory) {
    void *&place = places[tensor.data()];
    if (!place)
      place = guarded.emplace_back(tensor.bytes(), tensor.data()).data;
    pointers.push_back(place);
  }
  if (launchScratchBytes)
    pointers.push_back(guarded.emplace_back(launchScratchBytes, nullptr).data);
  pointers.push_back(guarded.emplace_back(workspaceBytes, nullptr).data);
  // Later ranges first: grains must not lean on each other.
  for (size_t launch = 0; launch < entries.size(); ++launch)
    for (size_t i = bounds[launch].size() - 1; i > 0; --i)
      entries[launch](pointers.data(), bounds[launch][i - 1], bounds[launch][i]);
  for (const Tensor &tensor : memory)
    std::memcpy(const_cast<void *>(tensor.data()), places[tensor.data()], tensor.bytes());
}

void CompiledKernel::runIn(const std::vector<Tensor> &memory) const {
  std::vector<std::vector<int64_t>> whole;
  for (int64_t count : grains)
    whole.push_back({0, count});
  run(memory, whole);
}

std::vector<Tensor> CompiledKernel::run(const std::vector<Tensor> &arguments) const {
  using Cut = std::vector<int64_t> (*)(int64_t);
  auto compute = [&](Cut cut) {
    std::vector<Tensor> memory = arguments;
    for (auto &[type, shape] : results) {
      Tensor tensor(type, shape);
      std::memset(tensor.data(), 0xff, tensor.bytes());
      memory.push_back(tensor);
    }
    std::vector<std::vector<int64_t>> bounds;
    for (int64_t count : grains)
      bounds.push_back(cut(count));
    run(memory, bounds);
    return std::vector<Tensor>(memory.begin() + arguments.size(), memory.end());
  };
  std::vector<Tensor> whole = compute([](int64_t count) { return std::vector<int64_t>{0, count}; });
  const Cut others[] = {
      [](int64_t count) {
        std::vector<int64_t> single;
        for (int64_t grain = 0; grain <= count; ++grain)
          single.push_back(grain);
        return single;
      },
      [](int64_t count) { return std::vector<int64_t>{0, count / 3, count / 2, count}; }};
  for (Cut cut : others) {
    std::vector<Tensor> parts = compute(cut);
    for (size_t r = 0; r < whole.size(); ++r)
      EXPECT_EQ(std::memcmp(whole[r].data(), parts[r].data(), whole[r].bytes()), 0)
          << "result " << r << " depends on how the grains are shared out";
  }
  return whole;
}

namespace {

const llvm::fltSemantics &semantics(ElementType type) {
  return type == ElementType::BF16 ? llvm::APFloat::BFloat() : llvm::APFloat::IEEEhalf();
}

} // namespace

Tensor randomTensor(ElementType type, const Shape &shape, uint64_t seed) {
  Tensor tensor(type, shape);
  std::mt19937_64 generator(seed);
  std::uniform_real_distribution<double> uniform(-1, 1);
  for (int64_t i = 0; i < tensor.size(); ++i) {
    double value = uniform(generator);
    if (type == ElementType::F64)
      tensor.as<double>()[i] = value;
    else if (type == ElementType::F32)
      tensor.as<float>()[i] = float(value);
    else {
      llvm::APFloat narrow(value);
      bool inexact;
      narrow.convert(semantics(type), llvm::APFloat::rmNearestTiesToEven, &inexact);
      tensor.as<uint16_t>()[i] = uint16_t(narrow.bitcastToAPInt().getZExtValue());
    }
  }
  return tensor;
}

double elementAt(const Tensor &tensor, int64_t i) {
  if (tensor.type() == ElementType::F64)
    return tensor.as<double>()[i];
  if (tensor.type() == ElementType::F32)
    return tensor.as<float>()[i];
  llvm::APFloat narrow(semantics(tensor.type()), llvm::APInt(16, tensor.as<uint16_t>()[i]));
  return narrow.convertToDouble();
}

uint64_t testSeed() {
  static const uint64_t seed = [] {
    const char *text = getenv("INGOT_TEST_SEED");
    uint64_t value = text ? strtoull(text, nullptr, 10) : std::random_device{}();
    printf("INGOT_TEST_SEED=%llu\n", static_cast<unsigned long long>(value));
    return value;
  }();
  return seed;
}

} // namespace ingot::test
