#include "codegen/cache/ProgramCache.h"
#include <filesystem>
#include <nlohmann/json.hpp>

namespace ingot {
namespace {

std::string serialize(const ProgramKey &key) {
  nlohmann::json parts = nlohmann::json::object();
  for (const auto &[name, value] : key.parts)
    parts[name] = value;
  return parts.dump();
}

} // namespace

std::string ProgramKey::hash() const {
  std::string text;
  for (const auto &[name, value] : parts)
    text += name + '\0' + value + '\0';
  return contentHash(text);
}

std::optional<Program> ProgramCache::get(const ProgramKey &key) const {
  if (!disk.enabled())
    return std::nullopt;
  std::string path = disk.path(key.hash() + ".ingot");
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    return std::nullopt;
  Result<Program> program = Program::load(path);
  if (!program) {
    std::filesystem::remove(path, ignored);
    return std::nullopt;
  }
  std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now(), ignored);
  return std::move(*program);
}

void ProgramCache::put(const ProgramKey &key, const Program &program) const {
  if (!disk.enabled())
    return;
  std::string description = serialize(key);
  disk.put(key.hash() + ".key",
           std::span(reinterpret_cast<const uint8_t *>(description.data()), description.size()));
  if (Status saved = program.save(disk.path(key.hash() + ".ingot")); !saved)
    return disk.setProblem(saved.error().text());
  disk.evict();
}

std::string ProgramCache::explainMiss(const ProgramKey &key) const {
  if (!disk.enabled())
    return "the cache is off";
  std::vector<std::string> fewest;
  bool any = false;
  for (const std::string &name : disk.keys(".key")) {
    std::optional<std::vector<uint8_t>> bytes = disk.get(name);
    if (!bytes)
      continue;
    auto parts =
        nlohmann::json::parse(bytes->begin(), bytes->end(), nullptr, /*allow_exceptions=*/false);
    if (!parts.is_object())
      continue;
    std::vector<std::string> different;
    for (const auto &[part, value] : key.parts)
      if (!parts.contains(part) || parts[part] != value)
        different.push_back(fmt::format("{} ({} there, {} here)", part,
                                        parts.contains(part) ? parts[part].dump() : "absent",
                                        value));
    if (!any || different.size() < fewest.size())
      fewest = std::move(different);
    any = true;
  }
  if (!any)
    return "the cache holds no program yet";
  if (fewest.empty())
    return "its entry was evicted or damaged";
  return fmt::format("the nearest program differs in {}", fmt::join(fewest, ", "));
}

} // namespace ingot
