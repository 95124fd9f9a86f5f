#include "runtime/data/Files.h"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <unistd.h>
#include <zlib.h>

namespace ingot {

namespace {

struct Inflater {
  z_stream stream{};
  bool ready = inflateInit2(&stream, 15 + 16) == Z_OK;
  ~Inflater() {
    if (ready)
      inflateEnd(&stream);
  }
};

Result<std::string> gunzip(std::string_view packed, const std::string &path, size_t limit) {
  Inflater inflater;
  if (!inflater.ready)
    return failure(Error::Code::Io, path, "zlib cannot start");
  z_stream &stream = inflater.stream;
  std::string bytes;
  char buffer[1 << 16];
  size_t fed = 0;
  while (true) {
    if (stream.avail_in == 0) {
      stream.next_in = reinterpret_cast<Bytef *>(const_cast<char *>(packed.data() + fed));
      stream.avail_in = uInt(std::min<size_t>(packed.size() - fed, 1 << 30));
      fed += stream.avail_in;
    }
    stream.next_out = reinterpret_cast<Bytef *>(buffer);
    stream.avail_out = sizeof buffer;
    int status = inflate(&stream, Z_NO_FLUSH);
    bytes.append(buffer, sizeof buffer - stream.avail_out);
    if (bytes.size() > limit)
      return tooLarge(path, limit);
    size_t consumed = fed - stream.avail_in;
    if (status == Z_STREAM_END) {
      if (consumed == packed.size())
        return bytes;
      inflateReset(&stream); // another member follows
    } else if (status == Z_BUF_ERROR) {
      return failure(Error::Code::BadInput, path, "the gzip data is cut off after {} bytes",
                     consumed);
    } else if (status != Z_OK) {
      return failure(Error::Code::BadInput, path, "the gzip data is damaged near byte {} ({})",
                     consumed, stream.msg ? stream.msg : "zlib gives no reason");
    }
  }
}

} // namespace

Result<std::string> readInput(const std::string &path, size_t limit) {
  INGOT_ASSIGN(std::string bytes,
               path == "-" ? readToEnd(STDIN_FILENO, path, limit) : readFile(path, limit));
  if (bytes.starts_with("\x1f\x8b"))
    return gunzip(bytes, path, limit);
  return bytes;
}

Status writeOutput(const std::string &path, std::string_view bytes) {
  if (path != "-")
    return writeFile(path, bytes);
  if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size() || std::fflush(stdout))
    return systemFailure(errno, path, "write to standard output");
  return {};
}

} // namespace ingot
