#include "runtime/program/ProgramFile.h"
#include "runtime/support/File.h"
#include "runtime/support/Json.h"
#include <algorithm>
#include <charconv>

namespace ingot {

using nlohmann::json;

namespace {

constexpr int deepestNesting = 64;

Role readRole(const JsonReader &row) {
  std::optional<Role> role = parseRole(row.text("role"));
  if (!role)
    row.at("role").fail("is no role of a tensor");
  return role.value_or(Role::Input);
}

ElementType readType(const JsonReader &row) {
  Result<ElementType> type = parseElementType(row.text("type"));
  if (!type)
    row.at("type").fail(type.error().message);
  return type.value_or(ElementType::F32);
}

template <typename T>
std::vector<T> readList(const JsonReader &row, const char *key, T (*read)(const JsonReader &)) {
  std::vector<T> rows;
  for (const JsonReader &element : row.list(key)) {
    if (row.failed())
      break;
    rows.push_back(read(element));
  }
  return rows;
}

/// One of an enum's values by its `name`.
template <typename E> E readName(const JsonReader &row, const char *key, E last) {
  const std::string text = row.text(key);
  for (int i = 0; i <= static_cast<int>(last); ++i)
    if (name(static_cast<E>(i)) == text)
      return static_cast<E>(i);
  row.at(key).fail(fmt::format("'{}' is not known", text));
  return {};
}

TensorMap readMap(const JsonReader &row) {
  return {.type = readType(row),
          .sizes = row.integers("sizes"),
          .strides = row.integers("strides"),
          .box = row.integers("box"),
          .steps = row.integers("steps"),
          .swizzle = row.integer("swizzle"),
          .promotion = row.integer("promotion")};
}

KernelParameter readParameter(const JsonReader &row) {
  using Kind = KernelParameter::Kind;
  KernelParameter parameter{.kind = readName(row, "kind", Kind::TensorMap),
                            .bytes = row.integer("bytes")};
  if (parameter.hasPlace())
    parameter.access = readName(row, "access", Access::Update);
  if (parameter.kind == Kind::Scalar) {
    const std::string text = row.text("value");
    const char *end = text.data() + text.size();
    if (!text.starts_with("0x") || std::from_chars(text.data() + 2, end, parameter.value, 16) !=
                                       std::from_chars_result{end, std::errc()})
      row.at("value").fail("is no hexadecimal number of 64 bits");
  }
  if (parameter.kind == Kind::TensorMap)
    parameter.map = readMap(row.at("map"));
  return parameter;
}

CudaGrid::Extents readExtents(const JsonReader &row, const char *key) {
  const std::vector<int64_t> values = row.integers(key);
  if (values.size() == 3)
    return {values[0], values[1], values[2]};
  row.at(key).fail("must have three numbers");
  return {};
}

Launch readLaunch(const JsonReader &row) {
  if (row.has("grains"))
    return CpuRange{row.integer("grains")};
  return CudaGrid{.grid = readExtents(row, "grid"),
                  .block = readExtents(row, "block"),
                  .cluster = readExtents(row, "cluster"),
                  .sharedBytes = row.integer("shared_bytes")};
}

uint32_t readNumber(const JsonReader &row, const char *key) {
  const int64_t number = row.integer(key);
  if (number < 0 || number > UINT32_MAX)
    row.at(key).fail(fmt::format("is no {}'s number", key));
  return static_cast<uint32_t>(number);
}

Kernel readKernel(const JsonReader &row) {
  return {.name = row.text("symbol"),
          .object = readNumber(row, "object"),
          .launch = readLaunch(row.at("launch")),
          .parameters = readList(row, "parameters", readParameter),
          .flops = row.number("flops"),
          .bytes = row.number("bytes"),
          .root = row.text("root"),
          .ops = row.text("ops"),
          .tuned = row.text("tuned")};
}

/// What later formats will say of a port; until then nobody can keep to it.
void refuseReserved(const JsonReader &row, std::initializer_list<const char *> keys) {
  for (const char *key : keys)
    if (row.has(key))
      row.at(key).fail("is reserved: this build does not know what it asks for");
}

Layout readLayout(const JsonReader &row) {
  const std::string text = row.text("layout");
  if (text == "plain")
    return {};
  if (text != "panels")
    row.at("layout").fail(fmt::format("'{}' is not known", text));
  return {.matrices = row.integer("matrices"),
          .rows = row.integer("rows"),
          .depth = row.integer("depth"),
          .depthLast = row.boolean("depth_last")};
}

Port readPort(const JsonReader &row) {
  refuseReserved(row, {"bucket", "shard"});
  return {.name = row.text("name"),
          .role = readRole(row),
          .type = readType(row),
          .shape = row.integers("shape"),
          .offset = row.integer("offset"),
          .layout = readLayout(row),
          .limit = row.integer("limit"),
          .members = row.has("members") ? row.texts("members") : std::vector<std::string>(),
          .count = row.has("count") ? row.text("count") : "",
          .counted = row.has("counted") ? row.integer("counted") : 0};
}

PlannedBuffer readBuffer(const JsonReader &row) {
  return {.name = row.text("name"),
          .role = readRole(row),
          .offset = row.integer("offset"),
          .bytes = row.integer("bytes"),
          .firstStep = row.integer("first_step"),
          .lastStep = row.integer("last_step")};
}

std::vector<Step> readSteps(const JsonReader &row, const char *key, int depth = 0);

/// A place in the arena that a step may have.
std::optional<int64_t> readPlace(const JsonReader &row, const char *key) {
  return row.has(key) ? std::optional(row.integer(key)) : std::nullopt;
}

Step readStep(const JsonReader &row, int depth) {
  if (row.has("trips"))
    return {LoopStep{.trips = row.integer("trips"),
                     .body = readSteps(row, "body", depth + 1),
                     .count = readPlace(row, "count"),
                     .counter = readPlace(row, "counter"),
                     .reverse = row.boolean("reverse"),
                     .op = row.text("op")}};
  if (row.has("condition"))
    return {IfStep{.condition = row.integer("condition"),
                   .thenBody = readSteps(row, "then", depth + 1),
                   .elseBody = readSteps(row, "else", depth + 1)}};
  refuseReserved(row, {"collective"});
  return {CallStep{.kernel = readNumber(row, "kernel"),
                   .arguments = row.integers("arguments"),
                   .strides = row.integers("strides"),
                   .op = row.text("op")}};
}

std::vector<Step> readSteps(const JsonReader &row, const char *key, int depth) {
  std::vector<Step> steps;
  if (depth > deepestNesting) {
    row.fail(fmt::format("steps nest deeper than {}", deepestNesting));
    return steps;
  }
  for (const JsonReader &element : row.list(key)) {
    if (row.failed())
      break;
    steps.push_back(readStep(element, depth));
  }
  return steps;
}

Function readFunction(const JsonReader &row) {
  return {.name = row.text("name"),
          .ports = readList(row, "ports", readPort),
          .steps = readSteps(row, "steps"),
          .buffers = readList(row, "buffers", readBuffer),
          .arenaBytes = row.integer("arena_bytes")};
}

/// The blobs of a file, which follow each other from `start` on.
class BlobReader {
public:
  BlobReader(const MappedFile &file, size_t start) : file(file), next(start) {}

  void readPlaces(const JsonReader &header) {
    for (const JsonReader &row : header.list("blobs")) {
      const int64_t bytes = row.asInteger();
      if (row.failed())
        return;
      if (bytes < 0 || uint64_t(bytes) > file.bytes().size() - next)
        return row.fail("is more than the file holds");
      places.push_back({next, size_t(bytes)});
      next = std::min(aligned(next + size_t(bytes)), file.bytes().size());
    }
    if (next != file.bytes().size())
      header.fail("the file holds more than its header says");
  }

  struct Place {
    size_t offset = 0, bytes = 0;
  };
  /// Nothing, with an error at the row, if there is no such blob.
  std::optional<Place> place(const JsonReader &row) const {
    const uint32_t number = readNumber(row, "blob");
    if (!row.failed() && number < places.size())
      return places[number];
    row.at("blob").fail(fmt::format("is none of the file's {}", places.size()));
    return std::nullopt;
  }

private:
  const MappedFile &file;
  size_t next;
  std::vector<Place> places;
};

void readObjects(const JsonReader &tables, const MappedFile &file, const BlobReader &blobs,
                 Program &program) {
  for (const JsonReader &row : tables.list("objects")) {
    CodeObject object{.kind = readName(row, "kind", CodeObject::Kind::Cubin),
                      .architecture = row.text("architecture")};
    const auto place = blobs.place(row);
    if (!place || row.failed())
      return;
    const Bytes bytes = file.bytes().subspan(place->offset, place->bytes);
    object.bytes.assign(bytes.begin(), bytes.end());
    program.objects.push_back(std::move(object));
  }
}

void readConstants(const JsonReader &tables, const MappedFile &file, const BlobReader &blobs,
                   Program &program) {
  for (const JsonReader &row : tables.list("constants")) {
    const ElementType type = readType(row);
    Shape shape = row.integers("shape");
    uint64_t bytes = byteSize(type);
    for (int64_t size : shape)
      if (size < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes))
        row.at("shape").fail("is no size of memory");
    const auto place = blobs.place(row);
    if (!place || row.failed())
      return;
    if (place->bytes != bytes)
      return row.at("blob").fail(
          fmt::format("has {} bytes, not the constant's {}", place->bytes, bytes));
    program.constants.push_back(
        {.offset = row.integer("arena_offset"),
         .value = Tensor(type, std::move(shape), file.share(place->offset))});
  }
}

Program readProgram(const JsonReader &tables, const MappedFile &file, const BlobReader &blobs) {
  Program program;
  program.name = tables.text("name");
  program.target = tables.text("target");
  program.features = tables.texts("features");
  program.operators = tables.integer("operators");
  program.metadata = tables.text("metadata");
  program.persistentBytes = tables.integer("persistent_bytes");
  program.arenaBytes = tables.integer("arena_bytes");
  program.workspaceBytes = tables.integer("workspace_bytes");
  program.kernels = readList(tables, "kernels", readKernel);
  program.functions = readList(tables, "functions", readFunction);
  if (!tables.failed())
    readObjects(tables, file, blobs, program);
  if (!tables.failed())
    readConstants(tables, file, blobs, program);
  return program;
}

/// What the prologue must say before anything behind it is looked at.
Status checkPrologue(const Prologue &prologue, Bytes file, const std::string &path) {
  const Prologue expected;
  auto bad = [&](std::string_view why) {
    return failure(Error::Code::BadInput, path, "damaged: {}", why);
  };
  if (prologue.version != expected.version)
    return failure(Error::Code::Unsupported, path,
                   "is an Ingot program of format {}; this build reads format {}{}",
                   prologue.version, expected.version,
                   prologue.version < expected.version ? ": compile the model again" : "");
  if (prologue.fileBytes != file.size())
    return failure(Error::Code::BadInput, path, "damaged: holds {} bytes where {} were written",
                   file.size(), prologue.fileBytes);
  if (prologue.headerBytes > file.size() - sizeof(Prologue))
    return bad("its header is longer than the file");
  if (prologue.reserved[0] || prologue.reserved[1] || prologue.reserved[2])
    return bad("bytes that must be zero are not");
  if (prologue.checksum != checksumOf(prologue, {file.subspan(sizeof(Prologue))}))
    return bad("its checksum does not match its contents");
  return {};
}

} // namespace

Result<std::vector<Program>> loadPrograms(const std::string &path) {
  INGOT_ASSIGN(MappedFile file, MappedFile::open(path));
  const Bytes bytes = file.bytes();
  Prologue prologue;
  const Prologue expected;
  if (bytes.size() < sizeof(Prologue) ||
      std::memcmp(bytes.data(), expected.magic, sizeof(expected.magic)) != 0)
    return failure(Error::Code::BadInput, path, "is not an Ingot program");
  std::memcpy(&prologue, bytes.data(), sizeof(prologue));
  INGOT_TRY(checkPrologue(prologue, bytes, path));

  const size_t blobStart = aligned(sizeof(Prologue) + prologue.headerBytes);
  if (blobStart > bytes.size())
    return failure(Error::Code::BadInput, path, "damaged: its header is longer than the file");
  std::string_view text(reinterpret_cast<const char *>(bytes.data()) + sizeof(Prologue),
                        prologue.headerBytes);
  INGOT_ASSIGN(json document, parseJson(text, path));
  std::optional<Error> error;
  const JsonReader header(document, error, path);
  BlobReader blobs(file, blobStart);
  blobs.readPlaces(header);
  INGOT_TRY(header.status());
  std::vector<Program> programs;
  for (const JsonReader &tables : header.list("programs")) {
    programs.push_back(readProgram(tables, file, blobs));
    INGOT_TRY(header.status());
    if (Status sound = programs.back().validate(); !sound)
      return failure(Error::Code::BadInput, path, "{}", sound.error().message);
  }
  INGOT_TRY(header.status());
  return programs;
}

Result<Program> Program::load(const std::string &path) {
  INGOT_ASSIGN(std::vector<Program> programs, loadPrograms(path));
  if (programs.size() == 1)
    return std::move(programs.front());
  std::string names;
  for (const Program &program : programs)
    names += fmt::format("{}'{}'", names.empty() ? ": " : ", ", program.name);
  return failure(Error::Code::Unsupported, path, "holds {} programs where one is wanted{}",
                 programs.size(), names);
}

} // namespace ingot
