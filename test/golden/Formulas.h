/// PyTorch's values and gradients of formulas in f64 (record-formulas).
#pragma once
#include <cmath>
#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ingot::testing {

struct RecordedFormula {
  std::string name;
  std::vector<double> parameters;
  /// Columns: operands, value, gradient of each operand.
  std::vector<std::vector<double>> columns;
  size_t operands = 0;

  const std::vector<double> &operand(size_t index) const { return columns[index]; }
  const std::vector<double> &value() const { return columns[operands]; }
  const std::vector<double> &gradient(size_t operand) const {
    return columns[operands + 1 + operand];
  }
  /// Where a value or gradient was recorded, for messages.
  std::string point(size_t row) const {
    std::string text = name + " at";
    for (size_t i = 0; i < operands; ++i)
      text += " " + std::to_string(columns[i][row]);
    return text;
  }
};

inline std::vector<RecordedFormula> recordedFormulas() {
  auto number = [](const nlohmann::json &value) {
    return value.is_string() ? std::stod(value.get<std::string>()) : value.get<double>();
  };
  std::ifstream file(INGOT_SOURCE_DIR "/test/golden/formulas.json");
  std::vector<RecordedFormula> formulas;
  const nlohmann::json recorded = nlohmann::json::parse(file);
  for (const auto &row : recorded["rows"]) {
    RecordedFormula formula{row["name"], row["parameters"], {}, row["operands"]};
    formula.columns.resize(2 * formula.operands + 1);
    for (const auto &point : row["points"])
      for (size_t column = 0; column < point.size(); ++column)
        formula.columns[column].push_back(number(point[column]));
    formulas.push_back(std::move(formula));
  }
  return formulas;
}

/// NaN and infinities in the same places, numbers within `tolerance` of the larger of 1 and theirs.
inline void expectRecorded(double actual, double expected, double tolerance,
                           const std::string &where) {
  if (std::isnan(expected) || std::isinf(expected))
    EXPECT_TRUE(actual == expected || (std::isnan(actual) && std::isnan(expected)))
        << where << ": " << actual << ", recorded " << expected;
  else
    EXPECT_NEAR(actual, expected, tolerance * std::max(1.0, std::fabs(expected))) << where;
}

} // namespace ingot::testing
