/// When what derives from parameters must be computed.
#include "runtime/program/DerivedPorts.h"
#include <gtest/gtest.h>

namespace ingot {
namespace {

struct DerivedPorts : testing::Test {
  Function function(std::string name, Role role) const {
    return {.name = std::move(name),
            .ports = {{.name = "p", .role = role}},
            .steps = {},
            .buffers = {},
            .arenaBytes = 0};
  }
  bool derivesFor(const Function &function, bool writes) {
    return StoreHold(store, function, {writes, keepsDerived(function)}).mustDerive();
  }

  Store store{nullptr};
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

} // namespace
} // namespace ingot
