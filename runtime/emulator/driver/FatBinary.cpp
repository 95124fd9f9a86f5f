#include "runtime/emulator/driver/FatBinary.h"
#include <algorithm>
#include <cstring>
#include <dlfcn.h>

namespace ingot::emulator {
namespace {

constexpr uint32_t wrapperMagic = 0x466243b1, containerMagic = 0xba55ed50;

/// What __cudaRegisterFatBinary is given.
struct Wrapper {
  uint32_t magic, version;
  const void *container;
  const void *unused;
};
struct ContainerHeader {
  uint32_t magic;
  uint16_t version, headerBytes;
  uint64_t bytes; ///< of the images that follow
};
struct ImageHeader {
  uint16_t kind, version;
  uint32_t headerBytes;
  uint64_t paddedBytes;
  uint32_t compressedBytes, optionsOffset;
  uint16_t minor, major;
  uint32_t architecture, nameOffset, nameBytes;
  uint64_t flags, reserved, uncompressedBytes;
};
static_assert(sizeof(ImageHeader) == 64);

constexpr uint16_t ptxKind = 1;
constexpr uint64_t lz4Flag = 0x2000, zstdFlag = 0x8000;

uint32_t magicOf(const void *bytes) {
  uint32_t magic = 0;
  std::memcpy(&magic, bytes, sizeof magic);
  return magic;
}

/// By the library that nearly every system has; it is needed here alone, so it is opened here.
Result<std::string> decompressZstd(std::string_view frame, uint64_t bytes) {
  using Decompress = size_t (*)(void *, size_t, const void *, size_t);
  static const auto decompress = [] {
    void *library = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
    return library ? reinterpret_cast<Decompress>(dlsym(library, "ZSTD_decompress")) : nullptr;
  }();
  if (!decompress)
    return failure(Error::Code::Unsupported, "fat binary",
                   "its PTX is compressed with zstd and libzstd.so.1 was not found; install it, or "
                   "compile with nvcc --compress-mode=none");
  std::string text(bytes, '\0');
  if (decompress(text.data(), text.size(), frame.data(), frame.size()) != bytes)
    return failure(Error::Code::BadInput, "fat binary", "its zstd frame is damaged");
  return text;
}

Result<std::string> textOf(const FatBinary::Image &image) {
  std::string text(image.payload);
  if (image.textBytes && image.flags & lz4Flag) {
    INGOT_ASSIGN(text, decompressLz4(image.payload, image.textBytes));
  } else if (image.textBytes && image.flags & zstdFlag) {
    INGOT_ASSIGN(text, decompressZstd(image.payload, image.textBytes));
  } else if (image.textBytes) {
    return failure(Error::Code::Unsupported, "fat binary",
                   "the compression of its PTX is not known here (flags {:#x}); compile with nvcc "
                   "--compress-mode=none",
                   image.flags);
  }
  return text.substr(0, text.find('\0'));
}

} // namespace

Result<std::string> decompressLz4(std::string_view block, uint64_t bytes) {
  const auto damaged = [] {
    return failure(Error::Code::BadInput, "fat binary", "its LZ4 block is damaged");
  };
  std::string text;
  text.reserve(bytes);
  size_t at = 0;
  // 15 in the token: more bytes follow, the last of which is not 255.
  const auto lengthOf = [&](size_t nibble) {
    size_t length = nibble;
    for (uint8_t more = 255; nibble == 15 && more == 255 && at < block.size(); ++at)
      length += more = uint8_t(block[at]);
    return length;
  };
  while (at < block.size()) {
    const uint8_t token = uint8_t(block[at++]);
    const size_t literals = lengthOf(token >> 4);
    if (literals > block.size() - at || literals > bytes - text.size())
      return damaged();
    text.append(block.substr(at, literals));
    at += literals;
    if (at == block.size()) // the last sequence has literals alone
      break;
    if (block.size() - at < 2)
      return damaged();
    const size_t distance = uint8_t(block[at]) | size_t(uint8_t(block[at + 1])) << 8;
    at += 2;
    const size_t match = lengthOf(token & 15) + 4;
    if (!distance || distance > text.size() || match > bytes - text.size())
      return damaged();
    for (size_t i = 0; i < match; ++i) // may overlap itself
      text.push_back(text[text.size() - distance]);
  }
  if (text.size() != bytes)
    return damaged();
  return text;
}

bool FatBinary::isFatBinary(const void *bytes) {
  const uint32_t magic = magicOf(bytes);
  return magic == wrapperMagic || magic == containerMagic;
}

Result<FatBinary> FatBinary::read(const void *bytes) {
  FatBinary result;
  if (magicOf(bytes) == wrapperMagic) {
    // The second version has a list of what nvcc -rdc=true leaves to be linked.
    result.relocatable = static_cast<const Wrapper *>(bytes)->version == 2;
    bytes = static_cast<const Wrapper *>(bytes)->container;
  }
  if (!bytes || magicOf(bytes) != containerMagic)
    return failure(Error::Code::BadInput, "fat binary", "it does not begin like one");
  ContainerHeader container;
  std::memcpy(&container, bytes, sizeof container);
  std::string_view rest(static_cast<const char *>(bytes) + container.headerBytes, container.bytes);
  while (!rest.empty()) {
    ImageHeader header;
    if (rest.size() < sizeof header)
      return failure(Error::Code::BadInput, "fat binary", "an image ends before its header does");
    std::memcpy(&header, rest.data(), sizeof header);
    if (header.headerBytes < sizeof header || header.headerBytes > rest.size() ||
        header.paddedBytes > rest.size() - header.headerBytes ||
        header.compressedBytes > header.paddedBytes)
      return failure(Error::Code::BadInput, "fat binary", "an image reaches beyond its end");
    Image image;
    image.isPtx = header.kind == ptxKind;
    image.architecture = int(header.architecture);
    image.flags = header.flags;
    if (header.nameOffset && header.nameOffset <= header.headerBytes &&
        header.nameBytes <= header.headerBytes - header.nameOffset)
      image.name = rest.substr(header.nameOffset, header.nameBytes);
    image.name.resize(std::min(image.name.find('\0'), image.name.size()));
    const bool compressed = header.compressedBytes != 0;
    image.payload =
        rest.substr(header.headerBytes, compressed ? header.compressedBytes : header.paddedBytes);
    image.textBytes = compressed ? header.uncompressedBytes : 0;
    result.all.push_back(std::move(image));
    rest.remove_prefix(header.headerBytes + header.paddedBytes);
  }
  return result;
}

std::string FatBinary::name() const {
  for (const Image &image : all)
    if (!image.name.empty())
      return image.name;
  return {};
}

int FatBinary::newestPtx(int capability) const {
  int newest = 0;
  for (const Image &image : all)
    if (image.isPtx && (!capability || image.architecture <= capability))
      newest = std::max(newest, image.architecture);
  return newest;
}

Result<std::string> FatBinary::ptx(int capability) const {
  const int newest = newestPtx(capability);
  for (const Image &image : all)
    if (image.isPtx && newest && image.architecture == newest)
      return textOf(image);
  if (relocatable && all.empty())
    return failure(Error::Code::Unsupported, "fat binary",
                   "its device code is relocatable and PTX is not linked here; compile without "
                   "nvcc -rdc=true, -dc");
  std::string held;
  for (const Image &image : all)
    held += fmt::format("{}{} for sm_{}", held.empty() ? "" : ", ",
                        image.isPtx ? "PTX" : "machine code", image.architecture);
  const int wanted = capability ? capability : 80;
  return failure(Error::Code::BadInput, name().empty() ? "fat binary" : name(),
                 "holds no PTX for sm_{} ({}); compile with nvcc -gencode "
                 "arch=compute_{},code=compute_{}",
                 wanted, held.empty() ? "it is empty" : held, wanted, wanted);
}

} // namespace ingot::emulator
