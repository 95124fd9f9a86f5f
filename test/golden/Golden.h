/// PyTorch's recorded training curves (gpt.json, …), with the models, weights and batches
/// that they belong to: see `record`.
#pragma once
#include "frontend/families/Models.h"
#include "passes/options/TrainingOptions.h"
#include "test/golden/Images.h"
#include "test/golden/Sequences.h"
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>

namespace ingot::testing {

/// One training run of a golden file.
struct GoldenRun {
  std::string name;
  TrainingOptions options;
  double learningRate = 0;
  std::vector<double> losses;        ///< of every step, f32
  std::vector<double> exactLosses;   ///< the same in f64
  std::vector<double> gradientNorms; ///< of every step, only when clipping
  struct Gradient {
    double norm = 0;
    std::vector<double> first; ///< its first values
  };
  std::map<std::string, Gradient> gradients; ///< of the first step, before clipping, from f64
};

class Golden {
public:
  /// By the file's name.
  explicit Golden(const std::string &name) {
    std::string path = std::string(INGOT_SOURCE_DIR) + "/test/golden/" + name + ".json";
    std::ifstream file(path);
    EXPECT_TRUE(file) << path;
    json = nlohmann::json::parse(file);
  }

  Result<Model> model() const {
    if (json["model"] == "gpt")
      return buildGpt({.layers = json["layers"],
                       .heads = json["heads"],
                       .width = json["width"],
                       .sequence = json["sequence"],
                       .vocabulary = json["vocabulary"],
                       .batch = json["batch"]});
    const std::string name = json["model"];
    if (name == "gru" || name == "grouped" || name == "experts")
      return buildSequenceModel(name, json["batch"], json["image"].get<Shape>());
    if (json.contains("image"))
      return buildImageModel(json["model"], json["batch"], json["image"].get<Shape>());
    int64_t hidden = json["hidden"];
    return buildMlp(
        {.layers = {json["input"], hidden, hidden, json["classes"]}, .batch = json["batch"]});
  }

  std::map<std::string, Tensor> parameters() const {
    std::map<std::string, Tensor> result;
    uint32_t stream = 0;
    for (const auto &entry : json["parameters"]) {
      Tensor tensor(ElementType::F32, entry["shape"].get<Shape>());
      float offset = entry["offset"], scale = entry["scale"];
      for (int64_t i = 0; i < tensor.size(); ++i)
        tensor.as<float>()[i] = offset + scale * value(stream, i);
      result[entry["name"]] = tensor;
      ++stream;
    }
    return result;
  }

  /// The model's input and `targets` of a step; `parts` micro-batches.
  std::map<std::string, Tensor> batch(int64_t step, int64_t parts) const {
    uint32_t number = step % int64_t(json["batches"]);
    int64_t rows = parts * int64_t(json["batch"]);
    if (json["model"] == "gpt") {
      Shape shape = {rows, json["sequence"]};
      return {{"tokens", integers(1000 + number, shape, json["vocabulary"])},
              {"targets", integers(2000 + number, shape, json["vocabulary"])}};
    }
    Shape shape = json.contains("image") ? json["image"].get<Shape>() : Shape{json["input"]};
    shape.insert(shape.begin(), rows);
    Tensor x(ElementType::F32, shape);
    for (int64_t i = 0; i < x.size(); ++i)
      x.as<float>()[i] = value(1000 + number, i);
    return {{"x", x}, {"targets", integers(2000 + number, {rows}, json["classes"])}};
  }

  GoldenRun run(const std::string &name) const {
    GoldenRun result;
    for (const auto &entry : json["runs"]) {
      if (entry["name"] != name)
        continue;
      result.name = name;
      result.learningRate = entry["learning_rate"];
      result.losses = entry["losses"].get<std::vector<double>>();
      result.exactLosses = entry["losses_f64"].get<std::vector<double>>();
      result.gradientNorms = entry.value("gradient_norms", std::vector<double>());
      result.options.optimizer =
          parseEnum<TrainingOptions::Optimizer>(entry["optimizer"].get<std::string>()).value();
      result.options.weightDecay = entry["weight_decay"].get<double>();
      if (entry.contains("momentum"))
        result.options.momentum = entry["momentum"].get<double>();
      result.options.updateLimit = entry.value("d", 1.0);
      result.options.matchRms = entry.value("adjust_lr_fn", std::string()) == "match_rms_adamw";
      result.options.dampening = entry.value("dampening", 0.0);
      result.options.nesterov = entry.value("nesterov", false);
      result.options.centered = entry.value("centered", false);
      result.options.rateDecay = entry.value("lr_decay", 0.0);
      result.options = result.options.resolved();
      result.options.clip = entry.value("clip", 0.0);
      result.options.accumulate = entry.value("accumulate", 1);
      result.options.dtype =
          parseEnum<TrainingOptions::Dtype>(entry.value("dtype", std::string("f32"))).value();
      for (const auto &[parameter, gradient] : entry["gradients"].items())
        result.gradients[parameter] = {gradient["norm"],
                                       gradient["first"].get<std::vector<double>>()};
    }
    EXPECT_EQ(result.name, name) << "no such run";
    return result;
  }

private:
  static uint32_t bits(uint32_t stream, uint32_t index) {
    uint32_t x = stream * 0x9e3779b1u + index;
    x = (x ^ (x >> 16)) * 0x85ebca6bu;
    x = (x ^ (x >> 13)) * 0xc2b2ae35u;
    return x ^ (x >> 16);
  }
  static float value(uint32_t stream, uint32_t index) {
    return float(bits(stream, index) >> 8) * 0x1p-23f - 1;
  }
  static Tensor integers(uint32_t stream, const Shape &shape, uint32_t limit) {
    Tensor tensor(ElementType::I32, shape);
    for (int64_t i = 0; i < tensor.size(); ++i)
      tensor.as<int32_t>()[i] = bits(stream, i) % limit;
    return tensor;
  }

  nlohmann::json json;
};

} // namespace ingot::testing
