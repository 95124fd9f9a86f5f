#include "runtime/emulator/machine/SystemCalls.h"
#include "runtime/emulator/machine/MemoryAccess.h"
#include <bit>
#include <cstdio>

namespace ingot::emulator {
namespace {

template <typename T> T argument(const std::byte *from) {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

std::optional<std::string> stringAt(Warp &warp, int lane, uint64_t address) {
  std::string text;
  for (; text.size() < 65536; ++address) {
    const std::byte *byte = resolveGeneric(warp, lane, address, 1);
    if (!byte)
      return std::nullopt;
    if (*byte == std::byte(0))
      return text;
    text += char(*byte);
  }
  return text;
}

/// Reads the values that the compiler has laid out for a format: 4 or 8 bytes each, aligned.
class Values {
public:
  Values(Warp &warp, int lane, uint64_t address) : warp(warp), lane(lane), address(address) {}
  uint64_t take(uint64_t bytes) {
    address = (address + bytes - 1) / bytes * bytes;
    const std::byte *from = resolveGeneric(warp, lane, address, bytes);
    address += bytes;
    uint64_t value = 0;
    if (from)
      std::memcpy(&value, from, bytes);
    return value;
  }

private:
  Warp &warp;
  int lane;
  uint64_t address;
};

/// One conversion of a format ("%-5.2f"), which starts at `position`; moves behind it.
std::string convert(Warp &warp, int lane, const std::string &format, size_t &position,
                    Values &values) {
  std::string specification = "%";
  for (++position;
       position < format.size() &&
       std::string_view("-+ #0123456789.*").find(format[position]) != std::string_view::npos;
       ++position) {
    if (format[position] == '*')
      specification += std::to_string(int32_t(values.take(4)));
    else
      specification += format[position];
  }
  bool wide = false;
  for (; position < format.size() &&
         std::string_view("hlLzjt").find(format[position]) != std::string_view::npos;
       ++position)
    wide |= format[position] != 'h';
  if (position == format.size())
    return specification;
  const char conversion = format[position++];
  char buffer[512];
  const auto print = [&](const char *length, auto value) {
    std::snprintf(buffer, sizeof buffer, (specification + length + conversion).c_str(), value);
    return std::string(buffer);
  };
  switch (conversion) {
  case 'd':
  case 'i':
    return wide ? print("ll", (long long)(values.take(8))) : print("", int32_t(values.take(4)));
  case 'u':
  case 'x':
  case 'X':
  case 'o':
    return wide ? print("ll", (unsigned long long)(values.take(8)))
                : print("", uint32_t(values.take(4)));
  case 'c':
    return print("", int(values.take(4)));
  case 'e':
  case 'E':
  case 'f':
  case 'F':
  case 'g':
  case 'G':
  case 'a':
  case 'A':
    return print("", std::bit_cast<double>(values.take(8)));
  case 'p':
    return fmt::format("{:#x}", values.take(8));
  case 's': {
    const auto text = stringAt(warp, lane, values.take(8));
    return text ? specification == "%" ? *text : print("", text->c_str()) : "(bad string)";
  }
  default:
    return conversion == '%' ? "%" : specification + conversion;
  }
}

void runPrintf(Warp &warp, const Instruction &in, int lane,
               const std::vector<std::byte *> &arguments, const std::vector<std::byte *> &results) {
  const auto format = stringAt(warp, lane, argument<uint64_t>(arguments[0]));
  if (!format) {
    warp.report(in, uint32_t(1) << lane, "out-of-bounds",
                "printf reads its format where there is nothing");
    return;
  }
  Values values(warp, lane, argument<uint64_t>(arguments[1]));
  std::string text;
  int32_t conversions = 0;
  for (size_t position = 0; position < format->size();) {
    if ((*format)[position] == '%') {
      text += convert(warp, lane, *format, position, values);
      ++conversions;
    } else {
      text += (*format)[position++];
    }
  }
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (!results.empty())
    std::memcpy(results[0], &conversions, sizeof conversions);
}

void runAssertFail(Warp &warp, const Instruction &in, int lane,
                   const std::vector<std::byte *> &arguments,
                   const std::vector<std::byte *> &results) {
  const auto message = stringAt(warp, lane, argument<uint64_t>(arguments[0]));
  const auto file = stringAt(warp, lane, argument<uint64_t>(arguments[1]));
  warp.report(in, uint32_t(1) << lane, "assert",
              fmt::format("{}:{}: assertion '{}' failed", file.value_or("?"),
                          argument<uint32_t>(arguments[2]), message.value_or("?")));
  warp.launch->stopped = true;
  warp.yieldNow();
}

struct Row {
  std::string_view name;
  size_t arguments;
  SystemCall call;
};
constexpr Row table[] = {{"vprintf", 2, runPrintf}, {"__assertfail", 5, runAssertFail}};

} // namespace

SystemCall findSystemCall(std::string_view name, size_t arguments) {
  for (const Row &row : table)
    if (row.name == name && row.arguments == arguments)
      return row.call;
  return nullptr;
}

} // namespace ingot::emulator
