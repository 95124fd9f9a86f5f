#include "runtime/data/Idx.h"
#include "runtime/data/Array.h"
#include "runtime/data/Files.h"

namespace ingot {

namespace {

std::optional<ElementType> elementTypeOf(uint8_t code) {
  switch (code) {
  case 0x08:
    return ElementType::U8;
  case 0x09:
    return ElementType::I8;
  case 0x0B:
    return ElementType::I16;
  case 0x0C:
    return ElementType::I32;
  case 0x0D:
    return ElementType::F32;
  case 0x0E:
    return ElementType::F64;
  default:
    return std::nullopt;
  }
}

} // namespace

Result<Tensor> parseIdx(std::string_view bytes, const std::string &place) {
  auto byteAt = [&](size_t at) { return uint8_t(bytes[at]); };
  if (bytes.size() < 4 || byteAt(0) != 0 || byteAt(1) != 0)
    return failure(Error::Code::BadInput, place,
                   "this is not an IDX file: it must begin with two zero bytes");
  auto type = elementTypeOf(byteAt(2));
  if (!type)
    return failure(Error::Code::BadInput, place, "the IDX element type 0x{:02x} is unknown",
                   byteAt(2));
  size_t rank = byteAt(3), start = 4 + 4 * rank;
  if (bytes.size() < start)
    return failure(Error::Code::BadInput, place, "the IDX file ends inside its {} dimensions",
                   rank);
  Shape shape;
  for (size_t at = 4; at < start; at += 4)
    shape.push_back(int64_t(byteAt(at)) << 24 | byteAt(at + 1) << 16 | byteAt(at + 2) << 8 |
                    byteAt(at + 3));
  auto expected = checkedBytes(shape, byteSize(*type));
  if (!expected || *expected != bytes.size() - start)
    return failure(Error::Code::BadInput, place,
                   "the IDX file is damaged: shape {} of {} needs {} bytes of data, there are {}",
                   toString(shape), name(*type), expected ? std::to_string(*expected) : "too many",
                   bytes.size() - start);
  Tensor tensor(*type, shape);
  if (bytes.size() > start)
    std::memcpy(tensor.data(), bytes.data() + start, tensor.bytes());
  swapBytes(tensor);
  return tensor;
}

Result<Tensor> readIdx(const std::string &path) {
  INGOT_ASSIGN(std::string bytes, readInput(path));
  return parseIdx(bytes, path);
}

} // namespace ingot
