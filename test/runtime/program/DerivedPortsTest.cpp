/// When what derives from parameters must be computed.
#include "runtime/program/DerivedPorts.h"
#include "test/runtime/HostMemory.h"
#include <gtest/gtest.h>

namespace ingot {
namespace {

struct DerivedPorts : testing::Test {
  DerivedPorts() { admit("p"); }

  /// Another tensor that derives from parameters.
  void admit(std::string name) {
    const Port port{.name = std::move(name), .role = Role::Derived};
    const PersistentGroup group{.first = 0, .end = 4, .tensors = {&port}, .constants = {}};
    EXPECT_TRUE(store.admit(std::vector{group}));
  }
  Function function(std::string name, Role role) const {
    return {.name = std::move(name),
            .ports = {{.name = "p", .role = role}},
            .steps = {},
            .buffers = {},
            .arenaBytes = 0};
  }
  bool derivesFor(const Function &function, bool writes) {
    bool derived = false;
    EXPECT_TRUE(
        StoreHold(store, function, {writes, derivedPorts(function)}).derive([&]() -> Status {
          derived = true;
          return {};
        }));
    return derived;
  }

  Store store{std::make_unique<HostMemory>()};
  const Function init = function("init", Role::Parameter), step = function("step", Role::Derived),
                 evaluate = function("evaluate", Role::Derived),
                 derive = function(std::string(deriveFunction), Role::Derived),
                 forward = function("forward", Role::Parameter);
};

TEST_F(DerivedPorts, areComputedAfterParametersWereWritten) {
  EXPECT_FALSE(derivesFor(init, true));
  EXPECT_TRUE(derivesFor(evaluate, false));
  EXPECT_FALSE(derivesFor(evaluate, false)) << "nothing was written since";
  EXPECT_FALSE(derivesFor(step, true));
  EXPECT_FALSE(derivesFor(evaluate, false)) << "a step keeps what it writes in agreement";
  EXPECT_FALSE(derivesFor(forward, false));
  EXPECT_FALSE(derivesFor(step, true)) << "who only reads changes nothing";
  EXPECT_FALSE(derivesFor(init, true));
  EXPECT_TRUE(derivesFor(step, true));
}

TEST_F(DerivedPorts, areNotComputedTwice) {
  EXPECT_FALSE(derivesFor(derive, true));
  EXPECT_FALSE(derivesFor(step, true));
}

TEST_F(DerivedPorts, areStaleWhereDeriveFailed) {
  auto fail = []() -> Status { return failure(Error::Code::Io, "p", "there is no room"); };
  EXPECT_FALSE(StoreHold(store, evaluate, {false, derivedPorts(evaluate)}).derive(fail));
  EXPECT_TRUE(derivesFor(evaluate, false));
}

/// What one program derives says nothing of another's.
TEST_F(DerivedPorts, ofAnotherProgramAreNotInAgreement) {
  EXPECT_TRUE(derivesFor(evaluate, false));
  admit("q");
  EXPECT_TRUE(derivesFor(step, true));
  EXPECT_TRUE(derivesFor(evaluate, false)) << "nobody has computed q";
}

} // namespace
} // namespace ingot
