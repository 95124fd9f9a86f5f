#include "runtime/data/BatchSource.h"

namespace ingot {

std::vector<BatchPort> batchPorts(const Function &function, int64_t limit) {
  std::vector<BatchPort> ports;
  for (const Port &port : function.ports) {
    if (!isBatch(port.role))
      continue;
    bool integer = port.type == ElementType::I32 || port.type == ElementType::I64;
    const int64_t own = port.limit > 0 ? port.limit : limit;
    ports.push_back({port.name, port.type, port.shape, integer ? own : 0});
  }
  return ports;
}

bool countsTokens(const std::vector<BatchPort> &ports) {
  return !ports.empty() && ports[0].shape.size() > 1 &&
         (ports[0].type == ElementType::I32 || ports[0].type == ElementType::I64);
}

Batch BatchSource::makeBatch() const {
  Batch batch;
  for (const BatchPort &port : portList)
    batch.push_back({port.name, Tensor(port.type, port.shape)});
  return batch;
}

} // namespace ingot
