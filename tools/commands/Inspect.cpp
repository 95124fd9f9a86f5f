/// `ingot inspect`: what a model, a program or a checkpoint holds.
#include "frontend/api/SavedModel.h"
#include "runtime/data/Array.h"
#include "runtime/program/Program.h"
#include "runtime/support/HumanBytes.h"
#include "runtime/support/Json.h"
#include "runtime/support/Print.h"
#include "runtime/training/Summary.h"
#include "tools/commands/Command.h"
#include "tools/commands/CompileFlags.h"
#include "tools/commands/Inputs.h"
#include "tools/commands/ModelFlags.h"

namespace ingot {
namespace {

using Json = nlohmann::json;

Json describePort(const std::string &portName, std::string_view kind, ElementType type,
                  const Shape &shape) {
  return {{"name", portName}, {"kind", kind}, {"type", name(type)}, {"shape", shape}};
}

Json metadataOf(const std::string &text) {
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

Json inspectModel(const Model &model) {
  Json ports = Json::array();
  for (const ModelPort &port : model.ports()) {
    Json entry = describePort(port.name, name(port.role), port.type, port.shape);
    if (!port.initializer.empty())
      entry["initializer"] = port.initializer;
    ports.push_back(entry);
  }
  return {{"kind", "model"},
          {"metadata", metadataOf(model.metadata())},
          {"parameters", model.parameterCount()},
          {"operators", model.operationCount()},
          {"ports", ports}};
}

/// An ONNX file as it is: sizes may be open, and ops unknown.
Result<Json> inspectOnnx(const onnx::OnnxFile &file) {
  Json ports = Json::array();
  int64_t parameters = 0;
  auto add = [&](const std::vector<onnx::FilePort> &from, Role role) {
    for (const onnx::FilePort &port : from)
      ports.push_back(describePort(port.name, name(role), port.type, port.shape));
  };
  const onnx::GraphProto &graph = *file.model().graph;
  for (const onnx::TensorProto &initializer : graph.initializers) {
    const std::optional<ElementType> type = onnx::elementTypeOf(initializer.dataType);
    if (!type || !onnx::isParameter(*type, initializer.dims))
      continue;
    if (!checkedBytes(initializer.dims, byteSize(*type)))
      return failure(Error::Code::BadInput, file.path(), "{}: the shape {} is impossible",
                     initializer.name, toString(initializer.dims));
    Json entry =
        describePort(std::string(initializer.name), name(Role::Parameter), *type, initializer.dims);
    entry["initializer"] = "file";
    ports.push_back(entry);
    parameters += elementCount(initializer.dims);
  }
  INGOT_ASSIGN(const std::vector<onnx::FilePort> inputs, onnx::inputsOf(file));
  INGOT_ASSIGN(const std::vector<onnx::FilePort> outputs, onnx::outputsOf(file));
  add(inputs, Role::Input);
  add(outputs, Role::Output);
  return Json{{"kind", "model"},
              {"metadata",
               {{"format", "onnx"},
                {"opset", file.opset("")},
                {"producer", std::string(file.model().producer)}}},
              {"parameters", parameters},
              {"operators", graph.nodes.size()},
              {"ports", ports}};
}

Json inspectProgram(const Program &program) {
  Json functions = Json::array(), kernels = Json::array();
  for (const Function &function : program.functions) {
    Json ports = Json::array();
    for (const Port &port : function.ports)
      ports.push_back(describePort(port.name, name(port.role), port.type, port.shape));
    functions.push_back({{"name", function.name},
                         {"kernels", countLaunches(function)},
                         {"distinct_kernels", countDistinctKernels(function)},
                         {"arena_bytes", function.arenaBytes},
                         {"ports", ports}});
  }
  for (const Kernel &kernel : program.kernels)
    kernels.push_back({{"name", kernel.name},
                       {"root", kernel.root},
                       {"ops", kernel.ops},
                       {"grains", kernel.grains()},
                       {"workspace_bytes", kernel.scratchBytes()},
                       {"flops", kernel.flops},
                       {"bytes", kernel.bytes}});
  return {{"kind", "program"},
          {"target", program.target},
          {"features", program.features},
          {"planned_bytes", program.arenaBytes},
          {"persistent_bytes", program.persistentBytes},
          {"code_bytes", program.codeBytes()},
          {"metadata", metadataOf(program.metadata)},
          {"functions", functions},
          {"kernels", kernels}};
}

Json inspectCheckpoint(const Checkpoint &checkpoint) {
  Json tensors = Json::array();
  int64_t bytes = 0;
  for (const auto &[tensorName, tensor] : checkpoint.tensors) {
    tensors.push_back(
        {{"name", tensorName}, {"type", name(tensor.type())}, {"shape", tensor.shape()}});
    bytes += int64_t(tensor.bytes());
  }
  Json options = metadataOf(checkpoint.options);
  Json report = {{"kind", "checkpoint"},
                 {"step", checkpoint.step},
                 {"seed", checkpoint.seed},
                 {"bytes", bytes},
                 {"tensors", tensors}};
  for (const char *part : {"model", "training", "run"})
    if (options.is_object() && options.contains(part))
      report[part] = options[part];
  if (options.is_object() && options.contains("tokenizer"))
    report["tokenizer"] = options["tokenizer"].value("kind", "");
  return report;
}

std::string shapeText(const Json &shape) { return toString(shape.get<Shape>()); }

void printPorts(const Json &ports) {
  for (const Json &port : ports)
    print("  {:<10} {:<6} {:<16} {}\n", port["kind"].get<std::string>(),
          port["type"].get<std::string>(), shapeText(port["shape"]),
          port["name"].get<std::string>());
}

void printText(const Json &report) {
  std::string kind = report["kind"];
  if (kind == "model") {
    print("model {}\n{} parameters, {} operators\n", report["metadata"].dump(),
          report["parameters"].get<int64_t>(), report["operators"].get<int64_t>());
    return printPorts(report["ports"]);
  }
  if (kind == "program") {
    print("program for {}: {} planned, {} of code\n", report["target"].get<std::string>(),
          humanBytes(report["planned_bytes"]), humanBytes(report["code_bytes"]));
    for (const Json &function : report["functions"]) {
      print("@{}: {} kernels ({} distinct), {}\n", function["name"].get<std::string>(),
            function["kernels"].get<int64_t>(), function["distinct_kernels"].get<int64_t>(),
            humanBytes(function["arena_bytes"]));
      printPorts(function["ports"]);
    }
    print("kernels:\n");
    for (const Json &kernel : report["kernels"])
      print("  {:<20} {:<32} {}\n", kernel["root"].get<std::string>(),
            kernel["name"].get<std::string>(), kernel["ops"].get<std::string>());
    return;
  }
  print("checkpoint after step {}, seed {}, {}\n", report["step"].get<int64_t>(),
        report["seed"].get<uint64_t>(), humanBytes(report["bytes"]));
  for (const char *part : {"model", "training", "run", "tokenizer"})
    if (report.contains(part))
      print("{}: {}\n", part, report[part].dump());
  for (const Json &tensor : report["tensors"])
    print("  {:<6} {:<16} {}\n", tensor["type"].get<std::string>(), shapeText(tensor["shape"]),
          tensor["name"].get<std::string>());
}

Result<Json> inspect(const ModelFlags &flags) {
  if (flags.isProgram()) {
    INGOT_ASSIGN(Program program, openProgram(flags.model));
    return inspectProgram(program);
  }
  if (flags.isCheckpoint()) {
    INGOT_ASSIGN(Checkpoint checkpoint, openCheckpoint(flags.model));
    return inspectCheckpoint(checkpoint);
  }
  if (flags.isOnnx()) {
    INGOT_ASSIGN(const onnx::OnnxFile file, onnx::OnnxFile::open(flags.model));
    return inspectOnnx(file);
  }
  INGOT_ASSIGN(Model model, flags.build());
  return inspectModel(model);
}

} // namespace

Action declareInspect(CLI::App &app) {
  auto flags = std::make_shared<ModelFlags>();
  auto json = std::make_shared<bool>(false);
  flags->declare(app);
  app.get_option("model")->description("a model, a compiled program or a checkpoint");
  app.add_flag("--json", *json, "one JSON object to stdout");
  return [flags, json, &app]() -> Status {
    INGOT_TRY(refuseIdleOptions(app, flags->circumstances()));
    INGOT_ASSIGN(Json report, inspect(*flags));
    if (*json)
      print("{}\n", toText(report));
    else
      printText(report);
    return {};
  };
}

} // namespace ingot
