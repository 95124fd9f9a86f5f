#include "runtime/cuda/Assembler.h"
#include "runtime/cuda/WrapPtx.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <filesystem>
#include <numeric>
#include <thread>

namespace ingot::cuda {
namespace {

/// A program holds modules up to so many bytes of PTX together: by the modules alone, so that the
/// same program gives the same code on any machine.
constexpr size_t programBytes = 64 << 10;

std::vector<std::string> candidates() {
  if (const char *file = std::getenv("INGOT_NVRTC"))
    return {file};
  std::vector<std::string> files;
  constexpr const char *folders[] = {"lib64", "lib", "targets/x86_64-linux/lib"};
  for (const char *variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char *root = std::getenv(variable))
      for (const char *folder : folders)
        files.push_back(fmt::format("{}/{}/libnvrtc.so", root, folder));
  for (const char *name : {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"})
    files.emplace_back(name);
  for (const char *root : {"/usr/local/cuda", "/opt/cuda", "/usr/lib/cuda"})
    for (const char *folder : folders)
      files.push_back(fmt::format("{}/{}/libnvrtc.so", root, folder));
  return files;
}

/// The log without what every kernel with lines of the model gets: names of files cannot stand in
/// an asm body, and the lines are kept without them.
std::string withoutFileRemarks(const std::string &log) {
  std::string result;
  for (size_t begin = 0; begin < log.size();) {
    const size_t end = std::min(log.find('\n', begin), log.size() - 1) + 1;
    const std::string line = log.substr(begin, end - begin);
    begin = end;
    if (line.find(".loc directive without .file") == line.npos &&
        line.find_first_not_of(" \n") != line.npos)
      result += line;
  }
  return result;
}

} // namespace

Status Assembler::open(const std::string &file) {
  void *library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return failure(Error::Code::Io, file, "{}", dlerror());
  const auto find = [&]<typename F>(F &function, const char *name) {
    function = reinterpret_cast<F>(dlsym(library, name));
    return function != nullptr;
  };
  if (find(create, "nvrtcCreateProgram") && find(compile, "nvrtcCompileProgram") &&
      find(destroy, "nvrtcDestroyProgram") && find(cubinSize, "nvrtcGetCUBINSize") &&
      find(cubin, "nvrtcGetCUBIN") && find(logSize, "nvrtcGetProgramLogSize") &&
      find(log, "nvrtcGetProgramLog") && find(versionOf, "nvrtcVersion"))
    return {};
  return failure(Error::Code::Unsupported, file, "this NVRTC makes no machine code: it is too old");
}

Result<const Assembler *> Assembler::find() {
  static const Result<Assembler> found = []() -> Result<Assembler> {
    for (const std::string &file : candidates()) {
      Assembler assembler;
      if (assembler.open(file))
        return assembler;
    }
    return failure(Error::Code::Io, "",
                   "NVRTC is not there; INGOT_NVRTC or CUDA_HOME may say where it is");
  }();
  if (!found)
    return tl::unexpected(found.error());
  return &*found;
}

std::string Assembler::version() const {
  int major = 0, minor = 0;
  versionOf(&major, &minor);
  return fmt::format("{}.{}", major, minor);
}

std::string Assembler::folder() const {
  Dl_info info{};
  std::error_code error;
  if (!dladdr(reinterpret_cast<void *>(create), &info) || !info.dli_fname)
    return {};
  return std::filesystem::canonical(info.dli_fname, error).parent_path().string();
}

Result<Cubin> Assembler::assemble(std::span<const std::string> modules,
                                  const std::string &architecture, bool isVerbose) const {
  std::vector<PtxModule> parsed;
  for (const std::string &module : modules) {
    INGOT_ASSIGN(PtxModule parts, parsePtxModule(module));
    parsed.push_back(std::move(parts));
  }
  const std::string source = wrapPtx(parsed);
  void *program = nullptr;
  if (create(&program, source.c_str(), "kernels.cu", 0, nullptr, nullptr) != 0)
    return failure(Error::Code::Internal, "", "NVRTC makes no program");
  const std::string target = "--gpu-architecture=" + architecture;
  const char *options[] = {target.c_str(), "-minimal",
                           isVerbose ? "-Xptxas=-v" : "-Xptxas=-warn-spills"};
  const int result = compile(program, int(std::size(options)), options);
  Cubin made;
  size_t size = 0;
  if (logSize(program, &size) == 0 && size > 1) {
    made.log.resize(size);
    log(program, made.log.data());
    made.log = made.log.c_str(); // the size counts a zero, or two
    made.log = withoutFileRemarks(made.log);
  }
  size = 0;
  if (result == 0 && cubinSize(program, &size) == 0) {
    made.bytes.resize(size);
    cubin(program, reinterpret_cast<char *>(made.bytes.data()));
  }
  destroy(&program);
  if (made.bytes.empty())
    return failure(Error::Code::BadInput, "", "NVRTC refuses the kernels for {}:\n{}", architecture,
                   made.log);
  return made;
}

/// An entry is a byte, 1 for a cubin and 0 for a refusal, then the log's size, the log, and the
/// cubin.
static std::vector<uint8_t> entryOf(const Result<Cubin> &cubin) {
  const std::string &log = cubin ? cubin->log : cubin.error().message;
  const uint64_t size = log.size();
  std::vector<uint8_t> entry = {uint8_t(cubin.has_value())};
  const auto *bytes = reinterpret_cast<const uint8_t *>(&size);
  entry.insert(entry.end(), bytes, bytes + sizeof size);
  entry.insert(entry.end(), log.begin(), log.end());
  if (cubin)
    entry.insert(entry.end(), cubin->bytes.begin(), cubin->bytes.end());
  return entry;
}

static std::optional<Result<Cubin>> cubinOf(std::span<const uint8_t> entry) {
  uint64_t size = 0;
  constexpr size_t head = 1 + sizeof size;
  if (entry.size() < head)
    return {};
  std::memcpy(&size, entry.data() + 1, sizeof size);
  if (size > entry.size() - head)
    return {};
  const auto rest = entry.subspan(head);
  std::string log(rest.begin(), rest.begin() + ptrdiff_t(size));
  if (!entry.front())
    return Result<Cubin>(failure(Error::Code::BadInput, "", "{}", log));
  return Cubin{{rest.begin() + ptrdiff_t(size), rest.end()}, std::move(log)};
}

Result<Cubin> Assembler::recall(std::span<const std::string> modules,
                                const std::string &architecture, const Memory &memory,
                                std::atomic<size_t> &calls) const {
  std::string text = fmt::format("{} nvrtc {}", architecture, version());
  for (const std::string &module : modules)
    text += '\0' + module;
  if (memory.get)
    if (const auto entry = memory.get(text))
      if (auto known = cubinOf(*entry))
        return std::move(*known);
  ++calls;
  Result<Cubin> made = assemble(modules, architecture);
  if (memory.put)
    memory.put(text, entryOf(made));
  return made;
}

Assembler::Assembled Assembler::assembleAll(std::span<const std::string> modules,
                                            const std::string &architecture, int threads,
                                            const Memory &memory) const {
  // Largest first, so that no thread is left with a large one at the end.
  std::vector<size_t> order(modules.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::ranges::stable_sort(order, std::greater(), [&](size_t i) { return modules[i].size(); });
  std::vector<std::vector<size_t>> programs;
  size_t bytes = programBytes;
  for (size_t index : order) {
    if (bytes + modules[index].size() > programBytes) {
      programs.emplace_back();
      bytes = 0;
    }
    programs.back().push_back(index);
    bytes += modules[index].size();
  }

  std::vector<std::vector<std::pair<std::vector<size_t>, Result<Cubin>>>> results(programs.size());
  std::atomic<size_t> next = 0, calls = 0;
  const auto work = [&] {
    for (size_t program; (program = next++) < programs.size();) {
      const std::vector<size_t> &members = programs[program];
      std::vector<std::string> texts;
      for (size_t member : members)
        texts.push_back(modules[member]);
      Result<Cubin> whole = recall(texts, architecture, memory, calls);
      if (whole || members.size() == 1) {
        results[program].emplace_back(members, std::move(whole));
        continue;
      }
      for (size_t member : members)
        results[program].emplace_back(
            std::vector{member}, recall(modules.subspan(member, 1), architecture, memory, calls));
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < std::min<int>(std::max(1, threads), int(programs.size())); ++i)
    others.emplace_back(work);
  work();
  for (std::thread &thread : others)
    thread.join();

  Assembled assembled;
  assembled.calls = calls;
  assembled.places.resize(modules.size());
  for (auto &program : results)
    for (auto &[members, cubin] : program) {
      for (size_t member : members)
        if (cubin)
          assembled.places[member] = assembled.cubins.size();
        else
          assembled.places[member] = tl::unexpected(cubin.error());
      if (cubin)
        assembled.cubins.push_back(std::move(*cubin));
    }
  return assembled;
}

} // namespace ingot::cuda
