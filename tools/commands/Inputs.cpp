#include "tools/commands/Inputs.h"
#include "frontend/api/SavedModel.h"
#include "runtime/data/Files.h"
#include "runtime/support/File.h"
#include "runtime/support/Print.h"
#include "runtime/training/Shards.h"
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace ingot {
namespace {

namespace fs = std::filesystem;

/// Standard input can be read only once.
const Result<std::string> &standardInput() {
  static const Result<std::string> bytes = readInput("-");
  return bytes;
}

std::string firstBytes(const std::string &path) {
  if (path == "-")
    return standardInput() ? standardInput()->substr(0, 16) : "";
  char bytes[16];
  std::ifstream file(path, std::ios::binary);
  file.read(bytes, sizeof bytes);
  return {bytes, size_t(file.gcount())};
}

std::string_view describe(InputKind kind) {
  switch (kind) {
  case InputKind::Program:
    return "a compiled program, which run, bench and inspect take";
  case InputKind::Checkpoint:
    return "a checkpoint, which train, eval, generate, run, convert and inspect take";
  case InputKind::Onnx:
    return "an ONNX model, which run, train, eval, compile, check and inspect take";
  case InputKind::Model:
    break;
  }
  return "neither";
}

std::string placeOf(const std::string &path) { return path == "-" ? "<stdin>" : path; }

/// A file that is deleted when it is no longer needed.
class TemporaryFile {
public:
  static Result<TemporaryFile> create() {
    std::error_code error;
    fs::path folder = fs::temp_directory_path(error);
    TemporaryFile file;
    file.path = (error ? fs::path("/tmp") : folder) / "ingot-XXXXXX";
    const int descriptor = mkstemp(file.path.data());
    if (descriptor < 0)
      return systemFailure(errno, file.path, "create a temporary file");
    ::close(descriptor);
    return file;
  }
  TemporaryFile(TemporaryFile &&other) : path(std::exchange(other.path, "")) {}
  ~TemporaryFile() {
    if (!path.empty())
      ::unlink(path.c_str());
  }
  std::string path;

private:
  TemporaryFile() = default;
};

} // namespace

InputKind kindOfInput(const std::string &path) {
  std::error_code ignored;
  if (path != "-" && fs::is_directory(path, ignored))
    return InputKind::Checkpoint;
  if (isShardIndex(path))
    return InputKind::Checkpoint;
  const std::string bytes = firstBytes(path);
  if (bytes.starts_with("\x89Ingot\r\n"))
    return InputKind::Program;
  // Safetensors: the header's length in 8 bytes, then the header.
  if (bytes.size() > 8 && bytes[8] == '{' && bytes[7] == 0)
    return InputKind::Checkpoint;
  return path != "-" && onnx::isOnnx(path) ? InputKind::Onnx : InputKind::Model;
}

Result<Model> openModel(const std::string &path) {
  if (InputKind kind = kindOfInput(path); kind != InputKind::Model && kind != InputKind::Onnx)
    return failure(Error::Code::BadInput, placeOf(path), "is not a model but {}", describe(kind));
  if (path != "-")
    return Model::load(path);
  INGOT_TRY(standardInput());
  return Model::parse(*standardInput(), placeOf(path));
}

Result<Program> openProgram(const std::string &path) {
  if (InputKind kind = kindOfInput(path); kind == InputKind::Checkpoint || kind == InputKind::Onnx)
    return failure(Error::Code::BadInput, placeOf(path), "is not a compiled program but {}",
                   describe(kind));
  if (path != "-")
    return Program::load(path);
  INGOT_TRY(standardInput());
  INGOT_ASSIGN(TemporaryFile file, TemporaryFile::create());
  INGOT_TRY(writeFile(file.path, *standardInput()));
  return Program::load(file.path).map_error([&](Error error) {
    error.place = placeOf(path);
    return error;
  });
}

Result<Checkpoint> openCheckpoint(const std::string &path) {
  if (InputKind kind = kindOfInput(path); kind == InputKind::Program || kind == InputKind::Onnx)
    return failure(Error::Code::BadInput, path, "is not a checkpoint but {}", describe(kind));
  if (path.ends_with(".mlir"))
    return failure(Error::Code::BadInput, path,
                   "is not a checkpoint but a model, which train, compile and run take");
  std::vector<std::string> notes;
  INGOT_ASSIGN(Checkpoint checkpoint, readCheckpoint(path, &notes));
  for (const std::string &note : notes)
    print(stderr, "note: {}\n", note);
  return checkpoint;
}

Status writeProgram(const Program &program, const std::string &path) {
  if (path != "-")
    return program.save(path);
  if (::isatty(STDOUT_FILENO))
    return failure(Error::Code::Usage, "--output",
                   "a program is binary: redirect standard output to a file or a pipe");
  INGOT_ASSIGN(TemporaryFile file, TemporaryFile::create());
  INGOT_TRY(program.save(file.path));
  INGOT_ASSIGN(std::string bytes, readFile(file.path));
  return writeOutput("-", bytes);
}

} // namespace ingot
