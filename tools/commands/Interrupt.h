/// An orderly end on Ctrl-C or SIGTERM, for commands that keep what they have done so far.
#pragma once
#include <atomic>

namespace ingot {

/// From now on the first signal sets the flag, the second one ends the process.
const std::atomic<bool> &catchInterrupts();

/// Ends the process by the signal that set the flag: what called us must see that the work was
/// ended, not that it is done.
void endInterrupted();

} // namespace ingot
