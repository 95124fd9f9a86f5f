#include "runtime/data/ArraySource.h"
#include "runtime/data/Array.h"
#include "runtime/data/Random.h"
#include "runtime/program/NonFinite.h"

namespace ingot {

namespace {

int64_t rowElements(const Shape &shape) {
  return elementCount(Shape(shape.begin() + 1, shape.end()));
}

bool haveWeights(const std::vector<BatchPort> &ports) {
  return !ports.empty() && ports.back().name == weightsPort;
}

/// What comes before the target.
bool isInput(const std::vector<BatchPort> &ports, size_t index) {
  return index + (haveWeights(ports) ? 2 : 1) < ports.size();
}

/// All elements are converted once, so that none of them is refused in the middle of a training.
Status checkConversion(const NamedArray &array, const BatchPort &port, double scale) {
  const int64_t chunk = std::min<int64_t>(array.value.size(), 1 << 16);
  Tensor values(port.type, {chunk});
  for (int64_t first = 0; first < array.value.size(); first += chunk)
    INGOT_TRY(convertElements(array.value, first, values, 0,
                              std::min(chunk, array.value.size() - first), scale)
                  .map_error([&](Error error) {
                    error.place = array.path;
                    return error;
                  }));
  return {};
}

Status checkLimit(const NamedArray &array, const BatchPort &port) {
  if (port.limit == 0)
    return {};
  Tensor values(ElementType::I64, {array.value.size()});
  INGOT_TRY(convertElements(array.value, 0, values, 0, values.size()).map_error([&](Error error) {
    error.place = array.path;
    return error;
  }));
  for (int64_t i = 0; i < values.size(); ++i)
    if (int64_t value = values.as<int64_t>()[i]; value < 0 || value >= port.limit)
      return failure(Error::Code::BadInput, array.path,
                     "element {} is {}, outside the {} values that '{}' takes", i, value,
                     port.limit, port.name);
  return {};
}

Status checkFits(const NamedArray &array, const BatchPort &port) {
  if (array.value.shape().empty() || port.shape.empty())
    return failure(Error::Code::BadInput, array.path,
                   "the array {} cannot feed '{}' {}: both need a dimension of rows",
                   toString(array.value.shape()), port.name, toString(port.shape));
  if (rowElements(array.value.shape()) != rowElements(port.shape))
    return failure(Error::Code::BadInput, array.path,
                   "rows of the array {} do not fit '{}' {}: {} elements a row, not {}",
                   toString(array.value.shape()), port.name, toString(port.shape),
                   rowElements(array.value.shape()), rowElements(port.shape));
  return checkLimit(array, port);
}

/// Here, so that nobody takes broken data for a training that diverges.
Status checkFinite(const NamedArray &array) {
  std::string found = describeNonFinite("the array", array.value);
  if (found.empty())
    return {};
  return failure(Error::Code::BadInput, array.path, "{}: data must be finite", found);
}

} // namespace

Result<std::vector<NamedArray>> readArrays(std::span<const std::string> paths) {
  std::vector<NamedArray> arrays;
  for (const std::string &path : paths) {
    INGOT_ASSIGN(Tensor value, readArray(path));
    if (value.shape().empty())
      return failure(Error::Code::BadInput, path,
                     "the array is a scalar; data needs a dimension of rows");
    if (!arrays.empty() && value.shape()[0] != arrays[0].value.shape()[0])
      return failure(Error::Code::BadInput, path, "there are {} rows, but {} in {}",
                     value.shape()[0], arrays[0].value.shape()[0], arrays[0].path);
    arrays.push_back({path, std::move(value)});
  }
  return arrays;
}

Result<std::unique_ptr<ArraySource>> ArraySource::create(std::vector<NamedArray> arrays,
                                                         std::vector<BatchPort> ports,
                                                         const ArrayOptions &options) {
  const bool weighs = haveWeights(ports);
  if ((arrays.size() != ports.size() && !(weighs && arrays.size() + 1 == ports.size())) ||
      arrays.empty()) {
    std::string names;
    for (const BatchPort &port : ports)
      names += (names.empty() ? "" : ", ") + port.name;
    return failure(Error::Code::Usage, "", "there are {} arrays for {} ports ({})", arrays.size(),
                   ports.size(), names);
  }
  for (size_t i = 0; i < arrays.size(); ++i) {
    INGOT_TRY(checkFits(arrays[i], ports[i]));
    INGOT_TRY(checkConversion(arrays[i], ports[i], isInput(ports, i) ? options.scale : 1));
    if (!options.allowNonFinite)
      INGOT_TRY(checkFinite(arrays[i]));
    if (ports[i].shape[0] != ports[0].shape[0])
      return failure(Error::Code::Unsupported, arrays[i].path,
                     "'{}' takes {} rows a batch, but '{}' takes {}", ports[i].name,
                     ports[i].shape[0], ports[0].name, ports[0].shape[0]);
  }
  int64_t rows = arrays[0].value.shape()[0], batchRows = ports[0].shape[0];
  int64_t endRow = options.endRow == 0 ? rows : options.endRow;
  int64_t used = endRow - options.firstRow;
  if (options.firstRow < 0 || endRow > rows || batchRows < 1 ||
      used < (options.fillsLastBatch ? 1 : batchRows))
    return failure(Error::Code::BadInput, arrays[0].path,
                   "rows {} … {} of {} do not fill one batch of {}", options.firstRow, endRow, rows,
                   batchRows);
  return std::unique_ptr<ArraySource>(
      new ArraySource(std::move(arrays), std::move(ports), options, used));
}

ArraySource::ArraySource(std::vector<NamedArray> arrays, std::vector<BatchPort> ports,
                         const ArrayOptions &options, int64_t rowsUsed)
    : BatchSource(std::move(ports)), arrays(std::move(arrays)), options(options),
      rowsUsed(rowsUsed), batchRows(this->ports()[0].shape[0]) {}

int64_t ArraySource::batchesPerEpoch() const {
  return (rowsUsed + (options.fillsLastBatch ? batchRows - 1 : 0)) / batchRows;
}

int64_t ArraySource::rowsOf(int64_t step) const {
  return std::min(batchRows, rowsUsed - step % batchesPerEpoch() * batchRows);
}

Status ArraySource::fillRow(int64_t source, int64_t row, Batch &batch) const {
  for (size_t i = 0; i < arrays.size(); ++i) {
    int64_t count = rowElements(ports()[i].shape);
    double scale = isInput(ports(), i) ? options.scale : 1;
    INGOT_TRY(
        convertElements(arrays[i].value, source * count, batch[i].value, row * count, count, scale)
            .map_error([&](Error error) {
              error.place = arrays[i].path;
              return error;
            }));
  }
  return {};
}

Status ArraySource::fill(int64_t step, Batch &batch) const {
  int64_t epoch = step / batchesPerEpoch(), firstRow = step % batchesPerEpoch() * batchRows;
  Permutation shuffled(rowsUsed, options.seed, uint32_t(RandomStream::ArrayOrder), epoch);
  const int64_t filled = rowsOf(step);
  for (int64_t row = 0; row < batchRows; ++row) {
    int64_t place = firstRow + std::min(row, filled - 1);
    INGOT_TRY(fillRow(options.firstRow +
                          (options.order == RowOrder::File ? place : int64_t(shuffled(place))),
                      row, batch));
  }
  if (Tensor &last = batch.back().value; batch.back().name == weightsPort) {
    const int64_t each = rowElements(last.shape());
    if (arrays.size() < batch.size())
      std::fill_n(last.as<float>(), filled * each, 1.0f);
    std::fill_n(last.as<float>() + filled * each, (batchRows - filled) * each, 0.0f);
  }
  return {};
}

} // namespace ingot
