#include "ir/dialect/Diagnostics.h"
#include "llvm/ADT/STLExtras.h"

using namespace mlir;

namespace ingot {

/// The mark of a diagnostic in its metadata.
constexpr llvm::StringLiteral unsupported = "unsupported";

InFlightDiagnostic emitUnsupported(Location location) {
  InFlightDiagnostic diagnostic = emitError(location);
  diagnostic.getUnderlyingDiagnostic()->getMetadata().emplace_back(StringRef(unsupported));
  return diagnostic;
}

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
  const bool isUnsupported =
      llvm::any_of(diagnostic.getMetadata(), [](const DiagnosticArgument &mark) {
        return mark.getKind() == DiagnosticArgument::DiagnosticArgumentKind::String &&
               mark.getAsString() == unsupported;
      });
  reports.push_back({placeOf(diagnostic.getLocation()), diagnostic.str(), isUnsupported});
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
  if (reports.front().isUnsupported)
    code = Error::Code::Unsupported;
  Error error{code, reports.front().message, reports.front().place};
  for (const Report &report : llvm::drop_begin(reports))
    error.message +=
        fmt::format("\n{}{}{}", report.place, report.place.empty() ? "" : ": ", report.message);
  return error;
}

} // namespace ingot
