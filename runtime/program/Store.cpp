#include "runtime/program/Store.h"
#include "runtime/program/PackedTensor.h"
#include "runtime/support/Align.h"

namespace ingot {
namespace {

constexpr int64_t alignment = 64;

template <typename... Args>
tl::unexpected<Error> bad(fmt::format_string<Args...> format, Args &&...args) {
  return failure(Error::Code::BadInput, "", "the program does not fit the store: {}",
                 fmt::format(format, std::forward<Args>(args)...));
}

} // namespace

Result<std::optional<uint8_t *>> Store::findGroup(const PersistentGroup &group) const {
  std::optional<size_t> block;
  int64_t start = 0; // of the group in the block
  const Port *first = group.tensors.front(), *unknown = nullptr, *known = nullptr;
  for (const Port *port : group.tensors) {
    auto found = entries.find(port->name);
    if (found == entries.end()) {
      unknown = port;
      continue;
    }
    const Entry &entry = found->second;
    known = port;
    if (entry.type != port->type || entry.shape != port->shape)
      return bad("it has '{}' as {} {}, the store as {} {}", port->name, toString(port->shape),
                 name(port->type), toString(entry.shape), name(entry.type));
    if (entry.layout != port->layout)
      return bad("it reads '{}' as {}, and the store holds it as {}", port->name,
                 toString(port->layout), toString(entry.layout));
    const int64_t here = entry.offset - (port->offset - group.first);
    if (block && (*block != entry.block || start != here))
      return bad("it wants '{}' and '{}' side by side, as one bucket, and the store has them "
                 "elsewhere",
                 first->name, port->name);
    block = entry.block;
    start = here;
  }
  if (!known)
    return std::nullopt;
  if (unknown)
    return bad("it wants '{}' beside '{}', where the store has no room", unknown->name,
               known->name);
  const int64_t bytes = group.end - group.first;
  if (start < 0 || start > blocks[*block].bytes - bytes)
    return bad("it reaches over more around '{}' than the store has there", known->name);
  return blocks[*block].start + start;
}

Result<std::vector<uint8_t *>> Store::admit(std::span<const PersistentGroup> groups) {
  std::unique_lock guard(tables);
  std::vector<uint8_t *> places;
  int64_t bytes = 0;
  for (const PersistentGroup &group : groups) {
    uint8_t *place = nullptr;
    if (!group.tensors.empty()) {
      INGOT_ASSIGN(std::optional<uint8_t *> known, findGroup(group));
      if (known)
        place = *known;
      else
        bytes += alignedTo(alignment, group.end - group.first);
    }
    places.push_back(place);
  }
  if (bytes == 0)
    return places;
  INGOT_ASSIGN(uint8_t *next, memory->allocate(bytes));
  allocated += bytes;
  for (size_t index = 0; index < groups.size(); ++index) {
    const PersistentGroup &group = groups[index];
    if (places[index] || group.tensors.empty())
      continue;
    places[index] = next;
    for (const Port *port : group.tensors) {
      entries[port->name] = {port->type, port->shape, port->layout, blocks.size(),
                             port->offset - group.first};
      derived += port->role == Role::Derived;
    }
    blocks.push_back({next, group.end - group.first});
    next += alignedTo(alignment, group.end - group.first);
  }
  guard.unlock();
  std::unique_lock run(runs);
  stale = true; // nobody has computed what is new and derived
  return places;
}

size_t Store::memoryBytes(const Entry &entry) {
  return size_t(entry.layout.elements(elementCount(entry.shape))) * byteSize(entry.type);
}

int64_t Store::derivedTensors() const {
  std::lock_guard guard(tables);
  return derived;
}

int64_t Store::bytes() const {
  std::lock_guard guard(tables);
  return allocated;
}

Status Store::checkDevice(std::string_view device) const {
  if (memory->device() == device)
    return {};
  return failure(Error::Code::Usage, "", "the store lies in the memory of {}, not of {}",
                 memory->device(), device);
}

std::vector<std::string> Store::names() const {
  std::lock_guard guard(tables);
  std::vector<std::string> list;
  for (const auto &[tensor, entry] : entries)
    list.push_back(tensor);
  return list;
}

Result<const Store::Entry *> Store::find(const std::string &tensor) const {
  auto found = entries.find(tensor);
  if (found == entries.end())
    return failure(Error::Code::Usage, tensor, "the store has no parameter or state of this name");
  return &found->second;
}

// Nobody holds `tables` while he waits for runs, since they may wait for a program that is being
// admitted. Entries and blocks stay where they are.

Result<Tensor> Store::read(const std::string &tensor) const {
  std::unique_lock guard(tables);
  INGOT_ASSIGN(const Entry *entry, find(tensor));
  const uint8_t *place = blocks[entry->block].start + entry->offset;
  guard.unlock();
  Tensor value(entry->type, entry->shape);
  const size_t bytes = memoryBytes(*entry);
  std::shared_lock run(runs);
  if (entry->layout.isPlain()) {
    INGOT_TRY(memory->copyOut(value.data(), place, bytes));
    return value;
  }
  std::vector<uint8_t> packed(bytes);
  INGOT_TRY(memory->copyOut(packed.data(), place, bytes));
  copyFromLayout(entry->layout, packed.data(), value);
  return value;
}

Status Store::write(const std::string &tensor, const Tensor &value) {
  std::unique_lock guard(tables);
  INGOT_ASSIGN(const Entry *entry, find(tensor));
  uint8_t *place = blocks[entry->block].start + entry->offset;
  guard.unlock();
  if (entry->type != value.type() || entry->shape != value.shape())
    return failure(Error::Code::BadInput, tensor, "takes {} {}, not {} {}", toString(entry->shape),
                   name(entry->type), toString(value.shape()), name(value.type()));
  const size_t bytes = memoryBytes(*entry);
  std::vector<uint8_t> packed;
  if (!entry->layout.isPlain()) {
    packed.resize(bytes);
    copyToLayout(entry->layout, value, packed.data());
  }
  std::unique_lock run(runs);
  stale = true;
  return memory->copyIn(place, packed.empty() ? value.data() : packed.data(), bytes);
}

} // namespace ingot
