/// What a tensor at a function's boundary, or a stretch of the arena, is for: in the IR's argument
/// attributes, in a program's ports and in reports of memory.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace ingot {

/// Arguments stand in this order in every function; what follows `Scalar` is no argument's role.
enum class Role : uint8_t {
  Parameter,
  State,   ///< what else outlives a step: moments, statistics
  Derived, ///< computed of parameters: what they are in bf16
  Input,   ///< a batch's
  Target,  ///< what a batch's outputs should be
  Scalar,  ///< fed by whoever drives the step: learning rate, step, seed
  Output,
  Error, ///< an i1 that a run sets when it has met something forbidden, named after that
  Constant,
  Gradient,
  Activation,
  Workspace,
};
constexpr Role lastRole = Role::Workspace;

/// `parameter`, `state`, …: the spelling in IR, JSON and files.
std::string_view name(Role role);
/// The inverse; nothing for what is no role.
std::optional<Role> parseRole(std::string_view text);

/// Parameters and state: what a checkpoint holds.
constexpr bool isSaved(Role role) { return role == Role::Parameter || role == Role::State; }
/// The function that computes what is derived; sessions call it when it must run.
inline constexpr std::string_view deriveFunction = "derive";
/// What outlives a run and is shared by all functions.
constexpr bool isPersistent(Role role) { return isSaved(role) || role == Role::Derived; }
/// Inputs and targets: what a batch consists of.
constexpr bool isBatch(Role role) { return role == Role::Input || role == Role::Target; }
/// What a caller writes before each run.
constexpr bool isFed(Role role) { return isBatch(role) || role == Role::Scalar; }

} // namespace ingot
