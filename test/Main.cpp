/// Every test executable's main: a test that crashes says where.
#include <csignal>
#include <cstdlib>
#include <execinfo.h>
#include <gtest/gtest.h>
#include <unistd.h>

#ifndef __has_feature
#define __has_feature(FEATURE) 0
#endif

namespace {

/// Sanitizers report crashes by themselves.
constexpr bool isSanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);

/// Writes the stack of the thread that crashed to stderr, then ends as the signal would have.
void reportCrash(int number) {
  constexpr int deepest = 64;
  void *frames[deepest];
  const int count = ::backtrace(frames, deepest);
  constexpr char title[] =
      "the stack (llvm-symbolizer-22 --obj=EXECUTABLE OFFSET names a frame):\n";
  (void)!::write(STDERR_FILENO, title, sizeof title - 1);
  ::backtrace_symbols_fd(frames, count, STDERR_FILENO);
  ::signal(number, SIG_DFL);
  ::raise(number);
}

void reportCrashes() {
  void *first[1];
  ::backtrace(first, 1); // loads what it needs: in a handler it must not allocate
  // A stack that overflowed has no room for the handler.
  constexpr size_t bytes = 64 << 10;
  stack_t stack = {};
  stack.ss_sp = std::malloc(bytes); // as long as the process runs
  stack.ss_size = bytes;
  ::sigaltstack(&stack, nullptr);
  struct sigaction action = {};
  action.sa_handler = reportCrash;
  action.sa_flags = SA_ONSTACK | SA_RESETHAND;
  for (int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT})
    ::sigaction(number, &action, nullptr);
}

} // namespace

int main(int argc, char **argv) {
  testing::InitGoogleTest(&argc, argv);
  if (!isSanitized)
    reportCrashes();
  return RUN_ALL_TESTS();
}
