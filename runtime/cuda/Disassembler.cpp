#include "runtime/cuda/Disassembler.h"
#include "runtime/cuda/Assembler.h"
#include "runtime/support/File.h"
#include "runtime/support/Process.h"
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <filesystem>

namespace ingot::cuda {
namespace {

Result<std::string> findDisassembler() {
  constexpr const char *name = "nvdisasm";
  if (const char *file = std::getenv("INGOT_NVDISASM")) {
    if (std::filesystem::exists(file))
      return std::string(file);
  } else {
    std::vector<std::string> folders;
    for (const char *variable : {"CUDA_HOME", "CUDA_PATH"})
      if (const char *root = std::getenv(variable))
        folders.push_back(std::string(root) + "/bin");
    if (const Result<const Assembler *> assembler = Assembler::find())
      for (std::filesystem::path root = (*assembler)->folder(); root.has_relative_path();
           root = root.parent_path())
        folders.push_back((root / "bin").string());
    for (const char *root : {"/usr/local/cuda", "/opt/cuda", "/usr/lib/cuda"})
      folders.push_back(std::string(root) + "/bin");
    if (std::string file = findProgram(name, folders); !file.empty())
      return file;
  }
  return failure(Error::Code::Io, "",
                 "nvdisasm of the CUDA toolkit is not there; INGOT_NVDISASM or CUDA_HOME may say "
                 "where it is");
}

/// Kinds by the low bits of an instruction: nine are the operation, three more the operands' form.
void count(uint64_t instruction, InstructionCounts &counts) {
  ++counts.all;
  switch (instruction & 0xfff) {
  case 0x5b4:
    ++counts.utmaldg;
    return;
  case 0x83b:
    ++counts.ldsm;
    return;
  case 0xfae:
    ++counts.ldgsts;
    return;
  case 0x983:
  case 0x387:
    ++counts.local;
    return;
  default:
    break;
  }
  switch (instruction & 0x1ff) {
  case 0x03c:
    ++counts.hmma;
    return;
  case 0x1f0:
    ++counts.hgmma;
    return;
  case 0x023:
    ++counts.ffma;
    return;
  default:
    return;
  }
}

} // namespace

Result<std::string> disassemble(std::span<const uint8_t> cubin) {
  INGOT_ASSIGN(const std::string program, findDisassembler());
  const std::string folder = (std::filesystem::temp_directory_path() / "ingot-XXXXXX").string();
  std::string made = folder;
  if (!mkdtemp(made.data()))
    return failure(Error::Code::Io, folder, "{}", std::strerror(errno));
  const std::string file = made + "/kernels.cubin";
  Result<std::string> text;
  if (Status written = [&]() -> Status {
        INGOT_ASSIGN(AtomicFile whole, AtomicFile::create(file));
        INGOT_TRY(whole.write(cubin.data(), cubin.size()));
        return whole.commit();
      }())
    text = outputOf({program, "--print-code", file});
  else
    text = tl::unexpected(written.error());
  std::error_code ignored;
  std::filesystem::remove_all(made, ignored);
  return text;
}

Result<std::map<std::string, InstructionCounts>> countInstructions(std::span<const uint8_t> cubin) {
  constexpr uint64_t instructionBytes = 16;
  constexpr std::string_view prefix = ".text.";
  auto bad = [] { return failure(Error::Code::BadInput, "", "this is no cubin"); };
  auto read = [&]<typename T>(uint64_t offset, T &value) {
    if (offset > cubin.size() || cubin.size() - offset < sizeof value)
      return false;
    std::memcpy(&value, cubin.data() + offset, sizeof value);
    return true;
  };
  Elf64_Ehdr header;
  if (!read(0, header) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return bad();
  auto section = [&](uint64_t number, Elf64_Shdr &row) {
    return read(header.e_shoff + number * sizeof row, row);
  };
  Elf64_Shdr names;
  if (header.e_shentsize != sizeof names || !section(header.e_shstrndx, names))
    return bad();
  std::map<std::string, InstructionCounts> kernels;
  for (int number = 0; number < header.e_shnum; ++number) {
    Elf64_Shdr row;
    if (!section(number, row))
      return bad();
    std::string name;
    for (char c = 0; read(names.sh_offset + row.sh_name + name.size(), c) && c;)
      name += c;
    if (!name.starts_with(prefix))
      continue;
    InstructionCounts &counts = kernels[name.substr(prefix.size())];
    for (uint64_t at = 0; at < row.sh_size; at += instructionBytes) {
      uint64_t instruction = 0;
      if (!read(row.sh_offset + at, instruction))
        return bad();
      count(instruction, counts);
    }
  }
  return kernels;
}

} // namespace ingot::cuda
