/// UTF-8 as far as tokenizers need it.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace ingot {

/// Reads the code point at the front of `text` and removes it; -1 where the bytes are not UTF-8
/// (overlong forms, surrogates and values above U+10FFFF included), leaving `text` alone.
int32_t takeCodePoint(std::string_view &text);

/// Appends a code point as UTF-8.
void appendCodePoint(std::string &text, int32_t codePoint);

/// Bytes at the end of `text` that begin a code point without finishing it: 0 … 3.
size_t unfinishedBytes(std::string_view text);

} // namespace ingot
