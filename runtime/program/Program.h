/// A compiled program as plain data: what the compiler emits, a `.ingot` file holds and devices
/// run.
///
/// All functions of a program share one arena. Its first part is persistent: parameters and state
/// at fixed offsets, the same for every function. Behind it every function lays out its own inputs,
/// outputs, activations and workspace; the arena is as large as the largest function needs.
#pragma once
#include "runtime/program/Layout.h"
#include "runtime/program/NamedTensor.h"
#include "runtime/program/Role.h"
#include <array>
#include <optional>
#include <span>
#include <variant>

namespace ingot {

/// A named tensor of a function that the caller reads or writes, at a fixed place in the arena.
struct Port {
  std::string name;
  Role role = Role::Input;
  ElementType type = ElementType::F32;
  Shape shape;
  int64_t offset = 0; ///< bytes from the start of the arena, a multiple of 64
  /// In memory; callers and checkpoints see the logical tensor, and whoever reads or writes the
  /// port converts. Only what persists may be packed.
  Layout layout = {};
  int64_t limit = 0; ///< integers index something: they must lie in [0, limit); 0: any value
  /// Persistent ports whose bucket (Bucket.h) this output tells of, in equal parts.
  std::vector<std::string> members = {};
  /// The output, an i64 scalar, that says how many elements of dimension `counted` are meant, where
  /// that is known at run time only; empty: all. What follows them is padding.
  std::string count = {};
  int64_t counted = 0;
  size_t bytes() const { return elementCount(shape) * byteSize(type); }
  int64_t memoryBytes() const {
    return layout.elements(elementCount(shape)) * int64_t(byteSize(type));
  }
};

/// What a kernel does with the memory behind a parameter.
enum class Access : uint8_t { Read, Write, Update /**< reads and writes */ };
std::string_view name(Access access);

/// A box of a tensor in memory as Hopper's copy engine reads it. The runtime encodes it, since it
/// holds an address.
struct TensorMap {
  ElementType type = ElementType::F32;
  Shape sizes;                  ///< elements, innermost first, at most five dimensions
  std::vector<int64_t> strides; ///< bytes, of all dimensions but the innermost
  Shape box;                    ///< elements that one copy moves
  Shape steps;                  ///< between elements of the box, in each dimension
  int64_t swizzle = 0;          ///< bytes: 0 (none), 32, 64 or 128
  int64_t promotion = 0;        ///< bytes fetched to L2: 0 (none), 64, 128 or 256
  bool operator==(const TensorMap &) const = default;
};

/// What a kernel's code takes, in the order of its signature.
struct KernelParameter {
  enum class Kind : uint8_t {
    Buffer,   ///< the address of a stretch of the arena; each call says where
    Scratch,  ///< the address of memory that belongs to one worker, contents undefined
    Scalar,   ///< a number, the same for all calls
    TensorMap ///< a description of a stretch of the arena; each call says where
  };
  Kind kind = Kind::Buffer;
  int64_t bytes = 0; ///< reached behind the address; of a scalar: 1, 2, 4 or 8
  Access access = Access::Update;
  uint64_t value = 0; ///< of a scalar: its bits
  TensorMap map = {};

  /// Each call gives it a place in the arena.
  bool hasPlace() const { return kind == Kind::Buffer || kind == Kind::TensorMap; }
  bool reads() const { return access != Access::Write; }
  bool writes() const { return access != Access::Read; }

  static KernelParameter buffer(int64_t bytes, Access access) {
    return {Kind::Buffer, bytes, access};
  }
  static KernelParameter scratch(int64_t bytes) { return {Kind::Scratch, bytes}; }
};
std::string_view name(KernelParameter::Kind kind);

/// How a CPU kernel `void f(void *const *parameters, int64_t lo, int64_t hi)` is run: it computes
/// grains lo … hi-1. Grains are independent of each other; their number and contents depend on
/// shapes alone, so that results do not depend on the number of threads.
struct CpuRange {
  int64_t grains = 1; ///< of one call
  bool operator==(const CpuRange &) const = default;
};

/// How a CUDA kernel is launched.
struct CudaGrid {
  using Extents = std::array<int64_t, 3>;
  Extents grid = {1, 1, 1}, block = {1, 1, 1}, cluster = {1, 1, 1};
  int64_t sharedBytes = 0; ///< dynamic shared memory
  bool operator==(const CudaGrid &) const = default;
};
using Launch = std::variant<CpuRange, CudaGrid>;

/// Code of one target.
struct CodeObject {
  enum class Kind : uint8_t {
    CpuImage, ///< position-independent, without external symbols; lists its entries (CpuImage.h)
    Ptx,      ///< text
    Cubin
  };
  Kind kind = Kind::CpuImage;
  std::string architecture; ///< `cpu:znver4`, `sm_90a`
  std::vector<uint8_t> bytes = {};
};
std::string_view name(CodeObject::Kind kind);

/// An entry of a code object with the interface that callers must keep to.
struct Kernel {
  std::string name;    ///< its symbol in the code object
  uint32_t object = 0; ///< of `Program::objects`
  Launch launch = {};
  /// A CPU kernel takes buffers and then at most one scratch.
  std::vector<KernelParameter> parameters = {};
  double flops = 0;       ///< of one call
  double bytes = 0;       ///< memory read and written at least, of one call
  std::string root = {};  ///< contraction, attention, row, elementwise, update, indexing, …
  std::string ops = {};   ///< the model's ops that it computes, for profiles and error messages
  std::string tuned = {}; ///< sizes of blocks that `ingot tune` chose; empty: all are derived

  /// Grains of a call on a CPU; blocks of the grid on a GPU.
  int64_t grains() const;
  /// Bytes of scratch that each worker must have.
  int64_t scratchBytes() const;
  /// Parameters that each call places, in order: `CallStep::arguments` are theirs.
  std::vector<const KernelParameter *> placed() const;
};

/// Calls a kernel on places in the arena. In a loop's body, argument i lies strides[i] bytes
/// further with each number of the innermost loop's iterations.
struct CallStep {
  uint32_t kernel = 0;
  std::vector<int64_t> arguments; ///< byte offsets into the arena, of the parameters with a place
  std::vector<int64_t> strides;   ///< empty, or one per argument
  std::string op;                 ///< the model op this call computes
};

struct Step;

/// Runs its body for the numbers 0, 1, … of its iterations, or for the same in reverse.
struct LoopStep {
  int64_t trips = 0; ///< iterations; at most so many where `count` says how many
  std::vector<Step> body;
  std::optional<int64_t> count = {};   ///< byte offset of an i64, read when the loop begins
  std::optional<int64_t> counter = {}; ///< byte offset of an i64 that holds the iteration's number
  bool reverse = false;                ///< the last number comes first
  std::string op = {};                 ///< the model op
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
  Role role = Role::Activation;
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
  std::string name;                  ///< in a file of several: its shapes, its purpose
  std::string target;                ///< `cpu:znver4`, …: where the code may run
  std::vector<std::string> features; ///< CPU features that the code needs, as in /proc/cpuinfo
  std::vector<Kernel> kernels;
  std::vector<Function> functions;
  std::vector<Constant> constants;
  std::vector<CodeObject> objects;
  int64_t persistentBytes = 0;
  int64_t arenaBytes = 0;     ///< maximum over functions
  int64_t workspaceBytes = 0; ///< largest scratch of a kernel: what each worker allocates once
  int64_t operators = 0;      ///< the model's operations in the busiest function, before fusion
  /// What the trainer and `inspect` need to know of the model: family, sizes, tokenizer, optimizer,
  /// seed, … JSON text.
  std::string metadata = "{}";

  const Function *function(std::string_view functionName) const;
  int64_t codeBytes() const; ///< of all objects
  /// Checks every offset, index, alignment and size; a program that passes cannot make the runtime
  /// read or write outside its arena by its own tables.
  Status validate() const;
  /// Writes a `.ingot` file atomically: JSON header + 64-byte aligned blobs.
  Status save(const std::string &path) const;
  /// Reads and validates a `.ingot` file of one program.
  static Result<Program> load(const std::string &path);
};

/// A function or port by its name; the error lists those that there are.
Result<const Function *> findFunction(const Program &program, std::string_view name);
Result<const Port *> findPort(const Program &program, std::string_view function,
                              std::string_view port);
/// Cuts the padding off outputs whose size the run has found (Port::count); all of those that one
/// counts are among `outputs`.
Status keepCounted(const Function &function, std::vector<NamedTensor> &outputs);
/// What a run found wrong, by the word in a port of role error: see IndexError.
Status checkErrorWord(const Function &function, const Port &port, int64_t word);

/// What a port takes: its type and shape, and indices inside its limit. The error names the
/// position and the value of the first that is not.
Status checkValue(std::string_view function, const Port &port, const Tensor &value);
/// Whether the tensor has the port's type and shape, and memory.
Status checkPlace(std::string_view function, const Port &port, const Tensor &value);

/// Gives elements narrower than a byte their one form in memory: their bits beyond the type's
/// repeat its sign, or are zero. Code may leave them as it likes.
void normalise(Tensor &tensor);

/// Writes several programs into one file; code and constants that are the same are there once.
Status savePrograms(const std::string &path, std::span<const Program *const> programs);
/// Reads and validates all programs of a file.
Result<std::vector<Program>> loadPrograms(const std::string &path);

} // namespace ingot
