/// Several versions of a program's kernels side by side in one program, so that they can be
/// compared on the same memory within one run.
#pragma once
#include "runtime/program/Device.h"

namespace ingot {

/// Versions of one program that differ in the sizes of their kernels' blocks alone: same kernels,
/// calls and arena. The joined program has all functions of version 0, and of one function, the
/// measured one, a copy for every other version.
class VersionedProgram {
public:
  /// A kernel, by its number, in a version.
  struct Place {
    size_t version = 0, kernel = 0;
    auto operator<=>(const Place &) const = default;
  };
  /// At least one version. `varied` are the kernels that other versions have in another form. An
  /// error if the versions' plans differ.
  static Result<VersionedProgram> join(const std::vector<Program> &versions,
                                       const std::string &function,
                                       const std::vector<Place> &varied);

  const std::shared_ptr<const Program> &program() const { return joined; }
  /// Of the measured function in a version.
  const std::string &function(size_t version) const { return functions[version]; }
  Place placeOf(const Kernel *kernel) const {
    const size_t index = size_t(kernel - joined->kernels.data());
    return {index / kernels, index % kernels};
  }

  /// Runs the measured function in version 0 up to the last kernel that is varied. At the first
  /// call of each one all its forms compute the call, on the same operands, with what they write
  /// overwritten before. Returns those that gave other bits than version 0.
  Result<std::vector<Place>> differing(Session &session) const;

private:
  /// Memory that a call writes, behind a port.
  struct Written {
    Port port;
    size_t skip = 0;     ///< bytes of the port in front of it, since ports are aligned
    bool isRead = false; ///< by the same call: a result that takes an operand's place
  };
  /// The first call of a varied kernel.
  struct Probe {
    std::string before;                              ///< function of all calls since the last probe
    std::vector<std::pair<Place, std::string>> runs; ///< functions of this call, version 0 first
    std::vector<Written> written;
  };
  void addProbes(Program &program, const Function &measured, const std::vector<Place> &varied);
  Result<std::vector<Tensor>> read(Session &session, const Probe &probe) const;
  Status write(Session &session, const Probe &probe, const std::vector<Tensor> &values) const;

  std::shared_ptr<const Program> joined;
  size_t kernels = 0; ///< of one version
  std::vector<std::string> functions;
  std::vector<Probe> probes;
};

} // namespace ingot
