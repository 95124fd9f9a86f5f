/// `ingot run`: one function of a model or program on given inputs, once or several times.
#include "frontend/api/SavedModel.h"
#include "frontend/api/ShapedPrograms.h"
#include "frontend/check/Compare.h"
#include "runtime/data/Npy.h"
#include "runtime/program/Scalars.h"
#include "runtime/support/Json.h"
#include "runtime/support/Print.h"
#include "runtime/training/Trainer.h"
#include "tools/commands/Command.h"
#include "tools/commands/CompileFlags.h"
#include "tools/commands/Inputs.h"
#include "tools/commands/ModelFlags.h"
#include "tools/commands/Numbers.h"
#include "tools/commands/Suggest.h"
#include "tools/commands/TensorText.h"

namespace ingot {
namespace {

struct RunFlags {
  ModelFlags model;
  CompileFlags compile;
  std::vector<std::string> inputs, outputs, expected;
  std::string parameters, function = "forward";
  std::string buckets = "off";
  uint64_t seed = 0;
  double tolerance = 1e-4;
  bool json = false;
};

/// Inputs of each run, or outputs.
using Values = std::vector<NamedTensor>;

/// What runs, and the parameters that it starts with.
struct Target {
  LoadedModel loaded;
  std::optional<Checkpoint> checkpoint;
  std::string place;      ///< of the checkpoint
  bool hasValues = false; ///< parameters came with the model's file
};

/// The values on the command line: `NAME=VALUE` where NAME is one of `names`, else VALUE for the
/// next name that has none. A value for a name that has one begins the next run.
Result<std::vector<Values>> readInputs(const RunFlags &flags,
                                       const std::vector<std::string> &names) {
  std::vector<Values> runs(1);
  auto isGiven = [&](const std::string &name) {
    return std::ranges::find(runs.back(), name, &NamedTensor::name) != runs.back().end();
  };
  for (const std::string &text : flags.inputs) {
    const size_t equals = text.find('=');
    const bool isNamed =
        equals != text.npos && std::ranges::find(names, text.substr(0, equals)) != names.end();
    if (names.empty())
      return failure(Error::Code::Usage, "--input", "@{} takes no inputs", flags.function);
    if (isNamed ? isGiven(text.substr(0, equals)) : std::ranges::all_of(names, isGiven))
      runs.emplace_back();
    const std::string name =
        isNamed ? text.substr(0, equals) : *std::ranges::find_if_not(names, isGiven);
    INGOT_ASSIGN(Tensor value, parseTensor("--input", isNamed ? text.substr(equals + 1) : text));
    runs.back().push_back({name, std::move(value)});
  }
  return runs;
}

/// An error where a run lacks some of what it needs.
struct Needed {
  std::string name;
  Shape shape;
  ElementType type;
};
Status checkComplete(const RunFlags &flags, const std::vector<Values> &runs,
                     const std::vector<Needed> &needed) {
  for (size_t run = 0; run < runs.size(); ++run) {
    std::vector<std::string> missing;
    for (const Needed &input : needed)
      if (std::ranges::find(runs[run], input.name, &NamedTensor::name) == runs[run].end())
        missing.push_back(
            fmt::format("{} ({} {})", input.name, toString(input.shape), name(input.type)));
    if (!missing.empty())
      return failure(Error::Code::Usage, "--input", "{}@{} also needs {}",
                     runs.size() > 1 ? fmt::format("run {} of ", run + 1) : "", flags.function,
                     fmt::join(missing, ", "));
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

std::string filePath(const std::string &text) {
  return text.starts_with('@') ? text.substr(1) : text;
}

Status writeOutputs(const RunFlags &flags, const Values &outputs, size_t first) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (first + i < flags.outputs.size())
      INGOT_TRY(writeNpy(filePath(flags.outputs[first + i]), outputs[i].value));
    else if (flags.expected.empty() && flags.outputs.empty() && !flags.json)
      print("{}: {}\n", outputs[i].name, printTensor(outputs[i].value));
  }
  return {};
}

Status compareOutputs(const RunFlags &flags, const Values &outputs, size_t first) {
  for (size_t i = 0; i < outputs.size() && first + i < flags.expected.size(); ++i) {
    INGOT_ASSIGN(Tensor expected, parseTensor("--expected_output", flags.expected[first + i]));
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
    if (!flags.json)
      print("{}: as expected (relative difference {:.3g})\n", output, difference.relative());
  }
  return {};
}

/// What is done with the outputs of a run, before the next one, which may fail. `first` of all
/// outputs is the first of them; afterwards it is that of the next run.
Status handOut(const RunFlags &flags, const Values &outputs, size_t &first) {
  INGOT_TRY(writeOutputs(flags, outputs, first));
  INGOT_TRY(compareOutputs(flags, outputs, first));
  first += outputs.size();
  return {};
}

/// An error where there are more files for outputs than outputs.
Status checkOutputs(const RunFlags &flags, size_t outputs, size_t runs) {
  if (flags.outputs.size() <= outputs * runs && flags.expected.size() <= outputs * runs)
    return {};
  return failure(Error::Code::Usage,
                 flags.outputs.size() > outputs * runs ? "--output" : "--expected_output",
                 "@{} has only {} outputs{}", flags.function, outputs,
                 runs > 1 ? fmt::format(" in each of {} runs", runs) : "");
}

/// Whether there is a program for each set of shapes.
bool isDynamic(const RunFlags &flags) {
  return flags.model.isOnnx() && flags.function == "forward";
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
  result.push_back(isDynamic(flags) ? Circumstance::FileParameters : Circumstance::OneShape);
  return result;
}

/// What was done.
struct Done {
  DynamicCounts counts;
  int64_t programs = 1;
  double compileMs = 0;
};

/// A model, program or checkpoint of fixed shapes.
Result<Done> runTarget(RunFlags &flags) {
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
  std::vector<std::string> names;
  std::vector<Needed> needed;
  for (const Port *port : portsOf(*function, isFed)) {
    names.push_back(port->name);
    needed.push_back({port->name, port->shape, port->type});
  }
  const std::vector<const Port *> results =
      portsOf(*function, [](Role role) { return role == Role::Output; });
  INGOT_ASSIGN(const std::vector<Values> runs, readInputs(flags, names));
  INGOT_TRY(checkOutputs(flags, results.size(), runs.size()));
  INGOT_TRY(fillParameters(flags, target));
  INGOT_TRY(checkComplete(flags, runs, needed));
  Done done;
  size_t first = 0;
  for (const Values &inputs : runs) {
    for (const NamedTensor &input : inputs)
      INGOT_TRY(session.write(function->name, input.name, input.value));
    INGOT_TRY(session.run(flags.function));
    Values outputs;
    for (const Port *port : results) {
      INGOT_ASSIGN(Tensor value, session.read(flags.function, port->name));
      outputs.push_back({port->name, std::move(value)});
    }
    INGOT_TRY(keepCounted(*function, outputs));
    INGOT_TRY(handOut(flags, outputs, first));
    ++done.counts.runs;
  }
  done.counts.compilations = !flags.model.isProgram();
  done.counts.fromCache = target.loaded.report.programCached;
  done.compileMs = target.loaded.report.milliseconds;
  return done;
}

/// An ONNX file: a program for each set of shapes that is given.
Result<Done> runFile(RunFlags &flags) {
  INGOT_ASSIGN(onnx::OnnxFile file, onnx::OnnxFile::open(flags.model.model));
  INGOT_ASSIGN(const std::vector<onnx::FilePort> ports, onnx::inputsOf(file));
  std::vector<std::string> names;
  std::vector<Needed> needed;
  for (const onnx::FilePort &port : ports) {
    names.push_back(port.name);
    if (port.kind == onnx::FilePort::Kind::Tensor)
      needed.push_back({port.name, port.shape, port.type});
  }
  INGOT_ASSIGN(const std::vector<Values> runs, readInputs(flags, names));
  INGOT_TRY(checkComplete(flags, runs, needed));
  INGOT_TRY(flags.model.checkShapes(runs));
  // How many tensors a sequence has, only a program says.
  INGOT_ASSIGN(const std::vector<onnx::FilePort> outputs, onnx::outputsOf(file));
  using Kind = onnx::FilePort::Kind;
  const bool isCountKnown = std::ranges::none_of(outputs, [](const onnx::FilePort &port) {
    return port.kind == Kind::Sequence || port.kind == Kind::OptionalSequence;
  });
  if (isCountKnown)
    INGOT_TRY(checkOutputs(flags, outputs.size(), runs.size()));
  ShapedPrograms::Settings settings;
  INGOT_ASSIGN(settings.buckets, choose<Buckets>("--buckets", flags.buckets));
  INGOT_ASSIGN(settings.compile, flags.compile.options(std::nullopt));
  settings.device = flags.compile.device;
  settings.threads = flags.compile.threads();
  settings.isSingle = runs.size() == 1;
  if (runs.size() > 1)
    settings.onCompile = [](const Specialisation &one) {
      print(stderr, "program {} for {}{} in {:.2f} s\n", one.number, one.what,
            one.isCached ? " (cached)" : "", one.ms / 1e3);
    };
  INGOT_ASSIGN(const std::unique_ptr<ShapedPrograms> programs,
               ShapedPrograms::open(flags.model.model, std::move(settings)));
  if (!flags.parameters.empty()) {
    INGOT_ASSIGN(Checkpoint checkpoint, openCheckpoint(flags.parameters));
    INGOT_TRY(programs->load(std::move(checkpoint), flags.parameters));
  }
  size_t first = 0;
  for (const Values &inputs : runs) {
    Tensors given;
    for (const NamedTensor &input : inputs)
      given[input.name] = input.value;
    const int64_t before = programs->counts().compilations;
    INGOT_ASSIGN(Tensors results, programs->run(given));
    const LoadedModel &used = programs->lastUsed();
    if (programs->counts().compilations > before)
      flags.compile.explain(used.report);
    const std::vector<const Port *> order = portsOf(*used.session->program().function("forward"),
                                                    [](Role role) { return role == Role::Output; });
    if (!isCountKnown)
      INGOT_TRY(checkOutputs(flags, order.size(), runs.size()));
    Values values;
    for (const Port *port : order)
      values.push_back({port->name, std::move(results.at(port->name))});
    INGOT_TRY(handOut(flags, values, first));
  }
  Done done;
  done.counts = programs->counts();
  done.programs = programs->size();
  done.compileMs = programs->compileMs();
  return done;
}

Status run(const CLI::App &app, RunFlags &flags) {
  INGOT_TRY(refuseIdleOptions(app, circumstances(flags)));
  INGOT_ASSIGN(Done done, isDynamic(flags) ? runFile(flags) : runTarget(flags));
  const DynamicCounts &counts = done.counts;
  if (flags.json)
    print("{}\n", toText({{"runs", counts.runs},
                          {"programs", done.programs},
                          {"compilations", counts.compilations},
                          {"from_cache", counts.fromCache},
                          {"padded_runs", counts.padded},
                          {"compile_ms", done.compileMs}}));
  return {};
}

} // namespace

Action declareRun(CLI::App &app) {
  auto flags = std::make_shared<RunFlags>();
  flags->model.declare(app);
  app.get_option("model")->description(
      "a model, a compiled program, a checkpoint or a run's --out directory; - for standard input");
  addRepeatable(app, "--input", flags->inputs,
                "2x2xf32=1,2,3,4 or @x.npy, in the model's order; or NAME=…. What is given again "
                "is of the next run");
  addRepeatable(app, "--output", flags->outputs, "@y.npy, in order, run by run; default: print");
  addRepeatable(app, "--expected_output", flags->expected,
                "as --input; a difference is an error (exit code 1)");
  addNumber(app, "--tolerance", flags->tolerance, atLeast(0),
            "largest relative difference; default 1e-4");
  app.add_option("--parameters", flags->parameters, "a checkpoint whose parameters to use");
  app.add_option("--function", flags->function, "default forward");
  addNumber(app, "--seed", flags->seed, Bounds(),
            "of initial parameters, where no checkpoint gives them");
  app.add_option("--buckets", flags->buckets,
                 "ONNX: off (default): a program for each shape; pow2: batches are filled up to "
                 "powers of two, where that provably changes no result");
  app.add_flag("--json", flags->json, "one JSON object to stdout: runs, programs, compilations");
  flags->compile.declare(app);
  return [flags, &app] { return run(app, *flags); };
}

} // namespace ingot
