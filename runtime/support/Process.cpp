#include "runtime/support/Process.h"
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

namespace ingot {
namespace {

struct Pipe {
  Pipe() { isOpen = pipe2(ends, O_CLOEXEC) == 0; }
  ~Pipe() {
    closeEnd(0);
    closeEnd(1);
  }
  void closeEnd(int end) {
    if (isOpen && ends[end] >= 0)
      close(std::exchange(ends[end], -1));
  }
  int ends[2] = {-1, -1};
  bool isOpen = false;
};

/// Both streams to their ends, whichever comes first.
void readBoth(Pipe &output, Pipe &errors, std::string &text, std::string &problems) {
  pollfd waiting[] = {{output.ends[0], POLLIN, 0}, {errors.ends[0], POLLIN, 0}};
  std::string *texts[] = {&text, &problems};
  while (waiting[0].fd >= 0 || waiting[1].fd >= 0) {
    if (poll(waiting, 2, -1) < 0 && errno != EINTR)
      return;
    for (int stream = 0; stream < 2; ++stream) {
      if (waiting[stream].fd < 0 || !waiting[stream].revents)
        continue;
      char buffer[65536];
      const ssize_t size = read(waiting[stream].fd, buffer, sizeof buffer);
      if (size > 0)
        texts[stream]->append(buffer, size_t(size));
      else if (size == 0 || errno != EINTR)
        waiting[stream].fd = -1;
    }
  }
}

} // namespace

Result<std::string> outputOf(const std::vector<std::string> &command) {
  Pipe output, errors;
  if (!output.isOpen || !errors.isOpen)
    return failure(Error::Code::Io, command[0], "{}", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, output.ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors.ends[1], STDERR_FILENO);
  std::vector<char *> arguments;
  for (const std::string &argument : command)
    arguments.push_back(const_cast<char *>(argument.c_str()));
  arguments.push_back(nullptr);
  pid_t child = 0;
  const int failed =
      posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed)
    return failure(Error::Code::Io, command[0], "cannot be started: {}", std::strerror(failed));
  output.closeEnd(1);
  errors.closeEnd(1);
  std::string text, problems;
  readBoth(output, errors, text, problems);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR)
    ;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return text;
  return failure(Error::Code::BadInput, command[0], "{}",
                 problems.empty() ? "it fails without a word" : problems);
}

std::string findProgram(const std::string &name, const std::vector<std::string> &folders) {
  std::vector<std::string> all = folders;
  const char *path = std::getenv("PATH");
  std::istringstream rest(path ? path : "");
  for (std::string folder; std::getline(rest, folder, ':');)
    all.push_back(folder);
  for (const std::string &folder : all)
    if (const std::string file = folder + "/" + name; access(file.c_str(), X_OK) == 0)
      return file;
  return {};
}

} // namespace ingot
