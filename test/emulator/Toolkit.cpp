#include "test/emulator/Toolkit.h"
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

namespace ingot::emulator::test {
namespace fs = std::filesystem;

namespace {

std::vector<std::string> nvrtcCandidates() {
  std::vector<std::string> candidates;
  if (const char *file = std::getenv("INGOT_NVRTC"))
    return {file};
  for (const char *variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char *folder = std::getenv(variable))
      for (const char *library : {"lib64", "lib", "targets/x86_64-linux/lib"})
        candidates.push_back(std::string(folder) + "/" + library + "/libnvrtc.so");
  for (const char *name : {"libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"})
    candidates.push_back(name);
  for (const char *folder : {"/usr/local/cuda", "/opt/cuda", "/usr/lib/cuda"})
    for (const char *library : {"lib64", "lib", "targets/x86_64-linux/lib"})
      candidates.push_back(std::string(folder) + "/" + library + "/libnvrtc.so");
  return candidates;
}

/// A file of its own in the temporary folder, removed at the end.
class ScratchFile {
public:
  explicit ScratchFile(const std::string &content) {
    std::string pattern = (fs::temp_directory_path() / "ingot-XXXXXX").string();
    const int file = mkstemp(pattern.data());
    if (file < 0)
      return;
    close(file);
    path = pattern;
    std::ofstream(path, std::ios::binary) << content;
  }
  ~ScratchFile() {
    std::error_code ignored;
    if (!path.empty())
      fs::remove(path, ignored);
  }
  std::string path;
};

/// The first executable of this name in `PATH`; empty if there is none.
std::string findInPath(std::string_view name) {
  const char *variable = std::getenv("PATH");
  std::istringstream folders(variable ? variable : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    const std::string candidate = folder + "/" + std::string(name);
    if (access(candidate.c_str(), X_OK) == 0)
      return candidate;
  }
  return {};
}

/// Runs a program with its arguments (no shell); what it prints on both streams is the error if it
/// does not exit with 0.
Status runTool(const std::vector<std::string> &command) {
  int ends[2];
  if (pipe(ends) != 0)
    return failure(Error::Code::Io, command[0], "no pipe");
  const pid_t child = fork();
  if (child < 0)
    return failure(Error::Code::Io, command[0], "cannot start");
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    std::vector<char *> arguments;
    for (const std::string &argument : command)
      arguments.push_back(const_cast<char *>(argument.c_str()));
    arguments.push_back(nullptr);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(ends[1]);
  std::string output;
  char buffer[4096];
  for (ssize_t size; (size = read(ends[0], buffer, sizeof buffer)) > 0;)
    output.append(buffer, size);
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return failure(Error::Code::Mismatch, command[0], "{}", output);
  return {};
}

} // namespace

std::string findLlvmTool(std::string_view name) {
  const std::string found = findInPath(fmt::format("{}-22", name));
  const std::string packaged = fmt::format("/usr/lib/llvm-22/bin/{}", name);
  return !found.empty() || access(packaged.c_str(), X_OK) != 0 ? found : packaged;
}

Result<std::string> outputOf(std::vector<std::string> command) {
  const ScratchFile output("");
  command.push_back(output.path);
  INGOT_TRY(runTool(command));
  std::ifstream file(output.path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

const Toolkit &Toolkit::instance() {
  static const Toolkit toolkit;
  return toolkit;
}

Toolkit::Toolkit() {
  void *library = nullptr;
  for (const std::string &candidate : nvrtcCandidates()) {
    library = dlopen(candidate.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library)
      break;
  }
  if (!library) {
    reason = "NVRTC was not found; INGOT_NVRTC or CUDA_HOME may say where it is";
  } else {
    auto symbol = [&](auto &function, const char *name) {
      function =
          reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
      return function != nullptr;
    };
    if (!(symbol(compileProgram, "nvrtcCompileProgram") && symbol(ptxSize, "nvrtcGetPTXSize") &&
          symbol(ptx, "nvrtcGetPTX") && symbol(logSize, "nvrtcGetProgramLogSize") &&
          symbol(log, "nvrtcGetProgramLog") && symbol(destroy, "nvrtcDestroyProgram") &&
          symbol(create, "nvrtcCreateProgram"))) {
      reason = "the NVRTC that was found lacks functions";
      create = nullptr;
    }
  }
  std::vector<fs::path> roots;
  if (create) {
    Dl_info info{};
    std::error_code error;
    if (dladdr(reinterpret_cast<void *>(create), &info) && info.dli_fname) {
      const fs::path file = fs::canonical(info.dli_fname, error);
      for (fs::path folder = file.parent_path(); !error && folder.has_relative_path();
           folder = folder.parent_path())
        roots.push_back(folder);
    }
  }
  for (const char *variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char *folder = std::getenv(variable))
      roots.emplace_back(folder);
  for (const char *folder : {"/usr/local/cuda", "/opt/cuda", "/usr"})
    roots.emplace_back(folder);
  for (const fs::path &root : roots) {
    if (include.empty() && fs::exists(root / "include/cuda_fp16.h"))
      include = (root / "include").string();
    if (ptxas.empty() && access((root / "bin/ptxas").c_str(), X_OK) == 0)
      ptxas = (root / "bin/ptxas").string();
  }
  if (ptxas.empty())
    ptxas = findInPath("ptxas");
  if (reason.empty() && include.empty())
    reason = "the CUDA toolkit's headers were not found beside NVRTC";
}

Result<std::string> Toolkit::compile(const std::string &source, const std::string &name,
                                     std::string_view architecture,
                                     const std::vector<std::string> &options) const {
  if (!reason.empty())
    return failure(Error::Code::Unsupported, name, "{}", reason);
  std::vector<std::string> all = {fmt::format("--gpu-architecture={}", architecture),
                                  "--std=c++17"};
  all.push_back("--include-path=" + include);
  all.push_back("--include-path=" + include + "/cccl");
  all.insert(all.end(), options.begin(), options.end());
  std::vector<const char *> pointers;
  for (const std::string &option : all)
    pointers.push_back(option.c_str());

  void *program = nullptr;
  if (create(&program, source.c_str(), name.c_str(), 0, nullptr, nullptr) != 0)
    return failure(Error::Code::Internal, name, "NVRTC makes no program");
  const int result = compileProgram(program, static_cast<int>(pointers.size()), pointers.data());
  size_t size = 0;
  std::string text;
  if (result != 0) {
    logSize(program, &size);
    text.resize(size);
    log(program, text.data());
    destroy(&program);
    return failure(Error::Code::BadInput, name, "NVRTC refuses it:\n{}", text);
  }
  ptxSize(program, &size);
  text.resize(size);
  ptx(program, text.data());
  destroy(&program);
  while (!text.empty() && text.back() == '\0')
    text.pop_back();
  return text;
}

Status Toolkit::assemble(const std::string &text, std::string_view architecture) const {
  INGOT_TRY(runPtxas(text, architecture, 0));
  return {};
}

Result<std::string> Toolkit::cubin(const std::string &text, std::string_view architecture) const {
  return runPtxas(text, architecture, 3);
}

Result<std::string> Toolkit::runPtxas(const std::string &text, std::string_view architecture,
                                      int level) const {
  if (ptxas.empty())
    return failure(Error::Code::Unsupported, "ptxas", "was not found");
  const ScratchFile input(text);
  return outputOf({ptxas, fmt::format("--gpu-name={}", architecture),
                   fmt::format("--opt-level={}", level), input.path, "--output-file"});
}

} // namespace ingot::emulator::test
