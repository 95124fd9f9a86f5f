// `.ingot` files. All numbers are little-endian.
//
//   bytes 0 … 63   prologue: magic, format version, bytes of the header, bytes of the file,
//   checksum
//                  (XXH3) of the whole file with zeros in its own place; the rest is zero
//   then           header: JSON, the tables of the program and the places of the blobs
//   then           blobs, each at a multiple of 64: the code image, then the constants in order
#include "runtime/program/Program.h"
#include "runtime/support/File.h"
#include "runtime/support/Json.h"
#include <algorithm>
#include <bit>
#include <xxhash.h>

namespace ingot {

using nlohmann::json;

namespace {

static_assert(std::endian::native == std::endian::little, "files are read as they lie in memory");

constexpr size_t alignment = 64;
constexpr int deepestNesting = 64;

struct Prologue {
  char magic[8] = {'\x89', 'I', 'n', 'g', 'o', 't', '\r', '\n'};
  uint64_t version = 3;
  uint64_t headerBytes = 0;
  uint64_t fileBytes = 0;
  uint64_t checksum = 0;
  uint64_t reserved[3] = {};
};
static_assert(sizeof(Prologue) == alignment);

size_t aligned(size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

// --- writing
// --------------------------------------------------------------------------------------

json toJson(const Kernel &kernel);
json toJson(const Port &port);
json toJson(const PlannedBuffer &buffer);
json toJson(const Step &step);
json toJson(const Function &function);

json toJson(const KernelArgument &argument) {
  return {{"bytes", argument.bytes}, {"access", name(argument.access)}};
}

template <typename T> json toJson(const std::vector<T> &rows) {
  json list = json::array();
  for (const T &row : rows)
    list.push_back(toJson(row));
  return list;
}

json toJson(const Kernel &kernel) {
  return {{"name", kernel.name},
          {"entry", kernel.entry},
          {"grains", kernel.grains},
          {"workspace", kernel.workspace},
          {"arguments", toJson(kernel.arguments)},
          {"flops", kernel.flops},
          {"bytes", kernel.bytes},
          {"root", kernel.root},
          {"ops", kernel.ops},
          {"tuned", kernel.tuned}};
}

json toJson(const Port &port) {
  return {{"name", port.name},
          {"kind", name(port.kind)},
          {"type", name(port.type)},
          {"shape", port.shape},
          {"offset", port.offset}};
}

json toJson(const PlannedBuffer &buffer) {
  return {
      {"name", buffer.name},   {"kind", name(buffer.kind)},      {"offset", buffer.offset},
      {"bytes", buffer.bytes}, {"first_step", buffer.firstStep}, {"last_step", buffer.lastStep}};
}

json toJson(const Step &step) {
  if (auto *call = std::get_if<CallStep>(&step.node))
    return {{"kernel", call->kernel},
            {"arguments", call->arguments},
            {"strides", call->strides},
            {"op", call->op}};
  if (auto *loop = std::get_if<LoopStep>(&step.node))
    return {{"trips", loop->trips}, {"body", toJson(loop->body)}};
  auto &branch = std::get<IfStep>(step.node);
  return {{"condition", branch.condition},
          {"then", toJson(branch.thenBody)},
          {"else", toJson(branch.elseBody)}};
}

json toJson(const Function &function) {
  return {{"name", function.name},
          {"arena_bytes", function.arenaBytes},
          {"ports", toJson(function.ports)},
          {"steps", toJson(function.steps)},
          {"buffers", toJson(function.buffers)}};
}

/// Offsets in the header count from the first blob, so that they do not depend on its own length.
json headerOf(const Program &program) {
  json constants = json::array();
  size_t offset = aligned(program.code.size());
  for (const Constant &constant : program.constants) {
    constants.push_back({{"arena_offset", constant.offset},
                         {"type", name(constant.value.type())},
                         {"shape", constant.value.shape()},
                         {"blob", offset}});
    offset += aligned(constant.value.bytes());
  }
  return {{"target", program.target},
          {"features", program.features},
          {"operators", program.operators},
          {"metadata", program.metadata},
          {"persistent_bytes", program.persistentBytes},
          {"arena_bytes", program.arenaBytes},
          {"workspace_bytes", program.workspaceBytes},
          {"kernels", toJson(program.kernels)},
          {"functions", toJson(program.functions)},
          {"constants", std::move(constants)},
          {"code_bytes", program.code.size()}};
}

/// What lies behind the prologue, in order; each part is padded to a multiple of 64.
std::vector<std::span<const uint8_t>> partsOf(const Program &program, std::string_view header) {
  auto bytes = [](const void *data, size_t size) {
    return std::span(static_cast<const uint8_t *>(data), size);
  };
  std::vector parts = {bytes(header.data(), header.size()), std::span(program.code)};
  for (const Constant &constant : program.constants)
    parts.push_back(bytes(constant.value.data(), constant.value.bytes()));
  return parts;
}

uint64_t checksumOf(Prologue prologue, const std::vector<std::span<const uint8_t>> &parts) {
  static constexpr char zeros[alignment] = {};
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                 XXH3_freeState);
  XXH3_64bits_reset(state.get());
  prologue.checksum = 0;
  XXH3_64bits_update(state.get(), &prologue, sizeof(prologue));
  for (std::span<const uint8_t> part : parts) {
    XXH3_64bits_update(state.get(), part.data(), part.size());
    XXH3_64bits_update(state.get(), zeros, aligned(part.size()) - part.size());
  }
  return XXH3_64bits_digest(state.get());
}

// --- reading
// --------------------------------------------------------------------------------------

BufferKind readKind(const JsonReader &row) {
  const std::string text = row.text("kind");
  for (int i = 0; i <= static_cast<int>(BufferKind::Workspace); ++i)
    if (auto kind = static_cast<BufferKind>(i); name(kind) == text)
      return kind;
  row.at("kind").fail("is no kind of buffer");
  return {};
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

KernelArgument readArgument(const JsonReader &row) {
  const std::string text = row.text("access");
  for (Access access : {Access::Read, Access::Write, Access::Update})
    if (name(access) == text)
      return {.bytes = row.integer("bytes"), .access = access};
  row.at("access").fail("is neither read, write nor update");
  return {};
}

Kernel readKernel(const JsonReader &row) {
  return {.name = row.text("name"),
          .entry = row.integer("entry"),
          .grains = row.integer("grains"),
          .workspace = row.integer("workspace"),
          .arguments = readList(row, "arguments", readArgument),
          .flops = row.number("flops"),
          .bytes = row.number("bytes"),
          .root = row.text("root"),
          .ops = row.text("ops"),
          .tuned = row.text("tuned")};
}

Port readPort(const JsonReader &row) {
  return {.name = row.text("name"),
          .kind = readKind(row),
          .type = readType(row),
          .shape = row.integers("shape"),
          .offset = row.integer("offset")};
}

PlannedBuffer readBuffer(const JsonReader &row) {
  return {.name = row.text("name"),
          .kind = readKind(row),
          .offset = row.integer("offset"),
          .bytes = row.integer("bytes"),
          .firstStep = row.integer("first_step"),
          .lastStep = row.integer("last_step")};
}

std::vector<Step> readSteps(const JsonReader &row, const char *key, int depth = 0);

Step readStep(const JsonReader &row, int depth) {
  if (row.has("trips"))
    return {LoopStep{.trips = row.integer("trips"), .body = readSteps(row, "body", depth + 1)}};
  if (row.has("condition"))
    return {IfStep{.condition = row.integer("condition"),
                   .thenBody = readSteps(row, "then", depth + 1),
                   .elseBody = readSteps(row, "else", depth + 1)}};
  const int64_t kernel = row.integer("kernel");
  if (kernel < 0 || kernel > UINT32_MAX)
    row.at("kernel").fail("is no kernel's number");
  return {CallStep{.kernel = static_cast<uint32_t>(kernel),
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

/// Hands out the blobs of a file, which must follow each other as `headerOf` lays them out.
class Blobs {
public:
  Blobs(const MappedFile &file, size_t start) : file(file), start(start), next(start) {}

  /// The blob's place in the file, or nothing when the file ends before it does.
  std::optional<size_t> take(uint64_t bytes) {
    if (bytes > file.bytes().size() - next)
      return std::nullopt;
    size_t place = next;
    next = std::min(aligned(next + bytes), file.bytes().size());
    return place;
  }
  size_t offset() const { return next - start; }
  bool atEnd() const { return next == file.bytes().size(); }

private:
  const MappedFile &file;
  size_t start, next;
};

void readConstants(const JsonReader &header, const MappedFile &file, Blobs &blobs,
                   Program &program) {
  for (const JsonReader &row : header.list("constants")) {
    const ElementType type = readType(row);
    Shape shape = row.integers("shape");
    if (row.integer("blob") != static_cast<int64_t>(blobs.offset()))
      row.at("blob").fail("overlaps another blob or leaves a gap");
    uint64_t bytes = byteSize(type);
    for (int64_t size : shape)
      if (size < 0 || __builtin_mul_overflow(bytes, static_cast<uint64_t>(size), &bytes))
        row.at("shape").fail("is no size of memory");
    if (row.failed())
      return;
    std::optional<size_t> place = blobs.take(bytes);
    if (!place)
      return row.fail("lies beyond the end of the file");
    program.constants.push_back({.offset = row.integer("arena_offset"),
                                 .value = Tensor(type, std::move(shape), file.share(*place))});
  }
}

Status readHeader(const JsonReader &header, const MappedFile &file, size_t blobStart,
                  Program &program) {
  program.target = header.text("target");
  program.features = header.texts("features");
  program.operators = header.integer("operators");
  program.metadata = header.text("metadata");
  program.persistentBytes = header.integer("persistent_bytes");
  program.arenaBytes = header.integer("arena_bytes");
  program.workspaceBytes = header.integer("workspace_bytes");
  program.kernels = readList(header, "kernels", readKernel);
  program.functions = readList(header, "functions", readFunction);
  const int64_t codeBytes = header.integer("code_bytes");
  INGOT_TRY(header.status());

  Blobs blobs(file, blobStart);
  std::optional<size_t> code = blobs.take(static_cast<uint64_t>(codeBytes));
  if (!code)
    header.at("code_bytes").fail("is more than the file holds");
  else
    program.code.assign(file.bytes().begin() + *code, file.bytes().begin() + *code + codeBytes);
  readConstants(header, file, blobs, program);
  if (!blobs.atEnd())
    header.fail("the file holds more than its header says");
  return header.status();
}

/// What the prologue must say before anything behind it is looked at.
Status checkPrologue(const Prologue &prologue, std::span<const uint8_t> file,
                     const std::string &path) {
  const Prologue expected;
  auto bad = [&](std::string_view why) {
    return failure(Error::Code::BadInput, path, "damaged: {}", why);
  };
  if (prologue.version != expected.version)
    return failure(Error::Code::Unsupported, path,
                   "is an Ingot program of format {}; this build reads format {}", prologue.version,
                   expected.version);
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

Status Program::save(const std::string &path) const {
  if (Status sound = validate(); !sound)
    return failure(sound.error().code, path, "{}", sound.error().message);
  const std::string header = toText(headerOf(*this));
  const auto parts = partsOf(*this, header);
  Prologue prologue;
  prologue.headerBytes = header.size();
  prologue.fileBytes = sizeof(Prologue);
  for (std::span<const uint8_t> part : parts)
    prologue.fileBytes += aligned(part.size());
  prologue.checksum = checksumOf(prologue, parts);

  INGOT_ASSIGN(AtomicFile file, AtomicFile::create(path));
  INGOT_TRY(file.write(&prologue, sizeof(prologue)));
  for (std::span<const uint8_t> part : parts) {
    INGOT_TRY(file.write(part.data(), part.size()));
    INGOT_TRY(file.pad(alignment));
  }
  return file.commit();
}

Result<Program> Program::load(const std::string &path) {
  INGOT_ASSIGN(MappedFile file, MappedFile::open(path));
  const std::span<const uint8_t> bytes = file.bytes();
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
  Program program;
  INGOT_TRY(readHeader(JsonReader(document, error, path), file, blobStart, program));
  if (Status sound = program.validate(); !sound)
    return failure(Error::Code::BadInput, path, "{}", sound.error().message);
  return program;
}

} // namespace ingot
