#include "runtime/data/Npy.h"
#include "runtime/data/Array.h"
#include "runtime/data/Files.h"
#include <algorithm>
#include <charconv>
#include <optional>

namespace ingot {

namespace {

struct NpyType {
  std::string_view code; ///< kind and bytes, as in `<f4`
  ElementType type;
};
constexpr NpyType npyTypes[] = {
    {"f8", ElementType::F64}, {"f4", ElementType::F32}, {"f2", ElementType::F16},
    {"i8", ElementType::I64}, {"i4", ElementType::I32}, {"i2", ElementType::I16},
    {"i1", ElementType::I8},  {"u8", ElementType::U64}, {"u4", ElementType::U32},
    {"u2", ElementType::U16}, {"u1", ElementType::U8},  {"b1", ElementType::I1},
};

constexpr std::string_view magic("\x93NUMPY", 6);

struct Header {
  std::string descr;
  bool fortranOrder = false;
  Shape shape;
};

/// Reads the header: a Python dictionary literal with exactly three keys.
class HeaderParser {
public:
  explicit HeaderParser(std::string_view text) : rest(text) {}

  std::optional<Header> parse() {
    Header header;
    int keys = 0;
    if (!take('{'))
      return std::nullopt;
    while (!take('}')) {
      auto key = string();
      if (!key || !take(':') || !value(*key, header))
        return std::nullopt;
      ++keys;
      if (!take(',') && !peek('}'))
        return std::nullopt;
    }
    skipSpace();
    if (keys != 3 || header.descr.empty() || !rest.empty())
      return std::nullopt;
    return header;
  }

private:
  bool value(std::string_view key, Header &header) {
    if (key == "descr") {
      auto text = string();
      header.descr = text.value_or("");
      return text.has_value();
    }
    if (key == "fortran_order") {
      header.fortranOrder = word("True");
      return header.fortranOrder || word("False");
    }
    return key == "shape" && shape(header.shape);
  }

  bool shape(Shape &dimensions) {
    if (!take('('))
      return false;
    while (!take(')')) {
      skipSpace();
      int64_t size = 0;
      auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
      if (error != std::errc() || size < 0)
        return false;
      rest.remove_prefix(end - rest.data());
      dimensions.push_back(size);
      if (!take(',') && !peek(')'))
        return false;
    }
    return true;
  }

  std::optional<std::string> string() {
    skipSpace();
    if (rest.empty() || (rest[0] != '\'' && rest[0] != '"'))
      return std::nullopt;
    size_t end = rest.find(rest[0], 1);
    if (end == rest.npos)
      return std::nullopt;
    std::string text(rest.substr(1, end - 1));
    rest.remove_prefix(end + 1);
    return text;
  }

  void skipSpace() { rest.remove_prefix(std::min(rest.find_first_not_of(" \t\n"), rest.size())); }
  bool peek(char character) {
    skipSpace();
    return rest.starts_with(character);
  }
  bool take(char character) {
    bool found = peek(character);
    rest.remove_prefix(found);
    return found;
  }
  bool word(std::string_view text) {
    skipSpace();
    bool found = rest.starts_with(text);
    rest.remove_prefix(found ? text.size() : 0);
    return found;
  }

  std::string_view rest;
};

/// Copies column-major elements into row-major order.
void fromFortranOrder(std::string_view source, Tensor &tensor) {
  const Shape &shape = tensor.shape();
  size_t width = byteSize(tensor.type());
  Shape index(shape.size(), 0);
  auto *target = tensor.as<char>();
  for (int64_t element = 0; element < tensor.size(); ++element) {
    int64_t offset = 0, stride = 1;
    for (size_t d = 0; d < shape.size(); ++d) {
      offset += index[d] * stride;
      stride *= shape[d];
    }
    std::memcpy(target + element * width, &source[offset * width], width);
    for (size_t d = shape.size(); d > 0; --d) {
      index[d - 1] = (index[d - 1] + 1) % shape[d - 1];
      if (index[d - 1] != 0)
        break;
    }
  }
}

} // namespace

Result<Tensor> parseNpy(std::string_view bytes, const std::string &place) {
  auto damaged = [&](std::string_view what) {
    return failure(Error::Code::BadInput, place, "this .npy file is damaged: {}", what);
  };
  if (!bytes.starts_with(magic))
    return failure(Error::Code::BadInput, place,
                   "this is not a .npy file: its first bytes are not \\x93NUMPY");
  if (bytes.size() < 10)
    return damaged("it ends inside its header");
  auto byteAt = [&](size_t at) { return size_t(uint8_t(bytes[at])); };
  size_t version = byteAt(6);
  if (version < 1 || version > 3)
    return failure(Error::Code::Unsupported, place, "version {} of the .npy format is unknown",
                   version);
  size_t start = version == 1 ? 10 : 12;
  if (bytes.size() < start)
    return damaged("it ends inside its header");
  size_t length = byteAt(8) | byteAt(9) << 8;
  if (version > 1)
    length |= byteAt(10) << 16 | byteAt(11) << 24;
  if (bytes.size() - start < length)
    return damaged("it ends inside its header");
  auto header = HeaderParser(bytes.substr(start, length)).parse();
  if (!header)
    return damaged("its header is not a dictionary of descr, fortran_order and shape");

  char order = header->descr[0];
  auto type =
      std::ranges::find(npyTypes, std::string_view(header->descr).substr(1), &NpyType::code);
  if (type == std::end(npyTypes) || std::string_view("<>=|").find(order) == std::string_view::npos)
    return failure(Error::Code::Unsupported, place,
                   "elements of type '{}' are not supported; convert them to numbers",
                   header->descr);
  size_t width = byteSize(type->type);
  auto expected = checkedBytes(header->shape, width);
  std::string_view data = bytes.substr(start + length);
  if (!expected || *expected != data.size())
    return damaged(fmt::format("shape {} of {} needs {} bytes of data, there are {}",
                               toString(header->shape), name(type->type),
                               expected ? std::to_string(*expected) : "too many", data.size()));

  Tensor tensor(type->type, header->shape);
  if (header->fortranOrder)
    fromFortranOrder(data, tensor);
  else if (!data.empty())
    std::memcpy(tensor.data(), data.data(), data.size());
  if (order == '>')
    swapBytes(tensor);
  return tensor;
}

Result<Tensor> readNpy(const std::string &path) {
  INGOT_ASSIGN(std::string bytes, readInput(path));
  return parseNpy(bytes, path);
}

Result<std::string> formatNpy(const Tensor &tensor, const std::string &place) {
  auto type = std::ranges::find(npyTypes, tensor.type(), &NpyType::type);
  if (type == std::end(npyTypes))
    return failure(Error::Code::Unsupported, place, "NumPy has no type {}; cast it first",
                   name(tensor.type()));
  std::string shape;
  for (int64_t size : tensor.shape())
    shape += fmt::format("{}, ", size);
  if (shape.size() > 1)
    shape.erase(tensor.shape().size() == 1 ? shape.size() - 1
                                           : shape.size() - 2); // (3,) but (3, 4)
  char order = byteSize(tensor.type()) == 1 ? '|' : '<';
  std::string header = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}",
                                   order, type->code, shape);
  // The data starts at a multiple of 64 bytes; the header ends in a new line.
  size_t padded = (10 + header.size() + 1 + 63) / 64 * 64 - 10;
  header.resize(padded - 1, ' ');
  header += '\n';

  std::string bytes(magic);
  bytes += {'\x01', '\x00', char(padded & 0xFF), char(padded >> 8)};
  bytes += header;
  bytes.append(static_cast<const char *>(tensor.data()), tensor.bytes());
  return bytes;
}

Status writeNpy(const std::string &path, const Tensor &tensor) {
  INGOT_ASSIGN(std::string bytes, formatNpy(tensor, path));
  return writeOutput(path, bytes);
}

} // namespace ingot
