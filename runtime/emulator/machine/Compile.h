/// Compiling one kernel: the functions that it reaches, its shared memory and parameters.
#pragma once
#include "runtime/emulator/machine/Decoder.h"

namespace ingot::emulator {

/// Where the registers, constants and special registers of a function lie in its frames.
struct FrameLayout {
  std::vector<Slot> registers;                        ///< of the function's registers
  std::map<std::pair<uint64_t, int>, Slot> constants; ///< by bits and width
  std::map<std::pair<int, int>, Slot> specials;       ///< by row and width
  std::vector<std::pair<Slot, std::pair<uint64_t, int>>> fills;
  uint32_t bytes = 0;

  /// A place for one register of a warp: all lanes side by side, or one mask if it has one bit.
  Slot allocate(int bits);

private:
  uint32_t predicates = 0; ///< the next mask's place; a multiple of the alignment: there is none
};

class KernelCompiler {
public:
  KernelCompiler(const ModuleImage &image, const ptx::Function &source)
      : image(image), source(source) {}
  Result<std::unique_ptr<CompiledKernel>> run();

  // For the decoder.
  const ModuleImage &image;
  const ptx::Function &source;
  std::unique_ptr<CompiledKernel> kernel;
  FrameLayout layout; ///< of the function that is being decoded

  /// The function's code, which is decoded later if it has not been yet; null if it has no body.
  CompiledFunction *reach(const ptx::Function &function);
  /// Index in `CompiledKernel::shared`.
  int sharedVariable(const ptx::Variable &variable);

private:
  Status decode(CompiledFunction &function);
  Status decode(CompiledFunction &function, const ptx::Instruction &source, Instruction &result,
                Detail &detail, std::vector<Slot> &slots);
  void layOutParameters();
  void layOutShared();
  tl::unexpected<Error> error(int line, std::string_view text, std::string_view message) const;

  std::map<const ptx::Function *, CompiledFunction *> known;
  std::vector<CompiledFunction *> pending;
};

} // namespace ingot::emulator
