/// An orderly end on a signal, for commands that keep what they have done so far.
#pragma once
#include <atomic>

namespace ingot {

/// From now on Ctrl-C, SIGTERM, SIGHUP (the terminal is gone) and SIGPIPE (nobody reads the output
/// any more) set the flag; the next one ends the process. A signal that the caller ignores, as
/// nohup does, stays ignored. `note` is said to stderr when the flag is set.
const std::atomic<bool> &catchInterrupts(const char *note);

/// The flag, which stays false until signals are caught.
const std::atomic<bool> &interruptFlag();

/// The work is done and kept: from now on signals end the process as before.
void releaseInterrupts();

/// Ends the process by the signal that set the flag: the caller must see that the work was ended,
/// not that it is done.
void endInterrupted();

} // namespace ingot
