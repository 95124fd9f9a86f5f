#include "runtime/emulator/driver/EmulatedProgram.h"
#include <algorithm>
#include <charconv>

namespace ingot::emulator {
namespace {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    if (end)
      parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

template <typename T> Status parseNumber(std::string_view field, std::string_view text, T &value) {
  const auto [next, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || next != text.data() + text.size())
    return failure(Error::Code::Usage, programOptionsVariable, "'{}={}' is no number", field, text);
  return {};
}

} // namespace

std::string ProgramOptions::str() const {
  std::string text = fmt::format("seed={};threads={};limit={}", seed, threads, limit);
  if (chip)
    text += fmt::format(";chip={}", chip);
  if (!off.empty())
    text += fmt::format(";off={}", fmt::join(off, ","));
  if (strict)
    text += ";strict";
  if (report >= 0)
    text += fmt::format(";report={}", report);
  return text;
}

Result<ProgramOptions> ProgramOptions::parse(std::string_view text) {
  ProgramOptions options;
  for (const std::string &part : split(text, ';')) {
    const size_t equals = std::min(part.find('='), part.size());
    const std::string field = part.substr(0, equals);
    const std::string value = part.substr(std::min(equals + 1, part.size()));
    if (field == "chip")
      INGOT_TRY(parseNumber(field, value, options.chip));
    else if (field == "seed")
      INGOT_TRY(parseNumber(field, value, options.seed));
    else if (field == "threads")
      INGOT_TRY(parseNumber(field, value, options.threads));
    else if (field == "limit")
      INGOT_TRY(parseNumber(field, value, options.limit));
    else if (field == "report")
      INGOT_TRY(parseNumber(field, value, options.report));
    else if (field == "off")
      options.off = split(value, ',');
    else if (part == "strict")
      options.strict = true;
    else
      return failure(
          Error::Code::Usage, programOptionsVariable,
          "'{}' is not known; fields are chip, off, seed, threads, limit, strict, report", part);
  }
  return options;
}

Result<EmulatedDeviceOptions> deviceOptions(const ProgramOptions &options) {
  EmulatedDeviceOptions device;
  device.capability = options.chip;
  device.launch.seed = options.seed;
  device.launch.threads = options.threads;
  device.launch.instructionLimit = options.limit;
  device.launch.strict = options.strict;
  INGOT_TRY(turnOff(options.off, device.checks, device.launch));
  return device;
}

} // namespace ingot::emulator
