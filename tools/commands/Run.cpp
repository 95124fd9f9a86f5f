/// `ingot run`: one function of a model or program on given inputs.
#include "frontend/api/SavedModel.h"
#include "frontend/check/Compare.h"
#include "runtime/data/Npy.h"
#include "runtime/program/Scalars.h"
#include "runtime/support/Print.h"
#include "runtime/training/Trainer.h"
#include "tools/commands/Command.h"
#include "tools/commands/CompileFlags.h"
#include "tools/commands/Inputs.h"
#include "tools/commands/ModelFlags.h"
#include "tools/commands/Numbers.h"
#include "tools/commands/TensorText.h"

namespace ingot {
namespace {

struct RunFlags {
  ModelFlags model;
  CompileFlags compile;
  std::vector<std::string> inputs, outputs, expected;
  std::string parameters, function = "forward";
  uint64_t seed = 0;
  double tolerance = 1e-4;
};

/// What runs, and the parameters that it starts with.
struct Target {
  LoadedModel loaded;
  std::optional<Checkpoint> checkpoint;
  std::string place;      ///< of the checkpoint
  bool hasValues = false; ///< parameters came with the model's file
};

/// The values on the command line: `NAME=VALUE` where NAME is one of `names`, else VALUE for the
/// next name that has none.
Result<std::vector<NamedTensor>> readInputs(const RunFlags &flags, std::vector<std::string> names) {
  std::vector<NamedTensor> values;
  for (const std::string &text : flags.inputs) {
    const size_t equals = text.find('=');
    const bool isNamed =
        equals != text.npos && std::ranges::find(names, text.substr(0, equals)) != names.end();
    if (!isNamed && names.empty())
      return failure(Error::Code::Usage, "--input", "@{} takes no more inputs", flags.function);
    const std::string name = isNamed ? text.substr(0, equals) : names.front();
    std::erase(names, name);
    INGOT_ASSIGN(Tensor value, parseTensor("--input", isNamed ? text.substr(equals + 1) : text));
    values.push_back({name, std::move(value)});
  }
  return values;
}

/// An ONNX file is compiled for the shapes of what it is given.
Status learnShapes(RunFlags &flags) {
  INGOT_ASSIGN(onnx::OnnxFile file, onnx::OnnxFile::open(flags.model.model));
  INGOT_ASSIGN(std::vector<onnx::FilePort> ports, onnx::inputsOf(file));
  std::vector<std::string> names;
  for (const onnx::FilePort &port : ports)
    names.push_back(port.name);
  INGOT_ASSIGN(std::vector<NamedTensor> values, readInputs(flags, names));
  for (const NamedTensor &input : values) {
    flags.model.known.shapes[input.name] = input.value.shape();
    flags.model.known.values[input.name] = input.value;
  }
  return {};
}

Result<Target> openTarget(RunFlags &flags) {
  Target target;
  const std::string &path = flags.model.model;
  if (!flags.parameters.empty()) {
    INGOT_ASSIGN(target.checkpoint, openCheckpoint(flags.parameters));
    target.place = flags.parameters;
  }
  if (flags.model.isProgram()) {
    INGOT_ASSIGN(Program program, openProgram(path));
    INGOT_ASSIGN(target.loaded, flags.compile.load(std::move(program)));
    return target;
  }
  if (flags.model.isCheckpoint()) {
    INGOT_ASSIGN(target.checkpoint, openCheckpoint(path));
    target.place = path;
    INGOT_ASSIGN(SavedModel saved, parseSavedModel(target.checkpoint->options, path));
    INGOT_ASSIGN(target.loaded, flags.compile.load(saved.model, std::nullopt));
    return target;
  }
  if (flags.model.isOnnx())
    INGOT_TRY(learnShapes(flags));
  INGOT_ASSIGN(Model model, flags.model.build());
  if (!target.checkpoint)
    INGOT_TRY(requireValues(model, path));
  target.hasValues = !model.weights().empty();
  bool initializers = !target.checkpoint && model.parameterCount() > 0;
  INGOT_ASSIGN(target.loaded, flags.compile.load(model, std::nullopt, initializers));
  return target;
}

/// Parameters come from a checkpoint, else from the program's own initial values. A program that
/// has neither would give zeros for answers.
Status fillParameters(const RunFlags &flags, Target &target) {
  Session &session = *target.loaded.session;
  if (target.checkpoint)
    return loadParameters(session, flags.function, *target.checkpoint, target.place);
  const Function *init = session.program().function("init");
  if (flags.function == "init")
    return {};
  if (!init && !target.hasValues) {
    const Function &function = *session.program().function(flags.function);
    for (const Port &port : function.ports)
      if (port.role == Role::Parameter)
        return failure(
            Error::Code::Usage, "--parameters",
            "{} holds no values of its parameters ('{}', …): name a checkpoint that does",
            flags.model.model, port.name);
  }
  if (!init)
    return {};
  INGOT_ASSIGN(std::vector<NamedTensor> seed, scalarInputs(*init, {.seed = flags.seed}));
  for (const NamedTensor &scalar : seed)
    INGOT_TRY(session.write("init", scalar.name, scalar.value));
  return session.run("init");
}

std::vector<const Port *> portsOf(const Function &function, bool (*isWanted)(Role)) {
  std::vector<const Port *> ports;
  for (const Port &port : function.ports)
    if (isWanted(port.role))
      ports.push_back(&port);
  return ports;
}

Status writeInputs(const RunFlags &flags, Session &session, const Function &function) {
  std::vector<const Port *> open = portsOf(function, isFed);
  std::vector<std::string> names;
  for (const Port *port : open)
    names.push_back(port->name);
  INGOT_ASSIGN(std::vector<NamedTensor> values, readInputs(flags, names));
  for (const NamedTensor &input : values) {
    std::erase(open, function.port(input.name));
    INGOT_TRY(session.write(function.name, input.name, input.value));
  }
  if (open.empty())
    return {};
  std::vector<std::string> missing;
  for (const Port *port : open)
    missing.push_back(
        fmt::format("{} ({} {})", port->name, toString(port->shape), name(port->type)));
  return failure(Error::Code::Usage, "--input", "@{} also needs {}", function.name,
                 fmt::join(missing, ", "));
}

std::string filePath(const std::string &text) {
  return text.starts_with('@') ? text.substr(1) : text;
}

Status writeOutputs(const RunFlags &flags, const std::vector<NamedTensor> &outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (i < flags.outputs.size())
      INGOT_TRY(writeNpy(filePath(flags.outputs[i]), outputs[i].value));
    else if (flags.expected.empty() && flags.outputs.empty())
      print("{}: {}\n", outputs[i].name, printTensor(outputs[i].value));
  }
  return {};
}

Status compareOutputs(const RunFlags &flags, const std::vector<NamedTensor> &outputs) {
  for (size_t i = 0; i < flags.expected.size(); ++i) {
    INGOT_ASSIGN(Tensor expected, parseTensor("--expected_output", flags.expected[i]));
    const auto &[output, value] = outputs[i];
    if (expected.shape() != value.shape())
      return failure(Error::Code::Mismatch, output, "is {}, expected {}", toString(value.shape()),
                     toString(expected.shape()));
    Difference difference = compareTensors(value, expected);
    if (!(difference.relative() <= flags.tolerance)) // NaN is no agreement
      return failure(Error::Code::Mismatch, output,
                     "differs by {:.3g} relative (largest difference {:.3g}, element {}); {} is "
                     "allowed",
                     difference.relative(), difference.largest, difference.where, flags.tolerance);
    print("{}: as expected (relative difference {:.3g})\n", output, difference.relative());
  }
  return {};
}

/// What decides which options apply.
std::vector<Circumstance> circumstances(const RunFlags &flags) {
  std::vector<Circumstance> result = circumstancesOf(flags.model, flags.compile);
  if (flags.expected.empty())
    result.push_back(Circumstance::NothingExpected);
  if (flags.model.isCheckpoint())
    result.push_back(Circumstance::OwnParameters);
  if (flags.model.isCheckpoint() || !flags.parameters.empty())
    result.push_back(Circumstance::SavedParameters);
  return result;
}

Status run(const CLI::App &app, RunFlags &flags) {
  INGOT_TRY(refuseIdleOptions(app, circumstances(flags)));
  INGOT_ASSIGN(Target target, openTarget(flags));
  Session &session = *target.loaded.session;
  const Function *function = session.program().function(flags.function);
  if (!function) {
    std::vector<std::string> names;
    for (const Function &known : session.program().functions)
      names.push_back(known.name);
    return failure(Error::Code::Usage, "--function", "there is no function '{}'; functions are {}",
                   flags.function, fmt::join(names, ", "));
  }
  std::vector<const Port *> ports =
      portsOf(*function, [](Role role) { return role == Role::Output; });
  if (flags.outputs.size() > ports.size() || flags.expected.size() > ports.size())
    return failure(Error::Code::Usage,
                   flags.outputs.size() > ports.size() ? "--output" : "--expected_output",
                   "@{} has only {} outputs", function->name, ports.size());
  INGOT_TRY(fillParameters(flags, target));
  INGOT_TRY(writeInputs(flags, session, *function));
  INGOT_TRY(session.run(flags.function));
  std::vector<NamedTensor> outputs;
  for (const Port *port : ports) {
    INGOT_ASSIGN(Tensor value, session.read(flags.function, port->name));
    outputs.push_back({port->name, std::move(value)});
  }
  INGOT_TRY(keepCounted(*function, outputs));
  INGOT_TRY(writeOutputs(flags, outputs));
  return compareOutputs(flags, outputs);
}

} // namespace

Action declareRun(CLI::App &app) {
  auto flags = std::make_shared<RunFlags>();
  flags->model.declare(app);
  app.get_option("model")->description(
      "a model, a compiled program, a checkpoint or a run's --out directory; - for standard input");
  addRepeatable(app, "--input", flags->inputs,
                "2x2xf32=1,2,3,4 or @x.npy, in the model's order; or NAME=…");
  addRepeatable(app, "--output", flags->outputs, "@y.npy, in order; default: print");
  addRepeatable(app, "--expected_output", flags->expected,
                "as --input; a difference is an error (exit code 1)");
  addNumber(app, "--tolerance", flags->tolerance, atLeast(0),
            "largest relative difference; default 1e-4");
  app.add_option("--parameters", flags->parameters, "a checkpoint whose parameters to use");
  app.add_option("--function", flags->function, "default forward");
  addNumber(app, "--seed", flags->seed, Bounds(),
            "of initial parameters, where no checkpoint gives them");
  flags->compile.declare(app);
  return [flags, &app] { return run(app, *flags); };
}

} // namespace ingot
