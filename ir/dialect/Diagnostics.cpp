#include "ir/dialect/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace ingot {

std::string placeOf(Location location) {
  std::string place;
  location->walk([&](Location part) {
    if (auto name = dyn_cast<NameLoc>(part))
      place = name.getName().str();
    else if (auto file = dyn_cast<FileLineColLoc>(part))
      place = file.getLine() == 0 ? file.getFilename().str() // the file as a whole
                                  : fmt::format("{}:{}:{}", file.getFilename().str(),
                                                file.getLine(), file.getColumn());
    return place.empty() ? WalkResult::advance() : WalkResult::interrupt();
  });
  return place;
}

DiagnosticCollector::DiagnosticCollector(MLIRContext &context)
    : handler(&context, [this](Diagnostic &diagnostic) {
        add(diagnostic);
        return llvm::success();
      }) {}

void DiagnosticCollector::add(Diagnostic &diagnostic) {
  if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
    return;
  reports.push_back({placeOf(diagnostic.getLocation()), diagnostic.str()});
  for (Diagnostic &note : diagnostic.getNotes()) {
    std::string place = placeOf(note.getLocation());
    reports.back().message +=
        fmt::format("\n  note: {}{}{}", place, place.empty() ? "" : ": ", note.str());
  }
}

std::string DiagnosticCollector::messages() const {
  std::string text;
  for (const Report &report : reports)
    text += (text.empty() ? "" : "\n") + report.message;
  return text;
}

Error DiagnosticCollector::error(Error::Code code, std::string_view otherwise) const {
  if (reports.empty())
    return {code, std::string(otherwise), ""};
  Error error{code, reports.front().message, reports.front().place};
  for (const Report &report : llvm::drop_begin(reports))
    error.message +=
        fmt::format("\n{}{}{}", report.place, report.place.empty() ? "" : ": ", report.message);
  return error;
}

} // namespace ingot
