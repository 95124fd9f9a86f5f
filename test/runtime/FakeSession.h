/// Sessions without code: functions are closures over named tensors.
#pragma once
#include "runtime/program/Device.h"
#include <map>
#include <span>

namespace ingot::test {

/// Parameters and state are one storage for all functions, other ports belong to their function.
class FakeSession final : public Session {
public:
  using Body = std::function<void(FakeSession &)>;

  void define(std::string name, std::vector<Port> ports, Body body);
  /// The tensor behind a port.
  Tensor &at(std::string_view function, std::string_view port);

  Status run(std::string_view function) override;
  Status write(std::string_view function, std::string_view port, const Tensor &value) override;
  Result<Tensor> read(std::string_view function, std::string_view port) const override;
  const Program &program() const override { return table; }
  void profile(ProfileSink) override {}

  std::map<std::string, int> runs; ///< by function

private:
  std::string key(std::string_view function, std::string_view port) const;

  Program table;
  std::map<std::string, Body, std::less<>> bodies;
  std::map<std::string, Tensor> storage;
};

/// A model of four weights that moves towards the rows it sees, with momentum: loss = mean of
/// (w − x)² over rows [2, 4] of `x`. Functions init, step and evaluate.
FakeSession quadraticModel();

/// `forward` over `tokens` [1, window] whose logits at each position are `logit(tokens up to here,
/// candidate)`, of `vocabulary` candidates.
FakeSession textModel(int64_t window, int64_t vocabulary,
                      std::function<float(std::span<const int32_t>, int32_t)> logit);

} // namespace ingot::test
