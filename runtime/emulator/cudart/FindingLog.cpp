#include "runtime/emulator/cudart/FindingLog.h"
#include <cstdio>

namespace ingot::emulator::cudart {

void FindingLog::note(const std::string &text) {
  std::fflush(stdout); // what the program has printed comes before
  std::fprintf(stderr, "ingot: %s\n", text.c_str());
}

void FindingLog::take() {
  for (const Finding &finding : takeEmulatedFindings())
    add(finding);
}

void FindingLog::add(const Finding &finding) {
  std::lock_guard lock(mutex);
  // The same line of the same kernel counts once, however often the program launches it.
  const std::string about = finding.kernel.empty() ? finding.message : "";
  if (seen[{finding.check, finding.kernel, finding.line, about, finding.note}]++)
    return;
  report->findings += !finding.note;
  std::fflush(stdout);
  std::fprintf(stderr, "%s\n\n", finding.str().c_str());
}

void FindingLog::summarise() {
  std::lock_guard lock(mutex);
  for (const auto &[key, launches] : seen)
    if (launches > 1)
      note(std::get<1>(key).empty()
               ? fmt::format("{}: {}: {} times more", std::get<0>(key), std::get<3>(key),
                             launches - 1)
               : fmt::format("{} of kernel {}, line {}: also in {} later launches",
                             std::get<0>(key), std::get<1>(key), std::get<2>(key), launches - 1));
}

} // namespace ingot::emulator::cudart
