// Layout: 8 bytes header length (little-endian), the header (JSON, padded with spaces), the bytes
// of the tensors without gaps. https://huggingface.co/docs/safetensors
#include "runtime/training/Safetensors.h"
#include "runtime/support/File.h"
#include "runtime/support/Json.h"
#include <algorithm>
#include <xxhash.h>

namespace ingot {

using nlohmann::json;

namespace {

/// So that a mapped file's first tensor lies on a cache line.
constexpr size_t alignment = 64;
constexpr uint64_t longestHeader = 100'000'000; // as the reference implementation has it
constexpr const char *metadataKey = "__metadata__";
constexpr const char *checksumKey = "ingot.xxh3";

struct FormatType {
  ElementType type;
  std::string_view name;
};

constexpr FormatType formatTypes[] = {
    {ElementType::F64, "F64"},          {ElementType::F32, "F32"},
    {ElementType::F16, "F16"},          {ElementType::BF16, "BF16"},
    {ElementType::F8E4M3FN, "F8_E4M3"}, {ElementType::F8E5M2, "F8_E5M2"},
    {ElementType::I64, "I64"},          {ElementType::I32, "I32"},
    {ElementType::I16, "I16"},          {ElementType::I8, "I8"},
    {ElementType::U64, "U64"},          {ElementType::U32, "U32"},
    {ElementType::U16, "U16"},          {ElementType::U8, "U8"},
    {ElementType::I1, "BOOL"},
};

using Entry = std::pair<const std::string, Tensor>;

/// Widest elements first: every tensor is then aligned for its own type, without gaps.
std::vector<const Entry *> writingOrder(const Safetensors &contents) {
  std::vector<const Entry *> order;
  for (const Entry &entry : contents.tensors)
    order.push_back(&entry);
  std::ranges::sort(order, [](const Entry *a, const Entry *b) {
    const size_t sizeA = byteSize(a->second.type()), sizeB = byteSize(b->second.type());
    return sizeA != sizeB ? sizeA > sizeB : a->first < b->first;
  });
  return order;
}

/// Of the header as our writer spells it without the checksum, and of the tensors' bytes.
class Checksum {
public:
  explicit Checksum(const json &header) : state(XXH3_createState(), XXH3_freeState) {
    XXH3_64bits_reset(state.get());
    const std::string text = toText(header);
    add(text.data(), text.size());
  }
  void add(const void *data, size_t bytes) { XXH3_64bits_update(state.get(), data, bytes); }
  std::string text() const { return fmt::format("{:016x}", XXH3_64bits_digest(state.get())); }

private:
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state;
};

Result<std::string> headerOf(const Safetensors &contents, const std::vector<const Entry *> &order,
                             const std::string &path) {
  json header = json::object();
  header[metadataKey] = contents.metadata;
  size_t offset = 0;
  for (const Entry *entry : order) {
    const Tensor &tensor = entry->second;
    auto type = std::ranges::find(formatTypes, tensor.type(), &FormatType::type);
    if (type == std::end(formatTypes))
      return failure(Error::Code::Unsupported, path, "safetensors has no type {} for '{}'",
                     name(tensor.type()), entry->first);
    header[entry->first] = {{"dtype", type->name},
                            {"shape", tensor.shape()},
                            {"data_offsets", {offset, offset + tensor.bytes()}}};
    offset += tensor.bytes();
  }
  Checksum checksum(header);
  for (const Entry *entry : order)
    checksum.add(entry->second.data(), entry->second.bytes());
  header[metadataKey][checksumKey] = checksum.text();
  std::string text = toText(header);
  const size_t unpadded = sizeof(uint64_t) + text.size();
  text.append((alignment - unpadded % alignment) % alignment, ' ');
  return text;
}

/// A row of the header, checked on its own.
struct Row {
  std::string name;
  ElementType type;
  Shape shape;
  uint64_t begin, end;
};

Row readRow(const std::string &name, const JsonReader &reader) {
  Row row{.name = name, .type = {}, .shape = reader.integers("shape"), .begin = 0, .end = 0};
  const std::string typeName = reader.text("dtype");
  const std::vector<int64_t> offsets = reader.integers("data_offsets");
  if (reader.failed())
    return row;
  auto type = std::ranges::find(formatTypes, typeName, &FormatType::name);
  if (type == std::end(formatTypes)) {
    reader.at("dtype").fail(fmt::format("'{}' is not a type that Ingot knows", typeName));
    return row;
  }
  row.type = type->type;
  uint64_t bytes = byteSize(row.type);
  for (int64_t size : row.shape)
    if (size < 0 || __builtin_mul_overflow(bytes, uint64_t(size), &bytes))
      reader.at("shape").fail("is no size of memory");
  if (offsets.size() != 2 || offsets[0] < 0 || offsets[1] < offsets[0] ||
      uint64_t(offsets[1] - offsets[0]) != bytes) {
    reader.at("data_offsets").fail(fmt::format("do not span the tensor's {} bytes", bytes));
    return row;
  }
  row.begin = uint64_t(offsets[0]);
  row.end = uint64_t(offsets[1]);
  return row;
}

/// Rows in the order of their bytes, which they must cover once and without gaps.
Result<std::vector<Row>> readRows(const JsonReader &reader, const json &header,
                                  uint64_t dataBytes) {
  std::vector<Row> rows;
  for (const auto &[name, value] : header.items())
    if (name != metadataKey && !reader.failed())
      rows.push_back(readRow(name, reader.at(name.c_str())));
  INGOT_TRY(reader.status());
  std::ranges::sort(rows, {}, [](const Row &row) { return std::pair(row.begin, row.end); });
  uint64_t next = 0;
  for (const Row &row : rows) {
    if (row.begin != next)
      reader.at(row.name.c_str()).fail("overlaps another tensor or leaves a gap");
    next = row.end;
  }
  if (next != dataBytes)
    reader.fail(fmt::format("damaged: holds {} bytes of tensors where the header says {}",
                            dataBytes, next));
  INGOT_TRY(reader.status());
  return rows;
}

Tensor tensorOf(const Row &row, const MappedFile &file, size_t dataStart) {
  const size_t place = dataStart + row.begin;
  if (place % byteSize(row.type) == 0 || row.begin == row.end)
    return Tensor(row.type, row.shape, file.share(place));
  Tensor copy(row.type, row.shape); // other writers do not always align
  std::memcpy(copy.data(), file.bytes().data() + place, copy.bytes());
  return copy;
}

Status readMetadata(const JsonReader &reader, const json &header, Safetensors &contents) {
  if (!reader.has(metadataKey))
    return {};
  const JsonReader metadata = reader.at(metadataKey);
  for (const auto &[key, value] : header[metadataKey].items())
    contents.metadata[key] = metadata.text(key.c_str());
  return reader.status();
}

} // namespace

Result<Safetensors> readSafetensors(const std::string &path) {
  INGOT_ASSIGN(MappedFile file, MappedFile::open(path));
  const std::span<const uint8_t> bytes = file.bytes();
  uint64_t headerBytes = 0;
  if (bytes.size() < sizeof(headerBytes))
    return failure(Error::Code::BadInput, path, "is not a safetensors file: only {} bytes",
                   bytes.size());
  std::memcpy(&headerBytes, bytes.data(), sizeof(headerBytes));
  if (headerBytes > longestHeader || headerBytes > bytes.size() - sizeof(headerBytes))
    return failure(Error::Code::BadInput, path,
                   "damaged, truncated or not a safetensors file: a header of {} bytes in a file "
                   "of {}",
                   headerBytes, bytes.size());
  const size_t dataStart = sizeof(headerBytes) + headerBytes;
  INGOT_ASSIGN(
      json header,
      parseJson({reinterpret_cast<const char *>(bytes.data()) + sizeof(headerBytes), headerBytes},
                path));
  std::optional<Error> error;
  const JsonReader reader(header, error, path);
  if (!header.is_object())
    return failure(Error::Code::BadInput, path, "is not a safetensors file: no JSON object");
  Safetensors contents;
  INGOT_TRY(readMetadata(reader, header, contents));
  INGOT_ASSIGN(std::vector<Row> rows, readRows(reader, header, bytes.size() - dataStart));
  if (auto expected = contents.metadata.extract(checksumKey)) {
    header[metadataKey].erase(checksumKey);
    Checksum checksum(header);
    checksum.add(bytes.data() + dataStart, bytes.size() - dataStart);
    if (checksum.text() != expected.mapped())
      return failure(Error::Code::BadInput, path,
                     "damaged: its checksum does not match its contents");
  }
  for (const Row &row : rows)
    contents.tensors.emplace(row.name, tensorOf(row, file, dataStart));
  return contents;
}

Status writeSafetensors(const std::string &path, const Safetensors &contents) {
  const std::vector<const Entry *> order = writingOrder(contents);
  INGOT_ASSIGN(const std::string header, headerOf(contents, order, path));
  INGOT_ASSIGN(AtomicFile file, AtomicFile::create(path));
  const uint64_t headerBytes = header.size();
  INGOT_TRY(file.write(&headerBytes, sizeof(headerBytes)));
  INGOT_TRY(file.write(header));
  for (const Entry *entry : order)
    INGOT_TRY(file.write(entry->second.data(), entry->second.bytes()));
  return file.commit();
}

} // namespace ingot
