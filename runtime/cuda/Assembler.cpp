#include "runtime/cuda/Assembler.h"
#include "runtime/cuda/WrapPtx.h"
#include <algorithm>
#include <atomic>
#include <dlfcn.h>
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
      find(log, "nvrtcGetProgramLog"))
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

Result<Cubin> Assembler::assemble(std::span<const std::string> modules,
                                  const std::string &architecture) const {
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
  const char *options[] = {target.c_str(), "-minimal", "-Xptxas=-warn-spills"};
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

Assembler::Assembled Assembler::assembleAll(std::span<const std::string> modules,
                                            const std::string &architecture, int threads) const {
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
  std::atomic<size_t> next = 0;
  const auto work = [&] {
    for (size_t program; (program = next++) < programs.size();) {
      const std::vector<size_t> &members = programs[program];
      std::vector<std::string> texts;
      for (size_t member : members)
        texts.push_back(modules[member]);
      Result<Cubin> whole = assemble(texts, architecture);
      if (whole || members.size() == 1) {
        results[program].emplace_back(members, std::move(whole));
        continue;
      }
      for (size_t member : members)
        results[program].emplace_back(std::vector{member},
                                      assemble(modules.subspan(member, 1), architecture));
    }
  };
  std::vector<std::thread> others;
  for (int i = 1; i < std::min<int>(std::max(1, threads), int(programs.size())); ++i)
    others.emplace_back(work);
  work();
  for (std::thread &thread : others)
    thread.join();

  Assembled assembled;
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
