#include "runtime/training/Checkpoint.h"
#include "runtime/support/File.h"
#include <algorithm>
#include <charconv>
#include <filesystem>

namespace ingot {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view prefix = "step-", suffix = ".safetensors";

std::string fileName(int64_t step) { return fmt::format("{}{:08}{}", prefix, step, suffix); }

template <typename T> std::optional<T> parseNumber(std::string_view text) {
  T number{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return number;
}

/// The step in a checkpoint's file name, if it is one.
std::optional<int64_t> stepOf(const std::string &name) {
  if (!name.starts_with(prefix) || !name.ends_with(suffix))
    return std::nullopt;
  auto step = parseNumber<int64_t>(
      std::string_view(name).substr(prefix.size(), name.size() - prefix.size() - suffix.size()));
  return step && fileName(*step) == name ? step : std::nullopt;
}

/// A number from the metadata.
template <typename T> Status readNumber(Safetensors &contents, const char *key, T &value) {
  auto found = contents.metadata.find(key);
  std::optional<T> number;
  if (found != contents.metadata.end())
    number = parseNumber<T>(found->second);
  if (!number)
    return failure(Error::Code::BadInput, "",
                   "is not a checkpoint of a training run: its metadata has no number '{}'", key);
  value = *number;
  return {};
}

Status readFields(Safetensors &contents, Checkpoint &checkpoint) {
  INGOT_TRY(readNumber(contents, "step", checkpoint.step));
  INGOT_TRY(readNumber(contents, "data_position", checkpoint.dataPosition));
  INGOT_TRY(readNumber(contents, "seed", checkpoint.seed));
  checkpoint.options = contents.metadata["options"];
  for (const char *key : {"step", "data_position", "seed", "options"})
    contents.metadata.erase(key);
  checkpoint.metadata = std::move(contents.metadata);
  return {};
}

} // namespace

Status saveCheckpoint(const std::string &file, const Checkpoint &checkpoint) {
  Safetensors contents{.tensors = checkpoint.tensors, .metadata = checkpoint.metadata};
  contents.metadata["step"] = std::to_string(checkpoint.step);
  contents.metadata["data_position"] = std::to_string(checkpoint.dataPosition);
  contents.metadata["seed"] = std::to_string(checkpoint.seed);
  contents.metadata["options"] = checkpoint.options;
  return writeSafetensors(file, contents);
}

Result<Checkpoint> loadCheckpoint(const std::string &file) {
  INGOT_ASSIGN(Safetensors contents, readSafetensors(file));
  return toCheckpoint(std::move(contents), file);
}

bool isCheckpoint(const Safetensors &contents) {
  return contents.metadata.contains("data_position");
}

Result<Checkpoint> toCheckpoint(Safetensors contents, const std::string &file) {
  Checkpoint checkpoint;
  if (Status read = readFields(contents, checkpoint); !read)
    return failure(read.error().code, file, "{}", read.error().message);
  checkpoint.tensors = std::move(contents.tensors);
  return checkpoint;
}

std::string CheckpointDirectory::file(int64_t step) const { return path + "/" + fileName(step); }

Result<std::vector<int64_t>> CheckpointDirectory::steps() const {
  std::vector<int64_t> found;
  std::error_code error;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error))
    if (std::optional<int64_t> step = stepOf(entry->path().filename().string()))
      found.push_back(*step);
  if (error && error != std::errc::no_such_file_or_directory)
    return systemFailure(error.value(), path, "list the directory");
  std::ranges::sort(found);
  return found;
}

Status CheckpointDirectory::save(const Checkpoint &checkpoint) const {
  std::error_code error;
  fs::create_directories(path, error);
  if (error)
    return systemFailure(error.value(), path, "create the directory");
  INGOT_TRY(saveCheckpoint(file(checkpoint.step), checkpoint));
  INGOT_TRY(writeFile(path + "/latest", fileName(checkpoint.step) + "\n"));
  return removeOld(checkpoint.step);
}

/// Also removes what a killed process left half-written.
Status CheckpointDirectory::removeOld(int64_t newest) const {
  std::error_code error;
  for (fs::directory_iterator entry(path, error), end; !error && entry != end;
       entry.increment(error))
    if (entry->path().filename().string().find(temporaryMark) != std::string::npos)
      fs::remove(entry->path(), error);
  INGOT_ASSIGN(std::vector<int64_t> old, steps());
  std::erase(old, newest);
  // Steps beyond the newest are left over from a run that was started again: they go first.
  std::ranges::sort(old, {}, [&](int64_t step) { return std::pair(step <= newest, step); });
  const size_t others = static_cast<size_t>(std::max(keep - 1, 0));
  for (size_t i = 0; i + others < old.size(); ++i)
    if (fs::remove(file(old[i]), error); error)
      return systemFailure(error.value(), file(old[i]), "delete the old checkpoint");
  return {};
}

/// Steps in the order in which a run should try them.
Result<std::vector<int64_t>> CheckpointDirectory::newestFirst() const {
  INGOT_ASSIGN(std::vector<int64_t> candidates, steps());
  std::ranges::reverse(candidates);
  const std::string pointer = path + "/latest";
  Result<std::string> text = readFile(pointer);
  std::optional<int64_t> latest;
  if (text)
    latest = stepOf(text->substr(0, text->find('\n')));
  if (!latest)
    return candidates;
  // A higher step is newer only if its process was killed before it moved the pointer; otherwise it
  // is left over from a run that was started again.
  std::error_code error;
  const fs::file_time_type moved = fs::last_write_time(pointer, error);
  auto leftOver = [&](int64_t step) {
    return step > *latest && fs::last_write_time(file(step), error) <= moved;
  };
  std::ranges::sort(candidates, {}, [&](int64_t step) { return std::pair(leftOver(step), -step); });
  return candidates;
}

Result<std::optional<Checkpoint>>
CheckpointDirectory::newest(std::vector<std::string> *warnings) const {
  INGOT_ASSIGN(std::vector<int64_t> candidates, newestFirst());
  for (int64_t step : candidates) {
    Result<Checkpoint> checkpoint = loadCheckpoint(file(step));
    if (checkpoint)
      return std::optional(std::move(*checkpoint));
    if (warnings)
      warnings->push_back(checkpoint.error().text() + "; an earlier checkpoint is used");
  }
  return std::optional<Checkpoint>();
}

} // namespace ingot
