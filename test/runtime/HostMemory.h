/// Memory for stores in tests.
#pragma once
#include "runtime/program/Store.h"
#include <cstring>
#include <memory>
#include <vector>

namespace ingot {

/// A store's memory on the host.
class HostMemory final : public StoreMemory {
public:
  std::string_view device() const override { return "test"; }
  Result<uint8_t *> allocate(int64_t bytes) override {
    blocks.push_back(std::make_unique<std::vector<uint64_t>>(size_t(bytes + 128) / 8));
    auto address = reinterpret_cast<uintptr_t>(blocks.back()->data());
    return reinterpret_cast<uint8_t *>((address + 63) / 64 * 64);
  }
  Status copyIn(uint8_t *to, const void *from, size_t bytes) override {
    std::memcpy(to, from, bytes);
    return {};
  }
  Status copyOut(void *to, const uint8_t *from, size_t bytes) override {
    std::memcpy(to, from, bytes);
    return {};
  }

private:
  std::vector<std::unique_ptr<std::vector<uint64_t>>> blocks;
};

} // namespace ingot
