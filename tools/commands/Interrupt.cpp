#include "tools/commands/Interrupt.h"
#include <csignal>
#include <cstdio>

namespace ingot {
namespace {

std::atomic<bool> interrupted = false;
volatile std::sig_atomic_t interruptedBy = 0;

void interrupt(int signal) {
  interruptedBy = signal;
  interrupted = true;
  std::signal(signal, SIG_DFL);
}

} // namespace

const std::atomic<bool> &catchInterrupts() {
  std::signal(SIGINT, interrupt);
  std::signal(SIGTERM, interrupt);
  return interrupted;
}

void endInterrupted() {
  std::fflush(nullptr);
  std::raise(interruptedBy);
}

} // namespace ingot
