#include "runtime/training/Shards.h"
#include "runtime/support/File.h"
#include "runtime/support/Json.h"
#include <filesystem>

namespace ingot {

namespace fs = std::filesystem;
using nlohmann::json;

bool isShardIndex(std::string_view path) { return path.ends_with(".safetensors.index.json"); }

Result<Safetensors> readShards(const std::string &indexPath) {
  INGOT_ASSIGN(std::string text, readFile(indexPath));
  INGOT_ASSIGN(json index, parseJson(text, indexPath));
  std::optional<Error> error;
  const JsonReader map = JsonReader(index, error, indexPath).at("weight_map");
  INGOT_TRY(map.status());
  std::map<std::string, std::vector<std::string>> namesOf; // by file
  for (const auto &[name, file] : index["weight_map"].items())
    namesOf[map.text(name.c_str())].push_back(name);
  INGOT_TRY(map.status());

  Safetensors all;
  for (const auto &[file, names] : namesOf) {
    // An index must not lead out of its directory.
    if (fs::path(file).filename() != file || file == "." || file == "..")
      return failure(Error::Code::BadInput, indexPath, "'{}' is not the name of a file beside it",
                     file);
    const std::string path = (fs::path(indexPath).parent_path() / file).string();
    INGOT_ASSIGN(Safetensors shard, readSafetensors(path));
    all.metadata.merge(shard.metadata);
    for (const std::string &name : names) {
      auto found = shard.tensors.extract(name);
      if (!found)
        return failure(Error::Code::BadInput, path, "lacks '{}', which {} says it holds", name,
                       indexPath);
      all.tensors.insert(std::move(found));
    }
  }
  return all;
}

Status writeShards(const std::string &prefix, const Safetensors &contents, int64_t largest) {
  std::vector<Safetensors> shards(1);
  int64_t bytes = 0, total = 0;
  for (const auto &[name, tensor] : contents.tensors) {
    const auto size = int64_t(tensor.bytes());
    if (bytes > 0 && bytes + size > largest) {
      shards.emplace_back();
      bytes = 0;
    }
    bytes += size;
    total += size;
    shards.back().tensors[name] = tensor;
  }
  if (shards.size() == 1)
    return writeSafetensors(prefix + ".safetensors", contents);
  json map = json::object();
  for (size_t i = 0; i < shards.size(); ++i) {
    const std::string file =
        fmt::format("{}-{:05}-of-{:05}.safetensors", prefix, i + 1, shards.size());
    shards[i].metadata = contents.metadata;
    INGOT_TRY(writeSafetensors(file, shards[i]));
    for (const auto &[name, tensor] : shards[i].tensors)
      map[name] = fs::path(file).filename().string();
  }
  // The index comes last: what it names is there.
  return writeFile(prefix + ".safetensors.index.json",
                   toText({{"metadata", {{"total_size", total}}}, {"weight_map", map}}));
}

} // namespace ingot
