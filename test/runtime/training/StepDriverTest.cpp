#include "runtime/training/StepDriver.h"
#include "test/runtime/FakeSession.h"
#include <cmath>
#include <gtest/gtest.h>

namespace ingot {
namespace {

using test::FakeSession;

/// What one step leaves behind: what the update of a bucket of `a` (20 elements, 12 of padding) and
/// `b` (40) tells of its two rows of 48, and an element of `b` and of its state.
struct Left {
  int32_t places[2];
  float b = 0, velocity = 0;
};

Result<StepDriver::Outcome> outcomeOf(const Left &left) {
  FakeSession session;
  session.define("step",
                 {{"a", Role::Parameter, ElementType::F32, {4, 5}},
                  {"b", Role::Parameter, ElementType::F32, {40}},
                  {"velocity.b", Role::State, ElementType::F32, {40}},
                  {.name = "gradient_beyond.0",
                   .role = Role::Output,
                   .type = ElementType::I32,
                   .shape = {2},
                   .members = {"a", "b"}},
                  {"loss", Role::Output, ElementType::F32, {}},
                  {"learning_rate", Role::Scalar, ElementType::F32, {}},
                  {"step", Role::Scalar, ElementType::I64, {}}},
                 [&](FakeSession &self) {
                   std::copy_n(left.places, 2, self.at("step", "gradient_beyond.0").as<int32_t>());
                   self.at("step", "b").as<float>()[3] = left.b;
                   self.at("step", "velocity.b").as<float>()[3] = left.velocity;
                 });
  StepDriver driver(session, 1);
  for (const int steps : {1, 2}) { // what was found out for the first step serves the second
    INGOT_TRY(driver.enqueue({}, 0.1));
    INGOT_ASSIGN(StepDriver::Outcome outcome, driver.finish());
    if (steps == 2)
      return outcome;
  }
  return {};
}

TEST(StepDriver, namesTheFirstGradientThatIsTooLarge) {
  auto outcome = outcomeOf({{48, 48}});
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_TRUE(outcome->isFinite());

  outcome = outcomeOf({{7, 48}});
  ASSERT_TRUE(outcome && outcome->large);
  EXPECT_FALSE(outcome->isFinite());
  EXPECT_EQ(outcome->large->parameter, "a");
  EXPECT_EQ(outcome->large->position, (Shape{1, 2}));

  outcome = outcomeOf({{45, 48}}); // of the bucket, in which b begins at 32
  ASSERT_TRUE(outcome && outcome->large);
  EXPECT_EQ(outcome->large->parameter, "b");
  EXPECT_EQ(outcome->large->position, Shape{13});
}

// Padding means nothing, but what follows it in the row was not looked at.
TEST(StepDriver, paddingHidesNoNumberThatIsNotFinite) {
  auto outcome = outcomeOf({{24, 48}});
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_TRUE(outcome->isFinite());
  for (const float broken : {NAN, INFINITY}) {
    outcome = outcomeOf({{24, 48}, broken});
    ASSERT_TRUE(outcome && outcome->large);
    EXPECT_FALSE(outcome->isFinite());
    EXPECT_EQ(outcome->large->parameter, "b");
    EXPECT_EQ(outcome->large->position, Shape{3});
  }
  outcome = outcomeOf({{24, 48}, 0, INFINITY}); // as of optimizers that take a gradient's sign
  ASSERT_TRUE(outcome && outcome->large);
  EXPECT_EQ(outcome->large->parameter, "b");
  outcome = outcomeOf({{48, 30}, NAN}); // the row ends in padding: nothing follows it
  ASSERT_TRUE(outcome) << outcome.error().text();
  EXPECT_TRUE(outcome->isFinite());
}

} // namespace
} // namespace ingot
