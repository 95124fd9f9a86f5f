/// Parameters that are trained differently from the rest.
#pragma once
#include "runtime/support/Fields.h"
#include <optional>
#include <string>

namespace ingot {

/// Of the groups of a training, the first whose pattern matches the whole name takes a parameter;
/// what none takes is trained as the optimizer says.
struct ParameterGroup {
  std::string pattern;   ///< extended regular expression, such as `h\.[0-3]\..*` or `.*\.bias`
  bool frozen = false;   ///< keeps its values, has no gradient and no optimizer state
  double rateFactor = 1; ///< times the learning rate
  std::optional<double> weightDecay = {}; ///< unset: the optimizer's
  bool adamw = false; ///< muon's: matrices, too, are AdamW's, as embeddings and heads should be

  static void fields(auto &self, auto &&visit) {
    visit(Field{"pattern"}, self.pattern);
    visit(Field{"frozen"}, self.frozen);
    visit(Field{"rate_factor", {}, atLeast(0)}, self.rateFactor);
    visit(Field{"weight_decay", {}, atLeast(0)}, self.weightDecay);
    visit(Field{"adamw"}, self.adamw);
  }
  bool operator==(const ParameterGroup &) const = default;
};

} // namespace ingot
