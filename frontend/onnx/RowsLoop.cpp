/// Rows of loops whose number of iterations is known: their bodies follow each other in the graph.
#include "frontend/onnx/Rows.h"
#include "runtime/support/HalfFloat.h"
#include <algorithm>
#include <limits>

namespace ingot::onnx {
namespace {

/// Inputs: the largest number of iterations, whether the first one runs, carried values. The body
/// takes the iteration's number, its condition and the carried values, and gives the next
/// condition, the carried values and what is stacked.
Items loop(Call &c) {
  const int64_t most = c.integerAt(0, std::numeric_limits<int64_t>::max());
  bool runs = !c.has(1) || c.numberAt(1, 1) != 0;
  if (c.isRefused())
    return {};
  Items carried;
  for (size_t i = 2; i < c.inputs(); ++i)
    carried.push_back(c.item(i));
  const size_t count = carried.size();
  std::vector<std::vector<Value>> scans(c.outputs() > count ? c.outputs() - count : 0);
  int64_t iteration = 0;
  for (; runs && iteration < most; ++iteration) {
    if (iteration >= mostIterations)
      return {c.refuse(fmt::format("it has more than {} iterations", mostIterations))};
    Items arguments = {c.constant({iteration}, {}), c.b.scalar(1, ElementType::I1)};
    arguments.insert(arguments.end(), carried.begin(), carried.end());
    Items results = c.graph("body", std::move(arguments));
    if (c.isRefused())
      return {};
    if (results.size() < 1 + count)
      return {c.refuse("its body gives less than it carries")};
    std::optional<Tensor> next = c.valueOf(results[0]);
    if (!next || next->size() != 1)
      return {c.refuse("whether it goes on is known at run time only")};
    runs = loadElement(next->type(), next->data(), 0) != 0;
    carried.assign(results.begin() + 1, results.begin() + 1 + ptrdiff_t(count));
    for (size_t k = 0; k < scans.size() && 1 + count + k < results.size(); ++k)
      scans[k].push_back(c.tensorOf(results[1 + count + k]));
  }
  Items results = carried;
  for (std::vector<Value> &scan : scans) {
    if (scan.empty())
      return {c.refuse("it stacks the results of no iteration")};
    results.emplace_back(c.stack(std::move(scan), 0));
  }
  return results;
}

/// The states, then the sequences that the body runs over.
Items scan(Call &c) {
  if (c.opset < 9)
    return {c.refuse("Scan of opset 8, which has batches, is not supported")};
  const auto sequences = size_t(c.integer("num_scan_inputs", 1));
  if (sequences == 0 || sequences > c.inputs())
    return {c.refuse("it has more sequences than inputs")};
  const size_t states = c.inputs() - sequences;
  auto entry = [&](const char *name, size_t index) {
    const Ints given = c.integers(name);
    return index < given.size() ? given[index] : 0;
  };
  Items carried;
  for (size_t i = 0; i < states; ++i)
    carried.push_back(c.item(i));
  std::vector<Value> over;
  std::vector<int64_t> axes;
  int64_t steps = -1;
  for (size_t i = 0; i < sequences; ++i) {
    over.push_back(c.operand(states + i));
    axes.push_back(c.axis(over[i], entry("scan_input_axes", i)));
    const int64_t size = rank(over[i]) ? over[i].shape()[size_t(axes[i])] : 0;
    if (c.isRefused() || (steps >= 0 && size != steps) || size < 1 || size > mostIterations)
      return {c.refuse("its sequences have not one length that is supported")};
    steps = size;
  }
  std::vector<std::vector<Value>> scans(c.outputs() > states ? c.outputs() - states : 0);
  for (int64_t step = 0; step < steps; ++step) {
    Items arguments = carried;
    for (size_t i = 0; i < sequences; ++i) {
      const int64_t at = entry("scan_input_directions", i) ? steps - 1 - step : step;
      Shape shape = over[i].shape();
      shape.erase(shape.begin() + axes[i]);
      arguments.emplace_back(c.b.reshape(c.b.slice(over[i], axes[i], at, at + 1), shape));
    }
    Items results = c.graph("body", std::move(arguments));
    if (c.isRefused() || results.size() < states + scans.size())
      return {c.refuse("its body gives less than it must")};
    carried.assign(results.begin(), results.begin() + ptrdiff_t(states));
    for (size_t k = 0; k < scans.size(); ++k)
      scans[k].push_back(c.tensorOf(results[states + k]));
  }
  Items results = carried;
  for (size_t k = 0; k < scans.size(); ++k) {
    if (entry("scan_output_directions", k) != 0)
      std::ranges::reverse(scans[k]);
    results.emplace_back(c.stack(std::move(scans[k]), entry("scan_output_axes", k)));
  }
  return results;
}

constexpr Row rows[] = {
    {"Loop", 1, newestOpset, loop},
    {"Scan", 8, newestOpset, scan},
};

} // namespace

std::span<const Row> loopRows() { return rows; }

} // namespace ingot::onnx
