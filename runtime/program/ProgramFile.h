/// The frame of `.ingot` files, shared by their writer and reader. All numbers are little-endian.
#pragma once
#include "runtime/program/Program.h"
#include <bit>

// clang-format off
//   bytes 0 … 63   prologue: magic, format version, bytes of the header, bytes of the file,
//                  checksum (XXH3) of the whole file with zeros in its own place; the rest is zero
//   then           header: JSON {"programs": […], "blobs": […]}, the tables of the programs and
//                  the sizes of the blobs
//   then           blobs, each at a multiple of 64: code and constants, equal ones once
// clang-format on

namespace ingot {

static_assert(std::endian::native == std::endian::little, "files are read as they lie in memory");

using Bytes = std::span<const uint8_t>;

constexpr size_t fileAlignment = 64;

struct Prologue {
  char magic[8] = {'\x89', 'I', 'n', 'g', 'o', 't', '\r', '\n'};
  uint64_t version = 6;
  uint64_t headerBytes = 0;
  uint64_t fileBytes = 0;
  uint64_t checksum = 0;
  uint64_t reserved[3] = {};
};
static_assert(sizeof(Prologue) == fileAlignment);

constexpr size_t aligned(size_t bytes) {
  return (bytes + fileAlignment - 1) / fileAlignment * fileAlignment;
}

/// The checksum of a file with this prologue; `parts` follow it, each padded to a multiple of 64.
uint64_t checksumOf(Prologue prologue, const std::vector<Bytes> &parts);

} // namespace ingot
