#include "codegen/tuning/VersionedProgram.h"
#include <algorithm>
#include <cstring>

namespace ingot {
namespace {

constexpr int64_t portAlignment = 64;

bool sameCalls(const Function &a, const Function &b) {
  return std::ranges::equal(a.steps, b.steps, [](const Step &x, const Step &y) {
    auto *left = std::get_if<CallStep>(&x.node), *right = std::get_if<CallStep>(&y.node);
    return left && right && left->kernel == right->kernel && left->arguments == right->arguments;
  });
}

Status checkSamePlan(const Program &a, const Program &b, const std::string &function) {
  const bool same = a.arenaBytes == b.arenaBytes && a.functions.size() == b.functions.size() &&
                    std::ranges::equal(a.kernels, b.kernels, {}, &Kernel::name, &Kernel::name) &&
                    sameCalls(*a.function(function), *b.function(function));
  if (same)
    return {};
  return failure(Error::Code::Internal, "", "sizes of blocks changed the plan of @{}", function);
}

void appendKernels(Program &joined, const Program &version) {
  for (Kernel kernel : version.kernels) {
    kernel.object += uint32_t(joined.objects.size());
    joined.kernels.push_back(std::move(kernel));
  }
  joined.objects.insert(joined.objects.end(), version.objects.begin(), version.objects.end());
  joined.workspaceBytes = std::max(joined.workspaceBytes, version.workspaceBytes);
}

} // namespace

Result<VersionedProgram> VersionedProgram::join(const std::vector<Program> &versions,
                                                const std::string &function,
                                                const std::vector<Place> &varied) {
  VersionedProgram result;
  Program joined = versions.front();
  const Function measured = *joined.function(function);
  for (const Step &step : measured.steps)
    if (!std::holds_alternative<CallStep>(step.node))
      return failure(Error::Code::Unsupported, "@" + function, "loops and branches are not tuned");
  result.kernels = joined.kernels.size();
  result.functions.push_back(function);
  for (size_t version = 1; version < versions.size(); ++version) {
    INGOT_TRY(checkSamePlan(versions.front(), versions[version], function));
    appendKernels(joined, versions[version]);
    Function copy = measured;
    copy.name = fmt::format("{} version {}", function, version);
    for (Step &step : copy.steps)
      std::get<CallStep>(step.node).kernel += uint32_t(version * result.kernels);
    result.functions.push_back(copy.name);
    joined.functions.push_back(std::move(copy));
  }
  result.addProbes(joined, measured, varied);
  INGOT_TRY(joined.validate());
  result.joined = std::make_shared<const Program>(std::move(joined));
  return result;
}

void VersionedProgram::addProbes(Program &program, const Function &measured,
                                 const std::vector<Place> &varied) {
  Function before{.arenaBytes = measured.arenaBytes};
  std::vector<bool> probed(kernels);
  for (const Step &step : measured.steps) {
    const CallStep &call = std::get<CallStep>(step.node);
    std::vector<size_t> versions;
    for (const Place &place : varied)
      if (place.kernel == call.kernel && !probed[call.kernel])
        versions.push_back(place.version);
    if (!versions.empty()) {
      probed[call.kernel] = true;
      Probe probe;
      before.name = probe.before = fmt::format("probe {}", probes.size());
      const std::vector<const KernelParameter *> arguments = program.kernels[call.kernel].placed();
      for (size_t i = 0; i < arguments.size(); ++i) {
        if (!arguments[i]->writes())
          continue;
        const int64_t begin = call.arguments[i], end = begin + arguments[i]->bytes;
        const int64_t skip = begin % portAlignment;
        Written written{.port = {.name = fmt::format("argument {}", i),
                                 .role = Role::Output,
                                 .type = ElementType::U8,
                                 .shape = {end - begin + skip},
                                 .offset = begin - skip},
                        .skip = size_t(skip)};
        for (size_t other = 0; other < arguments.size(); ++other)
          written.isRead |= arguments[other]->reads() && call.arguments[other] < end &&
                            begin < call.arguments[other] + arguments[other]->bytes;
        probe.written.push_back(std::move(written));
      }
      versions.insert(versions.begin(), 0);
      for (size_t version : versions) {
        Function run{.name = fmt::format("{} version {}", probe.before, version),
                     .arenaBytes = measured.arenaBytes};
        for (const Written &written : probe.written)
          run.ports.push_back(written.port);
        CallStep varied = call;
        varied.kernel += uint32_t(version * kernels);
        run.steps.push_back({std::move(varied)});
        probe.runs.push_back({{version, call.kernel}, run.name});
        program.functions.push_back(std::move(run));
      }
      program.functions.push_back(before);
      before.steps.clear();
      probes.push_back(std::move(probe));
    } else {
      before.steps.push_back(step);
    }
  }
}

Result<std::vector<Tensor>> VersionedProgram::read(Session &session, const Probe &probe) const {
  std::vector<Tensor> values;
  for (const Written &written : probe.written) {
    INGOT_ASSIGN(Tensor value, session.read(probe.runs.front().second, written.port.name));
    values.push_back(std::move(value));
  }
  return values;
}

Status VersionedProgram::write(Session &session, const Probe &probe,
                               const std::vector<Tensor> &values) const {
  for (size_t i = 0; i < values.size(); ++i)
    INGOT_TRY(session.write(probe.runs.front().second, probe.written[i].port.name, values[i]));
  return {};
}

Result<std::vector<VersionedProgram::Place>> VersionedProgram::differing(Session &session) const {
  std::vector<Place> different;
  for (const Probe &probe : probes) {
    INGOT_TRY(session.run(probe.before));
    INGOT_ASSIGN(std::vector<Tensor> start, read(session, probe));
    // A version that leaves something out must not find what another one left.
    for (size_t i = 0; i < start.size(); ++i)
      if (const Written &written = probe.written[i]; !written.isRead)
        std::memset(start[i].as<uint8_t>() + written.skip, 0xa5, start[i].bytes() - written.skip);
    std::vector<Tensor> expected;
    for (const auto &[place, function] : probe.runs) {
      INGOT_TRY(write(session, probe, start));
      INGOT_TRY(session.run(function));
      INGOT_ASSIGN(std::vector<Tensor> found, read(session, probe));
      if (place.version == 0)
        expected = std::move(found);
      else if (!std::ranges::equal(expected, found, [](const Tensor &a, const Tensor &b) {
                 return std::memcmp(a.data(), b.data(), a.bytes()) == 0;
               }))
        different.push_back(place);
    }
    INGOT_TRY(write(session, probe, expected));
  }
  return different;
}

} // namespace ingot
