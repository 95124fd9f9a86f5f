#include "codegen/cpu/Image.h"
#include "llvm/Object/ELFObjectFile.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"
#include <map>

using llvm::object::ELF64LEObjectFile;

namespace ingot {
namespace {

template <typename... Args>
tl::unexpected<Error> badObject(const std::string &symbol, fmt::format_string<Args...> format,
                                Args &&...args) {
  return failure(Error::Code::Internal, symbol, format, std::forward<Args>(args)...);
}

/// Code and constants. Unwind tables are left out: nothing unwinds through a kernel.
bool isLoaded(const llvm::object::ELFSectionRef &section, llvm::StringRef name) {
  return (section.getFlags() & llvm::ELF::SHF_ALLOC) &&
         section.getType() == llvm::ELF::SHT_PROGBITS && !name.starts_with(".eh_frame");
}

} // namespace

Result<std::vector<int64_t>> ImageBuilder::add(std::span<const uint8_t> object,
                                               const std::vector<std::string> &symbols) {
  const std::string &symbol = symbols.front();
  llvm::MemoryBufferRef buffer(
      llvm::StringRef(reinterpret_cast<const char *>(object.data()), object.size()), symbol);
  auto parsed = ELF64LEObjectFile::create(buffer);
  if (!parsed)
    return badObject(symbol, "cannot read the object: {}", llvm::toString(parsed.takeError()));
  const ELF64LEObjectFile &elf = *parsed;

  std::map<uint64_t, int64_t> place; // section index → offset in the image
  for (const llvm::object::ELFSectionRef section : elf.sections()) {
    llvm::StringRef name = llvm::cantFail(section.getName());
    if (!isLoaded(section, name))
      continue;
    if ((section.getFlags() & llvm::ELF::SHF_WRITE) && section.getSize() > 0)
      return badObject(symbol, "has writable data in {}", name.str());
    llvm::StringRef contents = llvm::cantFail(section.getContents());
    image.resize(llvm::alignTo(image.size(), section.getAlignment()));
    place[section.getIndex()] = image.size();
    image.insert(image.end(), contents.bytes_begin(), contents.bytes_end());
  }

  auto offsetOf = [&](const llvm::object::SymbolRef &target) -> Result<int64_t> {
    auto section = llvm::cantFail(target.getSection());
    auto found = section == elf.section_end() ? place.end() : place.find(section->getIndex());
    if (found == place.end())
      return badObject(symbol, "needs the external symbol '{}'",
                       llvm::cantFail(target.getName()).str());
    return found->second + int64_t(llvm::cantFail(target.getValue()));
  };

  for (const llvm::object::ELFSectionRef relocations : elf.sections()) {
    auto relocated = llvm::cantFail(relocations.getRelocatedSection());
    auto base = relocated == elf.section_end() ? place.end() : place.find(relocated->getIndex());
    if (base == place.end())
      continue;
    for (const llvm::object::ELFRelocationRef relocation : relocations.relocations()) {
      INGOT_ASSIGN(int64_t target, offsetOf(*relocation.getSymbol()));
      int64_t at = base->second + int64_t(relocation.getOffset());
      int64_t value = target + llvm::cantFail(relocation.getAddend()) - at;
      switch (relocation.getType()) {
      case llvm::ELF::R_X86_64_PC32:
      case llvm::ELF::R_X86_64_PLT32:
        llvm::support::endian::write32le(&image[at], static_cast<uint32_t>(value));
        break;
      case llvm::ELF::R_X86_64_PC64:
        llvm::support::endian::write64le(&image[at], static_cast<uint64_t>(value));
        break;
      default: {
        llvm::SmallString<32> type;
        relocation.getTypeName(type);
        return badObject(symbol, "is not position-independent: relocation {}", type.str().str());
      }
      }
    }
  }

  std::vector<int64_t> offsets;
  for (const std::string &wanted : symbols) {
    auto found = llvm::find_if(elf.symbols(), [&](const llvm::object::SymbolRef &candidate) {
      return llvm::cantFail(candidate.getName()) == wanted;
    });
    if (found == elf.symbols().end())
      return badObject(wanted, "is not defined by its object");
    INGOT_ASSIGN(int64_t offset, offsetOf(*found));
    offsets.push_back(offset);
  }
  return offsets;
}

} // namespace ingot
