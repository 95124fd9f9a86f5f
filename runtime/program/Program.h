/// A compiled program as plain data: what the compiler emits, a `.ingot` file holds and devices
/// run.
///
/// All functions of a program share one arena. Its first part is persistent: parameters and state
/// at fixed offsets, the same for every function. Behind it every function lays out its own inputs,
/// outputs, activations and workspace; the arena is as large as the largest function needs.
#pragma once
#include "runtime/program/Tensor.h"
#include <optional>
#include <span>
#include <variant>

namespace ingot {

/// What a port's or buffer's memory is for; `ingot plan` reports bytes by kind.
enum class BufferKind : uint8_t {
  Parameter,
  State,
  Gradient,
  Input,
  Output,
  Constant,
  Activation,
  Workspace
};
std::string_view name(BufferKind kind);

/// A named tensor of a function that the caller reads or writes, at a fixed place in the arena.
struct Port {
  std::string name;
  BufferKind kind = BufferKind::Input;
  ElementType type = ElementType::F32;
  Shape shape;
  int64_t offset = 0; ///< bytes from the start of the arena, a multiple of 64
  size_t bytes() const { return elementCount(shape) * byteSize(type); }
};

/// What a kernel does with the memory behind an argument.
enum class Access : uint8_t { Read, Write, Update /**< reads and writes */ };
std::string_view name(Access access);

/// The stretch of the arena that one argument of a kernel reaches.
struct KernelArgument {
  int64_t bytes = 0;
  Access access = Access::Update;
  bool reads() const { return access != Access::Write; }
  bool writes() const { return access != Access::Read; }
};

/// A range kernel of the code image: `void f(void *const *arguments, int64_t lo, int64_t hi)`
/// computes grains lo … hi-1. Grains are independent of each other; their number and contents
/// depend on shapes alone, so that results do not depend on the number of threads.
struct Kernel {
  std::string name;
  int64_t entry = 0;  ///< byte offset of the function in the code image
  int64_t grains = 1; ///< grains of one call
  int64_t workspace =
      0; ///< bytes of scratch memory that each worker passes as the last argument; 0: none
  std::vector<KernelArgument> arguments; ///< without the workspace
  double flops = 0;                      ///< of one call
  double bytes = 0;                      ///< memory read and written at least, of one call
  std::string root;  ///< contraction, attention, row, elementwise, update, indexing, …
  std::string ops;   ///< the model's ops that it computes, for profiles and error messages
  std::string tuned; ///< sizes of blocks that `ingot tune` chose; empty: all are derived
};

/// Calls a kernel on places in the arena. In a loop's body, argument i moves by strides[i] bytes an
/// iteration.
struct CallStep {
  uint32_t kernel = 0;
  std::vector<int64_t> arguments; ///< byte offsets into the arena, one per argument of the kernel
  std::vector<int64_t> strides;   ///< empty, or one per argument
  std::string op;                 ///< the model op this call computes
};

struct Step;

/// Runs its body a fixed number of times.
struct LoopStep {
  int64_t trips = 0;
  std::vector<Step> body;
};

/// Runs one of two bodies by an i1 in the arena.
struct IfStep {
  int64_t condition = 0; ///< byte offset of the i1
  std::vector<Step> thenBody, elseBody;
};

/// The steps of a function form a tree.
struct Step {
  std::variant<CallStep, LoopStep, IfStep> node;
};

/// A stretch of the arena, for `ingot plan`.
struct PlannedBuffer {
  std::string name;
  BufferKind kind = BufferKind::Activation;
  int64_t offset = 0;
  int64_t bytes = 0;
  int64_t firstStep = 0, lastStep = 0; ///< live from the start of firstStep to the end of lastStep
};

/// One entry of a program, such as `init`, `step`, `evaluate` or `forward`.
struct Function {
  std::string name;
  std::vector<Port> ports; ///< parameters and state, inputs, outputs
  std::vector<Step> steps;
  std::vector<PlannedBuffer> buffers;
  int64_t arenaBytes = 0; ///< persistent part included
  const Port *port(std::string_view portName) const;
};

/// Bytes that the arena holds before the first step runs.
struct Constant {
  int64_t offset = 0; ///< in the arena
  Tensor value;
};

struct Program {
  std::string target;                ///< `cpu:znver4`, …: where the code may run
  std::vector<std::string> features; ///< CPU features that the code needs, as in /proc/cpuinfo
  std::vector<Kernel> kernels;
  std::vector<Function> functions;
  std::vector<Constant> constants;
  std::vector<uint8_t> code; ///< position-independent image without external symbols
  int64_t persistentBytes = 0;
  int64_t arenaBytes = 0;     ///< maximum over functions
  int64_t workspaceBytes = 0; ///< maximum over kernels: what each worker allocates once
  int64_t operators = 0;      ///< the model's operations in the busiest function, before fusion
  /// What the trainer and `inspect` need to know of the model: family, sizes, tokenizer, optimizer,
  /// seed, … JSON text.
  std::string metadata = "{}";

  const Function *function(std::string_view functionName) const;
  /// Checks every offset, index, alignment and size; a program that passes cannot make the runtime
  /// read or write outside its arena by its own tables.
  Status validate() const;
  /// Writes a `.ingot` file atomically: JSON header + 64-byte aligned blobs.
  Status save(const std::string &path) const;
  /// Reads and validates a `.ingot` file.
  static Result<Program> load(const std::string &path);
};

} // namespace ingot
