/// Results that carry an error with a place: what Ingot's own code returns instead of throwing.
#pragma once
#include <fmt/format.h>
#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace ingot {

/// What went wrong, in one sentence that a user can act on.
struct Error {
  enum class Code {
    Usage,       ///< wrong flags or arguments; the command line exits with 2
    BadInput,    ///< a damaged or unsuitable file, model or data set
    Io,          ///< the operating system refused: no such file, disk full, …
    Unsupported, ///< valid, but not something Ingot compiles
    Mismatch,    ///< a check compared two results and they differ
    Internal,    ///< a bug of Ingot's
  };
  Code code = Code::Internal;
  std::string message; ///< the sentence, without a trailing full stop
  std::string place;   ///< file, model node or flag that it is about; may be empty

  /// `place: message`, or the message alone.
  std::string text() const { return place.empty() ? message : place + ": " + message; }
};

template <typename T> using Result = tl::expected<T, Error>;
using Status = Result<void>;

template <typename... Args>
tl::unexpected<Error> failure(Error::Code code, std::string place,
                              fmt::format_string<Args...> format, Args &&...args) {
  return tl::unexpected(
      Error{code, fmt::format(format, std::forward<Args>(args)...), std::move(place)});
}

} // namespace ingot

/// Returns the error of a `Status` or `Result` to the caller.
#define INGOT_TRY(expression)                                                                      \
  do {                                                                                             \
    if (auto ingotStatus = (expression); !ingotStatus)                                             \
      return tl::unexpected(std::move(ingotStatus).error());                                       \
  } while (false)

/// Binds the value of a `Result`, or returns its error to the caller.
#define INGOT_ASSIGN(declaration, expression)                                                      \
  INGOT_ASSIGN_IMPL(INGOT_CONCAT(ingotResult, __LINE__), declaration, expression)
#define INGOT_ASSIGN_IMPL(name, declaration, expression)                                           \
  auto name = (expression);                                                                        \
  if (!name)                                                                                       \
    return tl::unexpected(std::move(name).error());                                                \
  declaration = std::move(*name)
#define INGOT_CONCAT(a, b) INGOT_CONCAT_IMPL(a, b)
#define INGOT_CONCAT_IMPL(a, b) a##b
