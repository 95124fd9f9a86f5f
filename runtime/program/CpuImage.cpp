// The table, little-endian, at a multiple of 8 behind the code:
//
//   for each entry   offset, interface, length of the symbol (8 bytes each), the symbol
//   at the very end  bytes of the entries, their number, their XXH3, the magic word (8 bytes each)
#include "runtime/program/CpuImage.h"
#include <cstring>
#include <set>
#include <xxhash.h>

namespace ingot {
namespace {

struct Footer {
  uint64_t bytes = 0, count = 0, checksum = 0;
  char magic[8] = {'e', 'n', 't', 'r', 'i', 'e', 's', '\n'};
};

void append(std::vector<uint8_t> &bytes, const void *data, size_t size) {
  const auto *from = static_cast<const uint8_t *>(data);
  bytes.insert(bytes.end(), from, from + size);
}

void append(std::vector<uint8_t> &bytes, uint64_t value) { append(bytes, &value, sizeof(value)); }

tl::unexpected<Error> bad(std::string_view why) {
  return failure(Error::Code::BadInput, "", "unsound program: its code's table of entries {}", why);
}

/// Takes what is left of a table apart.
struct Reader {
  std::span<const uint8_t> left;
  bool take(void *to, size_t size) {
    if (size > left.size())
      return false;
    std::memcpy(to, left.data(), size);
    left = left.subspan(size);
    return true;
  }
};

} // namespace

uint64_t interfaceOf(const Kernel &kernel) {
  std::vector<uint8_t> bytes;
  append(bytes, kernel.launch.index());
  if (auto *range = std::get_if<CpuRange>(&kernel.launch)) {
    append(bytes, uint64_t(range->grains));
  } else {
    const auto &grid = std::get<CudaGrid>(kernel.launch);
    for (const CudaGrid::Extents &extents : {grid.grid, grid.block, grid.cluster})
      append(bytes, extents.data(), sizeof(extents));
    append(bytes, uint64_t(grid.sharedBytes));
  }
  for (const KernelParameter &parameter : kernel.parameters) {
    append(bytes, uint64_t(parameter.kind));
    append(bytes, uint64_t(parameter.bytes));
    append(bytes, uint64_t(parameter.access));
    append(bytes, parameter.value);
  }
  return XXH3_64bits(bytes.data(), bytes.size());
}

void appendEntries(std::vector<uint8_t> &image, std::span<const ImageEntry> entries) {
  image.resize((image.size() + 7) / 8 * 8);
  const size_t start = image.size();
  for (const ImageEntry &entry : entries) {
    append(image, uint64_t(entry.offset));
    append(image, entry.interface);
    append(image, entry.symbol.size());
    append(image, entry.symbol.data(), entry.symbol.size());
  }
  Footer footer;
  footer.bytes = image.size() - start;
  footer.count = entries.size();
  footer.checksum = XXH3_64bits(image.data() + start, footer.bytes);
  append(image, &footer, sizeof(footer));
}

Result<std::vector<ImageEntry>> entriesOf(std::span<const uint8_t> image) {
  Footer footer;
  const Footer expected;
  if (image.size() < sizeof(footer))
    return bad("is missing");
  std::memcpy(&footer, image.data() + image.size() - sizeof(footer), sizeof(footer));
  if (std::memcmp(footer.magic, expected.magic, sizeof(footer.magic)) != 0)
    return bad("is missing");
  image = image.first(image.size() - sizeof(footer));
  if (footer.bytes > image.size())
    return bad("is longer than the code");
  const std::span<const uint8_t> table = image.last(footer.bytes);
  const uint64_t codeBytes = image.size() - footer.bytes;
  if (XXH3_64bits(table.data(), table.size()) != footer.checksum)
    return bad("is damaged");
  std::vector<ImageEntry> entries;
  std::set<std::string_view> symbols;
  Reader reader{table};
  for (uint64_t index = 0; index < footer.count; ++index) {
    ImageEntry entry;
    uint64_t offset = 0, length = 0;
    if (!reader.take(&offset, 8) || !reader.take(&entry.interface, 8) || !reader.take(&length, 8) ||
        length > reader.left.size())
      return bad("ends too soon");
    const std::string_view symbol(reinterpret_cast<const char *>(reader.left.data()), length);
    reader.left = reader.left.subspan(length);
    if (offset >= codeBytes)
      return bad("leads outside the code");
    if (!symbols.insert(symbol).second)
      return bad(fmt::format("has '{}' twice", symbol));
    entry.symbol = symbol;
    entry.offset = static_cast<int64_t>(offset);
    entries.push_back(std::move(entry));
  }
  if (!reader.left.empty())
    return bad("holds more than it counts");
  return entries;
}

} // namespace ingot
