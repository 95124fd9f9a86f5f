/// Models from files beside PyTorch: `zoo DIR [FILTER]` for a folder with a folder for each model:
///
///     model*.onnx, input_K.npy, output_0.npy   PyTorch's inputs and its forward pass
///     target.npy, train.json                   labels; optimizer, losses and first gradient norms
///
/// Each file's forward pass must be within 1e-4 of PyTorch's, relative to its largest value; where
/// the file holds all trained parameters as initializers, so must its losses within 1e-3 of each,
/// and the norms of its first gradients within 1e-3 of max(norm, 1e-6 · the global one).
#include "frontend/api/Ingot.h"
#include "frontend/api/TrainedParameters.h"
#include "frontend/onnx/Import.h"
#include "runtime/data/Array.h"
#include "runtime/data/Npy.h"
#include "runtime/support/File.h"
#include "runtime/support/HalfFloat.h"
#include "runtime/support/Json.h"
#include "runtime/support/Print.h"
#include "llvm/Support/Regex.h"
#include <algorithm>
#include <cmath>
#include <filesystem>

namespace {

using namespace ingot;
namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr double forwardTolerance = 1e-4, lossTolerance = 1e-3, gradientTolerance = 1e-3;

struct Row {
  double forward = NAN, gradients = NAN, losses = NAN;
  std::string note;
  bool isFine = false, trains = false;
};

/// Everything a folder says.
struct Case {
  std::vector<Tensor> inputs;
  Tensor output, targets;
  Json train;
};

Result<Case> readCase(const fs::path &folder) {
  Case result;
  INGOT_ASSIGN(const std::string text, readFile((folder / "train.json").string()));
  INGOT_ASSIGN(result.train, parseJson(text, (folder / "train.json").string()));
  for (size_t i = 0; fs::exists(folder / fmt::format("input_{}.npy", i)); ++i) {
    INGOT_ASSIGN(Tensor input, readNpy((folder / fmt::format("input_{}.npy", i)).string()));
    result.inputs.push_back(std::move(input));
  }
  INGOT_ASSIGN(result.output, readNpy((folder / "output_0.npy").string()));
  INGOT_ASSIGN(const Tensor labels, readNpy((folder / "target.npy").string()));
  result.targets = Tensor(ElementType::I32, labels.shape());
  INGOT_TRY(convertElements(labels, 0, result.targets, 0, labels.size()));
  return result;
}

double largestDifference(const Tensor &actual, const Tensor &expected) {
  double difference = 0, scale = 0;
  if (actual.shape() != expected.shape())
    return INFINITY;
  for (int64_t i = 0; i < actual.size(); ++i) {
    const double a = loadElement(actual.type(), actual.data(), i),
                 e = loadElement(expected.type(), expected.data(), i);
    difference = std::isnan(a) ? INFINITY : std::max(difference, std::abs(a - e));
    scale = std::max(scale, std::abs(e));
  }
  return difference == 0 ? 0 : difference / scale; // a layer may begin with zeros
}

Optimizer optimizerOf(const Json &train) {
  const double rate = train["lr"];
  const double decay = train.value("weight_decay", 0.0);
  if (train["optimizer"] == "sgd")
    return Sgd{.learningRate = rate, .weightDecay = decay};
  const std::vector<double> betas = train.value("betas", std::vector<double>{0.9, 0.999});
  const double epsilon = train.value("eps", 1e-8);
  if (train["optimizer"] == "adam")
    return Adam{rate, betas[0], betas[1], epsilon, decay};
  return AdamW{rate, betas[0], betas[1], epsilon, decay};
}

double worstGradient(const std::map<std::string, double> &norms, const Json &expected) {
  double global = 0, worst = 0;
  for (const auto &[name, norm] : expected.items())
    global += norm.get<double>() * norm.get<double>();
  global = std::sqrt(global);
  for (const auto &[name, norm] : expected.items()) {
    auto found = norms.find(name);
    const double actual = found == norms.end() ? 0 : found->second;
    worst = std::max(worst, std::abs(actual - norm.get<double>()) /
                                std::max(norm.get<double>(), 1e-6 * global));
  }
  return worst;
}

Status train(const Case &given, const Model &model, const Tensors &inputs, Row &row) {
  std::vector<std::string> patterns;
  for (const std::string &name : given.train["trainable"].get<std::vector<std::string>>())
    patterns.push_back(llvm::Regex::escape(name));
  INGOT_ASSIGN(std::optional<ParameterGroup> frozen, frozenGroup(model, patterns, {}));
  ModelTrainerOptions options;
  options.threads = 1;
  options.cache = options.tuned = false;
  options.gradients = true;
  options.classAxis = given.train["class_axis"];
  if (frozen)
    options.groups.push_back(*frozen);
  INGOT_ASSIGN(ModelTrainer trainer,
               model.trainer(Loss::CrossEntropy, optimizerOf(given.train), options));
  Tensors batch = inputs;
  batch["targets"] = given.targets;
  row.losses = 0;
  for (const Json &expected : given.train["losses"]) {
    INGOT_ASSIGN(const float loss, trainer.step(batch));
    if (std::isnan(row.gradients))
      row.gradients = worstGradient(trainer.lastStep().gradientNorms, given.train["grad_norms"]);
    const double wanted = expected;
    row.losses = std::max(row.losses, std::abs(double(loss) - wanted) / std::abs(wanted));
  }
  return {};
}

Status judge(const Case &given, const fs::path &path, Row &row) {
  INGOT_ASSIGN(onnx::OnnxFile file, onnx::OnnxFile::open(path.string()));
  INGOT_ASSIGN(std::vector<onnx::FilePort> ports, onnx::inputsOf(file));
  onnx::ImportOptions options;
  for (size_t i = 0; i < ports.size() && i < given.inputs.size(); ++i) {
    options.shapes[ports[i].name] = given.inputs[i].shape();
    options.values[ports[i].name] = given.inputs[i];
  }
  INGOT_ASSIGN(Model model, onnx::importModel(file, options));
  INGOT_ASSIGN(CompiledProgram program,
               model.compile({.threads = 1, .cache = false, .tuned = false}));
  INGOT_ASSIGN(Tensors results, program.run(options.values));
  INGOT_ASSIGN(std::vector<onnx::FilePort> outputs, onnx::outputsOf(file));
  row.forward = largestDifference(results.at(outputs.at(0).name), given.output);
  row.isFine = row.forward <= forwardTolerance;
  // Exporters fold parameters, or make one initializer of two that are equal.
  auto missing = given.train["trainable"].get<std::vector<std::string>>();
  std::erase_if(missing, [&](const std::string &name) {
    return std::ranges::find(file.model().graph->initializers, std::string_view(name),
                             &onnx::TensorProto::name) != file.model().graph->initializers.end();
  });
  if (!missing.empty()) {
    row.note = fmt::format("{} trained names are no initializers", missing.size());
    return {};
  }
  row.trains = true;
  row.isFine = false;
  INGOT_TRY(train(given, model, options.values, row));
  row.isFine = row.forward <= forwardTolerance && row.losses <= lossTolerance &&
               row.gradients <= gradientTolerance;
  return {};
}

std::string cell(double value) { return std::isnan(value) ? "-" : fmt::format("{:.1e}", value); }

} // namespace

int main(int count, char **arguments) {
  if (count < 2 || !fs::is_directory(arguments[1])) {
    print(stderr, "usage: zoo DIR [FILTER]: DIR has a folder for each model\n");
    return 2;
  }
  std::vector<fs::path> folders;
  for (const fs::directory_entry &entry : fs::directory_iterator(arguments[1]))
    if (fs::exists(entry.path() / "train.json") &&
        entry.path().filename().string().find(count > 2 ? arguments[2] : "") != std::string::npos)
      folders.push_back(entry.path());
  std::ranges::sort(folders);
  print("{:<40} {:>9} {:>9} {:>9}\n", "file", "forward", "gradients", "losses");
  size_t fine = 0, trained = 0, all = 0;
  for (const fs::path &folder : folders) {
    Result<Case> given = readCase(folder);
    std::vector<fs::path> files;
    for (const fs::directory_entry &entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".onnx")
        files.push_back(entry.path());
    std::ranges::sort(files);
    for (const fs::path &path : files) {
      Row row;
      Status status = given ? judge(*given, path, row) : Status(tl::unexpected(given.error()));
      if (!status)
        row.note = status.error().text(), row.isFine = false;
      print("{:<40} {:>9} {:>9} {:>9}  {} {}\n", (folder.filename() / path.filename()).string(),
            cell(row.forward), cell(row.gradients), cell(row.losses), row.isFine ? "ok" : "WRONG",
            row.note);
      std::fflush(stdout);
      ++all;
      fine += row.isFine;
      trained += row.isFine && row.trains;
    }
  }
  print("{} of {} files as PyTorch, {} of them in training too\n", fine, all, trained);
  return all > 0 && fine == all ? 0 : 1;
}
