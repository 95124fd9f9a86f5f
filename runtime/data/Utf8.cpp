#include "runtime/data/Utf8.h"
#include <algorithm>

namespace ingot {

namespace {

/// Bytes of the code point that `lead` begins; 0 if it begins none.
size_t sequenceLength(uint8_t lead) {
  if (lead < 0x80)
    return 1;
  if (lead < 0xC2)
    return 0;
  return lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
}

bool isContinuation(char byte) { return (uint8_t(byte) & 0xC0) == 0x80; }

} // namespace

int32_t takeCodePoint(std::string_view &text) {
  if (text.empty())
    return -1;
  auto lead = uint8_t(text[0]);
  size_t length = sequenceLength(lead);
  if (length == 0 || length > text.size())
    return -1;
  int32_t codePoint = length == 1 ? lead : lead & (0x7F >> length);
  for (size_t i = 1; i < length; ++i) {
    if (!isContinuation(text[i]))
      return -1;
    codePoint = codePoint << 6 | (text[i] & 0x3F);
  }
  static constexpr int32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  bool surrogate = codePoint >= 0xD800 && codePoint <= 0xDFFF;
  if (codePoint < smallest[length] || codePoint > 0x10FFFF || surrogate)
    return -1;
  text.remove_prefix(length);
  return codePoint;
}

void appendCodePoint(std::string &text, int32_t codePoint) {
  if (codePoint < 0x80) {
    text += char(codePoint);
    return;
  }
  int length = codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
  text += char((0xF00 >> length) | codePoint >> (6 * (length - 1)));
  for (int i = length - 2; i >= 0; --i)
    text += char(0x80 | ((codePoint >> (6 * i)) & 0x3F));
}

size_t unfinishedBytes(std::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    char byte = text[text.size() - back];
    if (!isContinuation(byte))
      return sequenceLength(uint8_t(byte)) > back ? back : 0;
  }
  return 0;
}

} // namespace ingot
