#include "tools/commands/Interrupt.h"
#include <csignal>
#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace ingot {
namespace {

constexpr int caught[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};

std::atomic<bool> interrupted = false;
volatile std::sig_atomic_t interruptedBy = 0;
const char *interruptNote = "";

void interrupt(int signal) {
  const int error = errno;
  for (int other : caught)
    // Output that fails from now on must not end the work that is being saved.
    std::signal(other, other == SIGPIPE ? SIG_IGN : SIG_DFL);
  interruptedBy = signal;
  interrupted = true;
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, interruptNote, strlen(interruptNote));
  errno = error;
}

} // namespace

const std::atomic<bool> &catchInterrupts(const char *note) {
  interruptNote = note;
  for (int signal : caught)
    if (std::signal(signal, interrupt) == SIG_IGN)
      std::signal(signal, SIG_IGN);
  return interrupted;
}

const std::atomic<bool> &interruptFlag() { return interrupted; }

void releaseInterrupts() {
  for (int signal : caught)
    if (std::signal(signal, SIG_DFL) == SIG_IGN)
      std::signal(signal, SIG_IGN);
}

void endInterrupted() {
  std::fflush(nullptr);
  std::signal(interruptedBy, SIG_DFL);
  std::raise(interruptedBy);
}

} // namespace ingot
