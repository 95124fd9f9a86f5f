#include "test/codegen/CompiledKernel.h"
#include "codegen/Passes.h"
#include "codegen/cpu/Image.h"
#include "codegen/cpu/Object.h"
#include "mlir/Parser/Parser.h"
#include "passes/Dialects.h"
#include "passes/Passes.h"
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

CompiledKernel::CompiledKernel(const std::string &text, const std::string &targetName) {
  const CpuTarget target = orDie(CpuTarget::parse(targetName));
  const MachineShape machine = target.machine();
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
  PassManager emitting(&context);
  emitting.addPass(createLowerKernels({machine.vectorBytes, machine.l1Bytes, machine.l2Bytes}));
  require(succeeded(emitting.run(*module)), "cannot lower\n" + text);
  kernel = *module->getOps<func::FuncOp>().begin();
  grains = kernel->getAttrOfType<IntegerAttr>("graph.grains").getInt();
  workspaceBytes = kernel->getAttrOfType<IntegerAttr>("graph.workspace").getInt();
  for (Attribute pair : kernel->getAttrOfType<ArrayAttr>("graph.in_place")) {
    auto numbers = cast<ArrayAttr>(pair);
    inPlace.push_back(
        {cast<IntegerAttr>(numbers[0]).getInt(), cast<IntegerAttr>(numbers[1]).getInt()});
  }
  std::string name = kernel.getName().str();

  double lowering = milliseconds();
  PassManager passes(&context);
  context.loadAllAvailableDialects();
  buildLlvmPipeline(passes, target);
  require(succeeded(passes.run(*module)), "cannot reach the LLVM dialect");
  double compiling = milliseconds();
  std::vector<uint8_t> object = orDie(compileToObject(*module, target));
  emitMs = lowering - start;
  lowerMs = compiling - lowering;
  llvmMs = milliseconds() - compiling;

  ImageBuilder image;
  int64_t offset = orDie(image.add(object, name));
  code = orDie(mapCode(image.bytes()));
  entry = reinterpret_cast<Entry>(code.data() + offset);
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

void CompiledKernel::run(const std::vector<Tensor> &memory, int64_t lo, int64_t hi) const {
  std::list<GuardedMemory> guarded;
  std::map<const void *, void *> places; // tensors that share memory go on sharing it
  std::vector<void *> pointers;
  for (const Tensor &tensor : memory) {
    void *&place = places[tensor.data()];
    if (!place)
      place = guarded.emplace_back(tensor.bytes(), tensor.data()).data;
    pointers.push_back(place);
  }
  pointers.push_back(guarded.emplace_back(workspaceBytes, nullptr).data);
  entry(pointers.data(), lo, hi);
  for (const Tensor &tensor : memory)
    std::memcpy(const_cast<void *>(tensor.data()), places[tensor.data()], tensor.bytes());
}

std::vector<Tensor> CompiledKernel::run(const std::vector<Tensor> &arguments) const {
  auto compute = [&](llvm::ArrayRef<int64_t> bounds) {
    std::vector<Tensor> memory = arguments;
    for (auto &[type, shape] : results) {
      Tensor tensor(type, shape);
      std::memset(tensor.data(), 0xff, tensor.bytes());
      memory.push_back(tensor);
    }
    // Later ranges first: grains must not lean on each other.
    for (size_t i = bounds.size() - 1; i > 0; --i)
      run(memory, bounds[i - 1], bounds[i]);
    return std::vector<Tensor>(memory.begin() + arguments.size(), memory.end());
  };
  std::vector<Tensor> whole = compute({0, grains});
  std::vector<int64_t> single;
  for (int64_t grain = 0; grain <= grains; ++grain)
    single.push_back(grain);
  for (const std::vector<int64_t> &bounds :
       {single, std::vector<int64_t>{0, grains / 3, grains / 2, grains}}) {
    std::vector<Tensor> parts = compute(bounds);
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
