#include "tools/commands/EmulateProgram.h"
#include "runtime/support/File.h"
#include <cerrno>
#include <csignal>
#include <cstring>
#include <elf.h>
#include <fcntl.h>
#include <filesystem>
#include <sstream>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace ingot {
namespace {

namespace fs = std::filesystem;
using emulator::ProgramOptions;
using emulator::ProgramReport;

/// What an executable needs of the CUDA runtime.
struct Executable {
  bool isElf = false;
  bool isStatic = false;   ///< no dynamic linker
  bool hasKernels = false; ///< a section of fat binaries
  std::string runtime;     ///< the libcudart that it names; empty: none
};

/// A bounded view of a file of records; what lies outside reads as zeros.
class Bytes {
public:
  explicit Bytes(std::string content) : content(std::move(content)) {}
  template <typename T> T at(uint64_t offset) const {
    T value = {};
    if (offset <= content.size() && sizeof value <= content.size() - offset)
      std::memcpy(&value, content.data() + offset, sizeof value);
    return value;
  }
  std::string text(uint64_t offset) const {
    return offset < content.size() ? std::string(content.c_str() + offset) : std::string();
  }
  bool startsWith(std::string_view start) const { return content.starts_with(start); }

private:
  std::string content;
};

/// Where an address of the loaded program stands in its file.
uint64_t fileOffset(const Bytes &file, const Elf64_Ehdr &header, uint64_t address) {
  for (int i = 0; i < header.e_phnum; ++i) {
    const auto segment = file.at<Elf64_Phdr>(header.e_phoff + uint64_t(i) * header.e_phentsize);
    if (segment.p_type == PT_LOAD && address - segment.p_vaddr < segment.p_filesz)
      return segment.p_offset + (address - segment.p_vaddr);
  }
  return 0;
}

std::string neededRuntime(const Bytes &file, const Elf64_Ehdr &header, const Elf64_Phdr &dynamic) {
  std::vector<uint64_t> needed;
  uint64_t names = 0;
  for (uint64_t at = 0; at < dynamic.p_filesz; at += sizeof(Elf64_Dyn)) {
    const auto entry = file.at<Elf64_Dyn>(dynamic.p_offset + at);
    if (entry.d_tag == DT_NEEDED)
      needed.push_back(entry.d_un.d_val);
    if (entry.d_tag == DT_STRTAB)
      names = fileOffset(file, header, entry.d_un.d_ptr);
  }
  for (const uint64_t name : needed)
    if (const std::string library = file.text(names + name); library.starts_with("libcudart.so"))
      return library;
  return {};
}

Executable inspect(const Bytes &file) {
  Executable result;
  const auto header = file.at<Elf64_Ehdr>(0);
  result.isElf = file.startsWith(ELFMAG) && header.e_ident[EI_CLASS] == ELFCLASS64;
  if (!result.isElf)
    return result;
  result.isStatic = true;
  for (int i = 0; i < header.e_phnum; ++i) {
    const auto segment = file.at<Elf64_Phdr>(header.e_phoff + uint64_t(i) * header.e_phentsize);
    if (segment.p_type == PT_INTERP)
      result.isStatic = false;
    if (segment.p_type == PT_DYNAMIC)
      result.runtime = neededRuntime(file, header, segment);
  }
  const auto section = [&](int index) {
    return file.at<Elf64_Shdr>(header.e_shoff + uint64_t(index) * header.e_shentsize);
  };
  const uint64_t names = section(header.e_shstrndx).sh_offset;
  for (int i = 0; i < header.e_shnum; ++i)
    result.hasKernels |= file.text(names + section(i).sh_name).starts_with(".nv_fatbin");
  return result;
}

/// As a shell finds it.
Result<std::string> findProgram(const std::string &name) {
  const auto isFile = [](const std::string &path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored);
  };
  if (name.find('/') == name.npos) {
    const char *variable = std::getenv("PATH");
    std::istringstream folders(variable ? variable : "");
    for (std::string folder; std::getline(folders, folder, ':');)
      if (const std::string path = folder + "/" + name;
          isFile(path) && access(path.c_str(), X_OK) == 0)
        return path;
    return failure(Error::Code::BadInput, name, "there is no such program in PATH{}",
                   isFile(name) ? fmt::format("; the one in this folder is ./{}", name) : "");
  }
  if (!isFile(name))
    return failure(Error::Code::BadInput, name, "there is no such program");
  if (access(name.c_str(), X_OK) != 0)
    return failure(Error::Code::BadInput, name, "is not executable");
  return name;
}

/// Installed and built alike, the libraries stand at the same place beside the folder of `ingot`.
Result<std::string> findRuntimes() {
  std::error_code error;
  const fs::path self = fs::read_symlink("/proc/self/exe", error);
  const fs::path folder = (self.parent_path() / INGOT_CUDART_FOLDER).lexically_normal();
  if (error || !fs::exists(folder / "libcudart.so.13", error))
    return failure(Error::Code::Io, folder.string(),
                   "the emulated CUDA runtime is not there; it is installed with ingot");
  return folder.string();
}

Status checkProgram(const std::string &program, const Executable &executable) {
  if (!executable.isElf)
    return {}; // a script: whatever it starts inherits the environment
  const auto unsuitable = [&](std::string why) {
    return failure(Error::Code::BadInput, program, "{}", why);
  };
  if (executable.hasKernels && executable.runtime.empty())
    return unsuitable("is linked with the CUDA runtime's static library, which cannot be replaced: "
                      "compile it with nvcc -cudart shared");
  if (executable.isStatic)
    return unsuitable("is statically linked, so no CUDA runtime can be put in front of it");
  if (!executable.runtime.empty() && executable.runtime != "libcudart.so.12" &&
      executable.runtime != "libcudart.so.13")
    return unsuitable(fmt::format("needs {}; the emulated runtime is that of CUDA 12 and 13",
                                  executable.runtime));
  return {};
}

/// `first`, and behind it what the variable holds.
void prepend(const char *variable, const std::string &first, char separator) {
  const char *rest = std::getenv(variable);
  setenv(variable, (rest && *rest ? first + separator + rest : first).c_str(), 1);
}

volatile sig_atomic_t childProcess = 0;
void forward(int signal) { kill(pid_t(childProcess), signal); }

/// Waits for the end; meanwhile the program gets the signals that are sent to us.
int waitFor(pid_t child) {
  childProcess = child;
  // The terminal sends these to both.
  for (const int signal : {SIGINT, SIGQUIT})
    std::signal(signal, SIG_IGN);
  for (const int signal : {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2})
    std::signal(signal, forward);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  for (const int signal : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2})
    std::signal(signal, SIG_DFL);
  return status;
}

/// Ends as the program has: by the same signal, without a second core.
[[noreturn]] void endBy(int signal) {
  const rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
  std::fflush(nullptr);
  std::signal(signal, SIG_DFL);
  raise(signal);
  _exit(128 + signal);
}

[[noreturn]] void become(const std::string &program, const std::vector<std::string> &line,
                         int errors) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  std::vector<char *> arguments;
  for (const std::string &argument : line)
    arguments.push_back(const_cast<char *>(argument.c_str()));
  arguments.push_back(nullptr);
  execv(program.c_str(), arguments.data());
  const int error = errno;
  [[maybe_unused]] const ssize_t told = write(errors, &error, sizeof error);
  _exit(127);
}

std::string counted(uint64_t count, const char *one, const char *many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

} // namespace

std::vector<std::string> &programLine() {
  static std::vector<std::string> line;
  return line;
}

Status emulateProgram(ProgramOptions options, const std::vector<std::string> &line) {
  INGOT_ASSIGN(const std::string program, findProgram(line.front()));
  INGOT_ASSIGN(std::string content, readFile(program));
  const Executable executable = inspect(Bytes(std::move(content)));
  INGOT_TRY(checkProgram(program, executable));
  INGOT_ASSIGN(const std::string runtimes, findRuntimes());

  options.report = memfd_create("ingot-report", 0);
  int errors[2];
  if (options.report < 0 || ftruncate(options.report, sizeof(ProgramReport)) != 0 ||
      pipe2(errors, O_CLOEXEC) != 0)
    return failure(Error::Code::Io, program, "{}", std::strerror(errno));
  void *shared =
      mmap(nullptr, sizeof(ProgramReport), PROT_READ | PROT_WRITE, MAP_SHARED, options.report, 0);
  if (shared == MAP_FAILED)
    return failure(Error::Code::Io, program, "{}", std::strerror(errno));
  const auto *report = static_cast<const ProgramReport *>(shared);

  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0)
    return failure(Error::Code::Io, program, "cannot start: {}", std::strerror(errno));
  if (child == 0) {
    setenv(emulator::programOptionsVariable, options.str().c_str(), 1);
    prepend("LD_LIBRARY_PATH", runtimes, ':');
    // A path that is linked into the program (DT_RPATH) would come before LD_LIBRARY_PATH.
    if (!executable.runtime.empty())
      prepend("LD_PRELOAD", runtimes + "/" + executable.runtime, ' ');
    become(program, line, errors[1]);
  }
  close(errors[1]);
  const int status = waitFor(child);
  int error = 0;
  if (read(errors[0], &error, sizeof error) == sizeof error)
    return failure(Error::Code::BadInput, program, "cannot start: {}", std::strerror(error));

  const uint64_t findings = report->findings, refused = report->refused;
  if (report->used)
    fmt::print(stderr, "ingot: {}, {}; seed {}\n",
               counted(report->launches, "kernel launch", "kernel launches"),
               counted(findings, "finding", "findings"), options.seed);
  else
    fmt::print(stderr, "ingot: {} did not use the CUDA runtime\n", program);
  if (WIFSIGNALED(status))
    endBy(WTERMSIG(status));
  if (const int code = WEXITSTATUS(status)) {
    std::fflush(nullptr);
    std::_Exit(code);
  }
  if (findings)
    return failure(Error::Code::Mismatch, program, "{}", counted(findings, "finding", "findings"));
  if (refused)
    return failure(Error::Code::Unsupported, program, "{} not emulated",
                   counted(refused, "call is", "calls are"));
  return {};
}

} // namespace ingot
