#include "runtime/training/LossHistory.h"
#include "runtime/support/Json.h"
#include <limits>

namespace ingot {

namespace {

using Json = nlohmann::json;

/// Pairs [step, loss]; JSON has no NaN or infinity, null stands for them.
Json pointsToJson(const std::vector<LossPoint> &points) {
  Json list = Json::array();
  for (const LossPoint &point : points)
    list.push_back({point.step, point.loss});
  return list;
}

bool pointsFromJson(const Json &list, std::vector<LossPoint> &points) {
  if (!list.is_array())
    return false;
  for (const Json &pair : list) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_number_integer() ||
        !(pair[1].is_number() || pair[1].is_null()))
      return false;
    double loss =
        pair[1].is_null() ? std::numeric_limits<double>::quiet_NaN() : pair[1].get<double>();
    points.push_back({pair[0].get<int64_t>(), loss});
  }
  return true;
}

} // namespace

void LossHistory::truncate(int64_t step) {
  auto beyond = [step](const LossPoint &point) { return point.step > step; };
  std::erase_if(training, beyond);
  std::erase_if(validation, beyond);
}

std::string LossHistory::toJson() const {
  return toText({{"training", pointsToJson(training)}, {"validation", pointsToJson(validation)}});
}

Result<LossHistory> LossHistory::parse(std::string_view text, const std::string &place) {
  INGOT_ASSIGN(Json json, parseJson(text, place));
  LossHistory losses;
  if (!json.is_object() || !pointsFromJson(json.value("training", Json()), losses.training) ||
      !pointsFromJson(json.value("validation", Json()), losses.validation))
    return failure(Error::Code::BadInput, place, "these are not the losses of a run");
  return losses;
}

} // namespace ingot
