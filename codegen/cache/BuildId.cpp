#include "codegen/cache/BuildId.h"
#include "codegen/cache/GeneratorId.h"
#include <cstring>
#include <fmt/format.h>
#include <link.h>

namespace ingot {
namespace {

struct Search {
  uintptr_t address; ///< of a function of the compiler
  std::string id;
};

/// Appends the NT_GNU_BUILD_ID note of `info` if it is the object that holds the address.
int visit(dl_phdr_info *info, size_t, void *data) {
  auto &search = *static_cast<Search *>(data);
  bool holds = false;
  for (int index = 0; index < info->dlpi_phnum; ++index) {
    const ElfW(Phdr) &header = info->dlpi_phdr[index];
    uintptr_t start = info->dlpi_addr + header.p_vaddr;
    holds |= header.p_type == PT_LOAD && search.address - start < header.p_memsz;
  }
  if (!holds)
    return 0;
  for (int index = 0; index < info->dlpi_phnum; ++index) {
    const ElfW(Phdr) &header = info->dlpi_phdr[index];
    if (header.p_type != PT_NOTE)
      continue;
    auto *note = reinterpret_cast<const char *>(info->dlpi_addr + header.p_vaddr);
    const char *end = note + header.p_memsz;
    while (note + sizeof(ElfW(Nhdr)) <= end) {
      auto *head = reinterpret_cast<const ElfW(Nhdr) *>(note);
      const char *name = note + sizeof *head;
      const char *payload = name + (head->n_namesz + 3) / 4 * 4;
      if (head->n_type == NT_GNU_BUILD_ID && std::memcmp(name, "GNU", 4) == 0)
        for (size_t byte = 0; byte < head->n_descsz; ++byte)
          search.id += fmt::format("{:02x}", static_cast<unsigned char>(payload[byte]));
      note = payload + (head->n_descsz + 3) / 4 * 4;
    }
  }
  return 1;
}

} // namespace

std::string compilerBuildId() {
  static const std::string id = [] {
    Search search{reinterpret_cast<uintptr_t>(&compilerBuildId), {}};
    dl_iterate_phdr(visit, &search);
    return search.id.empty() ? std::string(__DATE__ " " __TIME__) : search.id;
  }();
  return id;
}

std::string codeGeneratorId() { return INGOT_CODE_GENERATOR_ID; }

} // namespace ingot
