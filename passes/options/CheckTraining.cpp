#include "passes/options/CheckTraining.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Regex.h"

namespace ingot {

namespace {

/// Where a C++ program sets a field: `AdamW::weightDecay`.
std::string ownerOf(const Field &field, TrainingOptions::Optimizer optimizer) {
  constexpr std::string_view numbers[] = {
#define INGOT_NUMBER(FIELD, ...) #FIELD,
#define INGOT_OPTIMIZER(NAME, TEXT, RATE, ...) __VA_ARGS__
#include "passes/options/Optimizers.def"
  };
  const bool isNumber = llvm::is_contained(numbers, field.memberName());
  return fmt::format("{}::{}", isNumber ? structOf(optimizer) : "ModelTrainerOptions",
                     field.memberName());
}

/// A usage error that names the first field whose number its bounds do not allow.
template <HasFields T, typename OwnerOf>
Status checkBounds(const T &options, const OwnerOf &ownerOf) {
  Status status;
  auto check = [&](const Field &field, auto number) {
    if (status && !field.bounds.holds(number))
      status = failure(Error::Code::Usage, ownerOf(field), "{} is not {}", number,
                       describe<decltype(number)>(field.bounds));
  };
  T::fields(options, [&]<typename V>(const Field &field, const V &value) {
    if constexpr (std::same_as<V, std::optional<double>>) {
      if (value)
        check(field, *value);
    } else if constexpr (std::same_as<V, std::vector<double>>) {
      for (double number : value)
        check(field, number);
    } else if constexpr (std::is_arithmetic_v<V> && !std::same_as<V, bool>)
      check(field, value);
  });
  return status;
}

} // namespace

std::string_view structOf(TrainingOptions::Optimizer optimizer) {
  constexpr std::string_view structs[] = {
#define INGOT_NUMBER(...)
#define INGOT_OPTIMIZER(NAME, ...) #NAME,
#include "passes/options/Optimizers.def"
  };
  return structs[static_cast<size_t>(optimizer)];
}

std::vector<std::string_view> numbersOf(Loss loss) {
  static const std::vector<std::string_view> numbers[] = {
#define INGOT_NUMBER(FIELD) #FIELD,
#define INGOT_LOSS(NAME, TEXT, ...) {__VA_ARGS__},
#include "passes/options/Losses.def"
  };
  return numbers[static_cast<size_t>(loss)];
}

bool hasClassTargets(const TrainingOptions &options) {
  const std::vector<std::string_view> numbers = numbersOf(options.loss);
  return llvm::is_contained(numbers, "classAxis") && llvm::is_contained(numbers, "classWeights") &&
         !options.lossNumbers.softTargets;
}

Status checkLoss(Loss loss, const LossNumbers &numbers) {
  auto placeOf = [](const Field &field) { return "LossNumbers::" + field.memberName(); };
  INGOT_TRY(checkBounds(numbers, placeOf));
  const std::vector<std::string_view> own = numbersOf(loss);
  const std::vector<std::string> given = differingFields(LossNumbers(), numbers);
  Status status;
  LossNumbers::fields(numbers, [&](const Field &field, const auto &) {
    if (status && llvm::is_contained(given, field.name) &&
        !llvm::is_contained(own, field.memberName()))
      status = failure(Error::Code::Usage, placeOf(field), "does nothing for the loss {}",
                       enumName(loss));
  });
  return status;
}

Status checkTraining(const TrainingOptions &options) {
  INGOT_TRY(checkLoss(options.loss, options.lossNumbers));
  if (options.lossNumbers.reduction == Reduction::None)
    return failure(Error::Code::Usage, "LossNumbers::reduction", "training needs one number");
  if (options.classAxis != -1 && !llvm::is_contained(numbersOf(options.loss), "classAxis"))
    return failure(Error::Code::Usage, "ModelTrainerOptions::classAxis",
                   "does nothing for the loss {}", enumName(options.loss));
  INGOT_TRY(
      checkBounds(options, [&](const Field &field) { return ownerOf(field, options.optimizer); }));
  const double momentum = options.resolved().momentum.value_or(0);
  if (options.nesterov && (momentum == 0 || options.dampening != 0))
    return failure(Error::Code::Usage, "Sgd::nesterov",
                   "needs a momentum above 0 and no dampening");
  if (options.dampening != 0 && momentum == 0)
    return failure(Error::Code::Usage, "Sgd::dampening", "needs a momentum above 0");
  if (options.optimizer == TrainingOptions::Optimizer::Muon && momentum >= 1)
    return failure(Error::Code::Usage, "Muon::momentum", "{} is not a number from 0 on, below 1",
                   momentum);
  for (const ParameterGroup &group : options.groups) {
    std::string why;
    if (group.pattern.find(';') != std::string::npos)
      why = "a ';' occurs in no parameter's name";
    if (!why.empty() || !llvm::Regex(group.pattern).isValid(why))
      return failure(Error::Code::Usage, "ParameterGroup::pattern",
                     "'{}' is no regular expression: {}", group.pattern, why);
    if (group.adamw && options.optimizer != TrainingOptions::Optimizer::Muon)
      return failure(Error::Code::Usage, "ParameterGroup::adamw",
                     "does nothing for the optimizer {}", enumName(options.optimizer));
    INGOT_TRY(checkBounds(
        group, [](const Field &field) { return "ParameterGroup::" + field.memberName(); }));
  }
  return {};
}

} // namespace ingot
