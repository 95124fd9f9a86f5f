#include "runtime/data/RandomSource.h"
#include "runtime/data/Random.h"

namespace ingot {

Result<std::unique_ptr<RandomSource>> RandomSource::create(std::vector<BatchPort> ports,
                                                           uint64_t seed) {
  for (const BatchPort &port : ports)
    if (port.type != ElementType::F32 && port.type != ElementType::F64 &&
        port.type != ElementType::I32 && port.type != ElementType::I64)
      return failure(Error::Code::Unsupported, port.name,
                     "is {}; random data are f32, f64, i32 or i64", name(port.type));
  return std::unique_ptr<RandomSource>(new RandomSource(std::move(ports), seed));
}

Status RandomSource::fill(int64_t step, Batch &batch) const {
  for (size_t i = 0; i < batch.size(); ++i) {
    Tensor &tensor = batch[i].value;
    uint64_t limit = ports()[i].limit > 0 ? uint64_t(ports()[i].limit) : 2;
    for (int64_t element = 0; element < tensor.size(); ++element) {
      uint64_t bits = randomBits(seed, uint32_t(RandomStream::RandomData) + uint32_t(i), step,
                                 uint32_t(element));
      switch (tensor.type()) {
      case ElementType::I32:
        tensor.as<int32_t>()[element] = int32_t(randomBelow(bits, limit));
        break;
      case ElementType::I64:
        tensor.as<int64_t>()[element] = int64_t(randomBelow(bits, limit));
        break;
      case ElementType::F32:
        tensor.as<float>()[element] = float(bits >> 40) * 0x1p-23f - 1;
        break;
      default:
        tensor.as<double>()[element] = randomUniform(bits) * 2 - 1;
      }
    }
  }
  return {};
}

} // namespace ingot
