/// Devices run programs. `cpu` is always there; others are opened at run time.
#pragma once
#include "runtime/program/Program.h"
#include "runtime/program/Store.h"
#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace ingot {

struct DeviceOptions {
  int threads = 0; ///< 0: one per CPU that this process may use
};

/// What one thread did without a break: all or some grains of a call.
struct ProfileSpan {
  const Kernel *kernel = nullptr;
  const CallStep *call = nullptr;
  int worker = 0;            ///< the device's thread, or whatever it runs kernels on side by side
  int64_t grains = 0;        ///< of the kernel's
  double start = 0, end = 0; ///< seconds
  size_t run = 0;            ///< of a function, counted since the sink was given
};
/// Hears of every run's spans when the run is over, in the order in which they began. Spans of
/// different workers overlap in time.
using ProfileSink = std::function<void(const ProfileSpan &)>;

/// A run that was enqueued.
struct Ticket {
  uint64_t number = 0;
};

/// A program loaded on a device: its arena, and the store that holds its parameters and state. One
/// thread at a time may call it; runs themselves use the device's threads.
///
///     Ticket first = *session->enqueue("step", batches[0], {"loss"});
///     Ticket second = *session->enqueue("step", batches[1], {"loss"}); // waits for the first
///     Tensor loss = (*session->wait(first))[0].value;                  // the second runs on
class Session {
public:
  virtual ~Session() = default;

  /// Runs a function after all that was enqueued before, with these inputs; ports that are not
  /// named keep what they hold. The inputs are copied and the outputs kept with the ticket, so the
  /// next run can be enqueued while this one runs. Wrong names, types and shapes are errors here,
  /// what goes wrong in the run is one of `wait`.
  virtual Result<Ticket> enqueue(std::string_view function, std::span<const NamedTensor> inputs,
                                 std::span<const std::string> outputs);
  Result<Ticket> enqueue(std::string_view function, std::span<const NamedTensor> inputs,
                         std::initializer_list<std::string> outputs) {
    return enqueue(function, inputs, std::span(outputs.begin(), outputs.size()));
  }
  /// Waits for a run's end and hands out its outputs, once.
  virtual Result<std::vector<NamedTensor>> wait(Ticket ticket);

  // The same step by step, each after all runs have ended.
  /// Runs one function to its end.
  virtual Status run(std::string_view function) = 0;
  /// Copies a host tensor into a port; type and shape must match.
  virtual Status write(std::string_view function, std::string_view port, const Tensor &value) = 0;
  /// Copies a port to the host.
  virtual Result<Tensor> read(std::string_view function, std::string_view port) const = 0;
  /// The same into memory of the caller's, of the port's type and shape.
  virtual Status readInto(std::string_view function, std::string_view port, Tensor &value) const;

  virtual const Program &program() const = 0;
  /// Null where parameters and state are no device's memory.
  virtual std::shared_ptr<Store> store() const { return nullptr; }
  /// From now on runs end before they are handed out, so that what is heard of them is in order.
  virtual void profile(ProfileSink sink) = 0;

private:
  std::map<uint64_t, Result<std::vector<NamedTensor>>> ended; ///< of devices that run at once
  uint64_t tickets = 0;
};

class Device {
public:
  virtual ~Device() = default;
  virtual std::string_view name() const = 0;
  /// Allocates the arena, maps the code and fills the constants in. Parameters and state are in
  /// `store`, which the device or another of its kind made; null: in a store of the session's own.
  virtual Result<std::unique_ptr<Session>> load(std::shared_ptr<const Program> program,
                                                std::shared_ptr<Store> store = nullptr) = 0;
  /// An empty store, for several sessions.
  virtual std::shared_ptr<Store> makeStore() = 0;
};

/// What `ingot devices` shows.
struct DeviceInfo {
  std::string name;                       ///< as `openDevice` takes it
  std::string model = {};                 ///< the processor's own name
  std::vector<std::string> features = {}; ///< as in /proc/cpuinfo; of a GPU its architecture
  int cores = 0;           ///< that this process may use; of a GPU its multiprocessors
  int64_t memoryBytes = 0; ///< that this process may use
  std::string error = {};  ///< why it cannot be used, and nothing else of it is known
};
std::vector<DeviceInfo> listDevices();

/// `cpu`, `cuda`, `cuda:1`, or `cuda:emulated`: the PTX machine.
Result<std::unique_ptr<Device>> openDevice(std::string_view name, const DeviceOptions &options);

} // namespace ingot
