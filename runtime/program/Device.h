/// Devices run programs. `cpu` is always there; others are opened at run time.
#pragma once
#include "runtime/program/Program.h"
#include <functional>
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
};
/// Hears of every run's spans when the run is over, in the order in which they began. Spans of
/// different workers overlap in time.
using ProfileSink = std::function<void(const ProfileSpan &)>;

/// A program loaded on a device with its arena: parameters, state and buffers. Not thread-safe;
/// `run` itself uses the device's threads.
class Session {
public:
  virtual ~Session() = default;
  /// Runs one function to its end.
  virtual Status run(std::string_view function) = 0;
  /// Copies a host tensor into a port; type and shape must match.
  virtual Status write(std::string_view function, std::string_view port, const Tensor &value) = 0;
  /// Copies a port to the host.
  virtual Result<Tensor> read(std::string_view function, std::string_view port) const = 0;
  virtual const Program &program() const = 0;
  virtual void profile(ProfileSink sink) = 0;
};

class Device {
public:
  virtual ~Device() = default;
  virtual std::string_view name() const = 0;
  /// Allocates the arena, maps the code and fills the constants in.
  virtual Result<std::unique_ptr<Session>> load(std::shared_ptr<const Program> program) = 0;
};

/// What `ingot devices` shows.
struct DeviceInfo {
  std::string name;                  ///< as `openDevice` takes it
  std::string model;                 ///< the processor's own name
  std::vector<std::string> features; ///< as in /proc/cpuinfo
  int cores = 0;                     ///< that this process may use
  int64_t memoryBytes = 0;           ///< that this process may use
};
std::vector<DeviceInfo> listDevices();

/// `cpu`, later `cuda[:N]` and `cuda:emulated`.
Result<std::unique_ptr<Device>> openDevice(std::string_view name, const DeviceOptions &options);

} // namespace ingot
