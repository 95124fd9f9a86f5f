#include "runtime/data/Files.h"
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

namespace ingot {

namespace {

struct CloseFile {
  void operator()(FILE *file) const { std::fclose(file); }
};
using File = std::unique_ptr<FILE, CloseFile>;

tl::unexpected<Error> systemFailure(const std::string &path, std::string_view what) {
  return failure(Error::Code::Io, path, "cannot {}: {}", what, std::strerror(errno));
}

Result<std::string> readAll(FILE *file, const std::string &path) {
  std::string bytes;
  struct stat info{};
  if (fstat(fileno(file), &info) == 0 && S_ISDIR(info.st_mode))
    return failure(Error::Code::Io, path, "cannot read: it is a directory");
  if (info.st_size > 0)
    bytes.reserve(size_t(info.st_size));
  char buffer[1 << 16];
  while (size_t count = std::fread(buffer, 1, sizeof buffer, file))
    bytes.append(buffer, count);
  if (std::ferror(file))
    return systemFailure(path, "read");
  return bytes;
}

struct Inflater {
  z_stream stream{};
  bool ready = inflateInit2(&stream, 15 + 16) == Z_OK;
  ~Inflater() {
    if (ready)
      inflateEnd(&stream);
  }
};

Result<std::string> gunzip(std::string_view packed, const std::string &path) {
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

Result<std::string> readFile(const std::string &path) {
  File opened;
  if (path != "-") {
    opened.reset(std::fopen(path.c_str(), "rb"));
    if (!opened)
      return systemFailure(path, "read");
  }
  INGOT_ASSIGN(std::string bytes, readAll(opened ? opened.get() : stdin, path));
  if (bytes.starts_with("\x1f\x8b"))
    return gunzip(bytes, path);
  return bytes;
}

Status writeFile(const std::string &path, std::string_view bytes) {
  if (path == "-") {
    if (std::fwrite(bytes.data(), 1, bytes.size(), stdout) != bytes.size() || std::fflush(stdout))
      return systemFailure(path, "write");
    return {};
  }
  std::string temporary = fmt::format("{}.{}.tmp", path, getpid());
  File file(std::fopen(temporary.c_str(), "wb"));
  if (!file)
    return systemFailure(path, "write");
  bool written = std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size() &&
                 std::fflush(file.get()) == 0 && fsync(fileno(file.get())) == 0;
  if (!written || std::rename(temporary.c_str(), path.c_str()) != 0) {
    auto error = systemFailure(path, "write");
    unlink(temporary.c_str());
    return error;
  }
  return {};
}

} // namespace ingot
