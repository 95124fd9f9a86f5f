/// libFuzzer on ONNX files: any bytes end in an error or a model. `fuzz-onnx CORPUS
/// [-max_total_time=SECONDS]`, where CORPUS is a folder of small files to begin with, and
/// new ones that reach other code go there.
#include "frontend/onnx/Import.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  using namespace ingot;
  Result<onnx::OnnxFile> file =
      onnx::OnnxFile::parse(std::string(reinterpret_cast<const char *>(data), size), "fuzz.onnx");
  if (file)
    (void)onnx::importModel(*file);
  return 0;
}
