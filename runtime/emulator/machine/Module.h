/// A module loaded into device memory: its variables have addresses, its kernels can be launched.
#pragma once
#include "runtime/emulator/machine/Decoder.h"
#include "runtime/emulator/machine/Memory.h"
#include <mutex>

namespace ingot::emulator {

class Module {
public:
  /// Parses the text, gives its .global and .const variables memory and fills them in. `name` is
  /// what errors and findings call the text.
  static Result<std::unique_ptr<Module>> load(std::string text, std::string name,
                                              GlobalMemory &memory);
  /// Frees the variables' memory.
  ~Module();
  Module(const Module &) = delete;

  /// Decodes the kernel when it is asked for the first time. Errors name kernel, line and text.
  Result<const CompiledKernel *> kernel(std::string_view name);
  /// Address and bytes of a module variable.
  struct Global {
    uint64_t address = 0, bytes = 0;
  };
  Result<Global> global(std::string_view name) const;
  std::vector<std::string> kernels() const;
  const ptx::Module &text() const { return module; }

private:
  Module(ptx::Module module, GlobalMemory &memory) : module(std::move(module)), memory(memory) {}
  Status place();
  Status fill(const ptx::Variable &variable, const ptx::Function *function);

  ptx::Module module;
  GlobalMemory &memory;
  ModuleImage image;
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<CompiledKernel>, std::less<>> compiled;
};

} // namespace ingot::emulator
