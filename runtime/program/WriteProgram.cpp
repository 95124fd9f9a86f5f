#include "runtime/program/ProgramFile.h"
#include "runtime/support/File.h"
#include "runtime/support/Json.h"
#include <map>
#include <tuple>
#include <xxhash.h>

namespace ingot {

using nlohmann::json;

uint64_t checksumOf(Prologue prologue, const std::vector<Bytes> &parts) {
  static constexpr char zeros[fileAlignment] = {};
  std::unique_ptr<XXH3_state_t, decltype(&XXH3_freeState)> state(XXH3_createState(),
                                                                 XXH3_freeState);
  XXH3_64bits_reset(state.get());
  prologue.checksum = 0;
  XXH3_64bits_update(state.get(), &prologue, sizeof(prologue));
  for (Bytes part : parts) {
    XXH3_64bits_update(state.get(), part.data(), part.size());
    XXH3_64bits_update(state.get(), zeros, aligned(part.size()) - part.size());
  }
  return XXH3_64bits_digest(state.get());
}

namespace {

json toJson(const Kernel &kernel);
json toJson(const Port &port);
json toJson(const PlannedBuffer &buffer);
json toJson(const Step &step);
json toJson(const Function &function);

json toJson(const KernelParameter &parameter) {
  using Kind = KernelParameter::Kind;
  json row = {{"kind", name(parameter.kind)}, {"bytes", parameter.bytes}};
  if (parameter.hasPlace())
    row["access"] = name(parameter.access);
  if (parameter.kind == Kind::Scalar)
    row["value"] = fmt::format("{:#x}", parameter.value);
  if (parameter.kind == Kind::TensorMap) {
    const TensorMap &map = parameter.map;
    row["map"] = {{"type", name(map.type)},    {"sizes", map.sizes},
                  {"strides", map.strides},    {"box", map.box},
                  {"steps", map.steps},        {"swizzle", map.swizzle},
                  {"promotion", map.promotion}};
  }
  return row;
}

json toJson(const Launch &launch) {
  if (auto *range = std::get_if<CpuRange>(&launch))
    return {{"grains", range->grains}};
  const auto &grid = std::get<CudaGrid>(launch);
  return {{"grid", grid.grid},
          {"block", grid.block},
          {"cluster", grid.cluster},
          {"shared_bytes", grid.sharedBytes}};
}

template <typename T> json toJson(const std::vector<T> &rows) {
  json list = json::array();
  for (const T &row : rows)
    list.push_back(toJson(row));
  return list;
}

json toJson(const Kernel &kernel) {
  return {{"symbol", kernel.name},
          {"object", kernel.object},
          {"launch", toJson(kernel.launch)},
          {"parameters", toJson(kernel.parameters)},
          {"flops", kernel.flops},
          {"bytes", kernel.bytes},
          {"root", kernel.root},
          {"ops", kernel.ops},
          {"tuned", kernel.tuned}};
}

json toJson(const Port &port) {
  const Layout &layout = port.layout;
  json row = {{"name", port.name},
              {"role", name(port.role)},
              {"type", name(port.type)},
              {"shape", port.shape},
              {"layout", layout.isPlain() ? "plain" : "panels"},
              {"limit", port.limit},
              {"offset", port.offset},
              {"members", port.members},
              {"count", port.count},
              {"counted", port.counted}};
  if (!layout.isPlain())
    row.update({{"matrices", layout.matrices},
                {"rows", layout.rows},
                {"depth", layout.depth},
                {"depth_last", layout.depthLast}});
  return row;
}

json toJson(const PlannedBuffer &buffer) {
  return {
      {"name", buffer.name},   {"role", name(buffer.role)},      {"offset", buffer.offset},
      {"bytes", buffer.bytes}, {"first_step", buffer.firstStep}, {"last_step", buffer.lastStep}};
}

json toJson(const Step &step) {
  if (auto *call = std::get_if<CallStep>(&step.node))
    return {{"kernel", call->kernel},
            {"arguments", call->arguments},
            {"strides", call->strides},
            {"op", call->op}};
  if (auto *loop = std::get_if<LoopStep>(&step.node)) {
    json row = {{"trips", loop->trips},
                {"body", toJson(loop->body)},
                {"reverse", loop->reverse},
                {"op", loop->op}};
    if (loop->count)
      row["count"] = *loop->count;
    if (loop->counter)
      row["counter"] = *loop->counter;
    return row;
  }
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

/// The blobs of a file in order, equal ones once.
class BlobWriter {
public:
  /// The number of a blob with these bytes, which must outlive the writer.
  size_t add(Bytes bytes) {
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
    const auto key = std::tuple(hash.high64, hash.low64, bytes.size());
    auto [known, isNew] = numbers.try_emplace(key, blobs.size());
    if (isNew)
      blobs.push_back(bytes);
    return known->second;
  }
  const std::vector<Bytes> &all() const { return blobs; }
  json places() const {
    json rows = json::array();
    for (Bytes blob : blobs)
      rows.push_back(blob.size());
    return rows;
  }

private:
  std::vector<Bytes> blobs;
  std::map<std::tuple<uint64_t, uint64_t, size_t>, size_t> numbers;
};

json toJson(const Program &program, BlobWriter &blobs) {
  json constants = json::array(), objects = json::array();
  for (const CodeObject &object : program.objects)
    objects.push_back({{"kind", name(object.kind)},
                       {"architecture", object.architecture},
                       {"blob", blobs.add(object.bytes)}});
  for (const Constant &constant : program.constants) {
    const Tensor &value = constant.value;
    const Bytes bytes(value.as<uint8_t>(), value.bytes());
    constants.push_back({{"type", name(value.type())},
                         {"shape", value.shape()},
                         {"arena_offset", constant.offset},
                         {"blob", blobs.add(bytes)}});
  }
  return {{"name", program.name},
          {"target", program.target},
          {"features", program.features},
          {"operators", program.operators},
          {"metadata", program.metadata},
          {"persistent_bytes", program.persistentBytes},
          {"arena_bytes", program.arenaBytes},
          {"workspace_bytes", program.workspaceBytes},
          {"objects", std::move(objects)},
          {"kernels", toJson(program.kernels)},
          {"functions", toJson(program.functions)},
          {"constants", std::move(constants)}};
}

} // namespace

Status savePrograms(const std::string &path, std::span<const Program *const> programs) {
  BlobWriter blobs;
  json tables = json::array();
  for (const Program *program : programs) {
    if (Status sound = program->validate(); !sound)
      return failure(sound.error().code, path, "{}", sound.error().message);
    tables.push_back(toJson(*program, blobs));
  }
  const std::string header = toText({{"programs", std::move(tables)}, {"blobs", blobs.places()}});
  std::vector<Bytes> parts = {
      Bytes(reinterpret_cast<const uint8_t *>(header.data()), header.size())};
  parts.insert(parts.end(), blobs.all().begin(), blobs.all().end());

  Prologue prologue;
  prologue.headerBytes = header.size();
  prologue.fileBytes = sizeof(Prologue);
  for (Bytes part : parts)
    prologue.fileBytes += aligned(part.size());
  prologue.checksum = checksumOf(prologue, parts);

  INGOT_ASSIGN(AtomicFile file, AtomicFile::create(path));
  INGOT_TRY(file.write(&prologue, sizeof(prologue)));
  for (Bytes part : parts) {
    INGOT_TRY(file.write(part.data(), part.size()));
    INGOT_TRY(file.pad(fileAlignment));
  }
  return file.commit();
}

Status Program::save(const std::string &path) const {
  const Program *self = this;
  return savePrograms(path, std::span(&self, 1));
}

} // namespace ingot
