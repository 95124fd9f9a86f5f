#include "test/runtime/FakeSession.h"

namespace ingot::test {

void FakeSession::define(std::string name, std::vector<Port> ports, Body body) {
  Function &function = table.functions.emplace_back();
  function.name = name;
  function.ports = std::move(ports);
  for (const Port &port : function.ports)
    storage.try_emplace(key(name, port.name), port.type, port.shape);
  bodies.emplace(std::move(name), std::move(body));
}

std::string FakeSession::key(std::string_view function, std::string_view port) const {
  const Port *found = table.function(function) ? table.function(function)->port(port) : nullptr;
  if (!found)
    return "";
  bool persistent = isPersistent(found->role);
  return persistent ? std::string(port) : fmt::format("{}/{}", function, port);
}

Tensor &FakeSession::at(std::string_view function, std::string_view port) {
  return storage.at(key(function, port));
}

Status FakeSession::run(std::string_view function) {
  ++runs[std::string(function)];
  bodies.find(function)->second(*this);
  return {};
}

Status FakeSession::write(std::string_view function, std::string_view port, const Tensor &value) {
  auto found = storage.find(key(function, port));
  if (found == storage.end())
    return failure(Error::Code::Internal, std::string(port), "no such port of '{}'", function);
  if (found->second.type() != value.type() || found->second.shape() != value.shape())
    return failure(Error::Code::Internal, std::string(port), "another type or shape");
  found->second = value.clone();
  return {};
}

Result<Tensor> FakeSession::read(std::string_view function, std::string_view port) const {
  auto found = storage.find(key(function, port));
  if (found == storage.end())
    return failure(Error::Code::Internal, std::string(port), "no such port of '{}'", function);
  return found->second.clone();
}

namespace {

constexpr int64_t weights = 4, rows = 2;

float quadraticLoss(FakeSession &session, std::string_view function, float *gradient) {
  const float *w = session.at(function, "w").as<float>(),
              *x = session.at(function, "x").as<float>();
  float loss = 0;
  for (int64_t i = 0; i < rows * weights; ++i) {
    float difference = w[i % weights] - x[i];
    loss += difference * difference / float(rows * weights);
    if (gradient)
      gradient[i % weights] += 2 * difference / float(rows * weights);
  }
  return loss;
}

} // namespace

FakeSession quadraticModel() {
  const Port w{"w", Role::Parameter, ElementType::F32, {weights}, 0};
  const Port momentum{"momentum", Role::State, ElementType::F32, {weights}, 0};
  const Port x{"x", Role::Input, ElementType::F32, {rows, weights}, 0};
  const Port loss{"loss", Role::Output, ElementType::F32, {}, 0};
  const Port rate{"learning_rate", Role::Scalar, ElementType::F32, {}, 0};
  const Port step{"step", Role::Scalar, ElementType::I64, {}, 0};
  const Port seed{"seed", Role::Scalar, ElementType::I64, {}, 0};
  FakeSession session;
  session.define("init", {w, seed}, [](FakeSession &self) {
    for (int64_t i = 0; i < weights; ++i)
      self.at("init", "w").as<float>()[i] = float(*self.at("init", "seed").as<int64_t>() + i);
  });
  session.define("step", {w, momentum, x, rate, step, loss}, [](FakeSession &self) {
    float gradient[weights] = {};
    *self.at("step", "loss").as<float>() = quadraticLoss(self, "step", gradient);
    // A bias correction as Adam's makes the result depend on the step's number.
    float scale = *self.at("step", "learning_rate").as<float>() *
                  (1 + 1 / float(1 + *self.at("step", "step").as<int64_t>()));
    for (int64_t i = 0; i < weights; ++i) {
      float &velocity = self.at("step", "momentum").as<float>()[i];
      velocity = 0.9f * velocity + gradient[i];
      self.at("step", "w").as<float>()[i] -= scale * velocity;
    }
  });
  session.define("evaluate", {w, x, loss}, [](FakeSession &self) {
    *self.at("evaluate", "loss").as<float>() = quadraticLoss(self, "evaluate", nullptr);
  });
  return session;
}

FakeSession textModel(int64_t window, int64_t vocabulary,
                      std::function<float(std::span<const int32_t>, int32_t)> logit) {
  FakeSession session;
  session.define("forward",
                 {{"tokens", Role::Input, ElementType::I32, {1, window}, 0},
                  {"logits", Role::Output, ElementType::F32, {1, window, vocabulary}, 0}},
                 [=](FakeSession &self) {
                   const int32_t *tokens = self.at("forward", "tokens").as<int32_t>();
                   for (int64_t i = 0; i < window; ++i)
                     for (int64_t v = 0; v < vocabulary; ++v)
                       self.at("forward", "logits").as<float>()[i * vocabulary + v] =
                           logit({tokens, size_t(i + 1)}, int32_t(v));
                 });
  return session;
}

} // namespace ingot::test
