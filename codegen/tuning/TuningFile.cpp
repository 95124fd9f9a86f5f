#include "codegen/tuning/TuningFile.h"
#include "codegen/cache/BuildId.h"
#include "codegen/cache/DiskCache.h"
#include "codegen/cuda/CudaTarget.h"
#include "runtime/cpu/CpuInfo.h"
#include "runtime/support/File.h"
#include "runtime/support/Json.h"
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <unistd.h>

namespace fs = std::filesystem;

namespace ingot {
namespace {

constexpr int64_t formatVersion = 1;

/// Holds a lock on a file of its own until it goes out of scope: the file that it guards is
/// replaced, and a lock would stay with the old one.
class FileLock {
public:
  static Result<FileLock> take(const std::string &path) {
    FileLock lock(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (lock.descriptor < 0)
      return systemFailure(errno, path, "open");
    while (flock(lock.descriptor, LOCK_EX) != 0)
      if (errno != EINTR)
        return systemFailure(errno, path, "lock");
    return lock;
  }
  FileLock(FileLock &&other) noexcept : descriptor(std::exchange(other.descriptor, -1)) {}
  FileLock &operator=(FileLock &&other) noexcept {
    std::swap(descriptor, other.descriptor);
    return *this;
  }
  ~FileLock() {
    if (descriptor >= 0)
      close(descriptor);
  }

private:
  explicit FileLock(int descriptor) : descriptor(descriptor) {}
  int descriptor;
};

} // namespace

TuningFile::TuningFile(const std::string &directory, const CpuTarget &target, int threads) {
  if (directory.empty())
    return;
  machine =
      fmt::format("{} ({}), features {}, caches {} in {} ways, {} {}, {} threads", cpuInfo().model,
                  target.cpu, contentHash(target.features), target.l1Bytes, target.l1Ways,
                  target.l2Bytes, cacheBytes(3), threads > 0 ? threads : usableCpus());
  file = fs::path(directory) / "tuning" / (contentHash(machine) + ".json");
}

Result<BlockChoices> TuningFile::parse(const std::string &text) const {
  auto unusable = [&](std::string_view why) {
    return failure(Error::Code::BadInput, file, "{}", why);
  };
  INGOT_ASSIGN(nlohmann::json document, parseJson(text, file));
  std::optional<Error> error;
  JsonReader reader(document, error, file);
  const int64_t version = reader.integer("format");
  const std::string where = reader.text("machine"), generator = reader.text("generator");
  INGOT_TRY(reader.status());
  if (version != formatVersion)
    return unusable(fmt::format("has format {}, not {}", version, formatVersion));
  if (where != machine)
    return unusable("was made on another machine: " + where);
  if (generator != codeGeneratorId())
    return unusable("was made by another build of the code generator");
  if (!document.contains("kernels") || !document["kernels"].is_object())
    return unusable("kernels: is not an object");
  BlockChoices blocks;
  for (const auto &[kernel, sizes] : document["kernels"].items()) {
    std::string problem = "its sizes are not a string";
    std::optional<BlockChoice> choice;
    if (sizes.is_string())
      choice = BlockChoice::parse(sizes.get<std::string>(), problem);
    if (!choice)
      return unusable(fmt::format("{}: {}", kernel, problem));
    blocks[kernel] = *choice;
  }
  return blocks;
}

Tuning TuningFile::read() const {
  std::error_code ignored;
  if (file.empty() || !fs::exists(file, ignored))
    return {};
  Result<BlockChoices> blocks =
      readFile(file).and_then([this](const std::string &text) { return parse(text); });
  if (!blocks)
    return {{}, blocks.error().text()};
  return {std::move(*blocks), ""};
}

Status TuningFile::update(const BlockChoices &found) const {
  if (file.empty())
    return failure(Error::Code::Usage, "CompileOptions::cacheDirectory",
                   "there is no directory to keep the choices in");
  const fs::path directory = fs::path(file).parent_path();
  std::error_code error;
  fs::create_directories(directory, error);
  if (error)
    return failure(Error::Code::Io, directory, "cannot create the directory: {}", error.message());
  INGOT_ASSIGN(FileLock lock, FileLock::take(file + ".lock"));
  BlockChoices blocks = read().blocks;
  for (const auto &[kernel, choice] : found)
    if (choice == BlockChoice())
      blocks.erase(kernel);
    else
      blocks[kernel] = choice;
  nlohmann::json kernels = nlohmann::json::object();
  for (const auto &[kernel, choice] : blocks)
    kernels[kernel] = choice.text();
  const nlohmann::json document = {{"format", formatVersion},
                                   {"machine", machine},
                                   {"generator", codeGeneratorId()},
                                   {"kernels", kernels}};
  return writeFile(file,
                   document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

Result<Tuning> readTuning(const std::string &directory, const std::string &target, int threads) {
  if (CudaTarget::isMeant(target))
    return Tuning();
  INGOT_ASSIGN(CpuTarget cpu, CpuTarget::parse(target));
  return TuningFile(directory, cpu, threads).read();
}

} // namespace ingot
