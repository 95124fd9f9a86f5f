/// `ingot compile`: any stage as text, machine code of GPUs, or a program as a file.
#include "codegen/Compile.h"
#include "codegen/cuda/CudaTarget.h"
#include "frontend/api/ModelModule.h"
#include "runtime/cuda/Assembler.h"
#include "runtime/data/Files.h"
#include "runtime/support/HumanBytes.h"
#include "runtime/support/Json.h"
#include "runtime/support/Print.h"
#include "runtime/training/Summary.h"
#include "tools/commands/Command.h"
#include "tools/commands/CompileFlags.h"
#include "tools/commands/Inputs.h"
#include "tools/commands/ModelFlags.h"
#include "tools/commands/Suggest.h"
#include "tools/commands/TrainingFlags.h"

namespace ingot {
namespace {

struct CompileCommandFlags {
  ModelFlags model;
  TrainingFlags training;
  CompileFlags compile;
  bool train = false, json = false;
  std::string emit, output;
};

/// What `--emit` takes beside stages: the PTX through NVRTC.
constexpr std::string_view machineCode = "cubin";

/// What the assembler remarks, spills above all, goes to stderr.
Result<std::string> assemblePtx(const std::string &ptx, const std::string &target) {
  INGOT_ASSIGN(const CudaTarget cuda, CudaTarget::parse(target));
  INGOT_ASSIGN(const cuda::Assembler *assembler, cuda::Assembler::find());
  INGOT_ASSIGN(const cuda::Cubin cubin, assembler->assemble({&ptx, 1}, cuda.architecture));
  if (!cubin.log.empty())
    print(stderr, "{}", cubin.log);
  return std::string(cubin.bytes.begin(), cubin.bytes.end());
}

Status emitStage(const CompileCommandFlags &flags, const Model &model, Stage stage,
                 const CompileOptions &options) {
  INGOT_ASSIGN(std::string text, printStage(stage, moduleOf(model), options));
  if (flags.emit == machineCode) {
    INGOT_ASSIGN(text, assemblePtx(text, options.target));
  }
  return writeOutput(flags.output.empty() ? "-" : flags.output, text);
}

void printSummary(const CompileCommandFlags &flags, const Program &program,
                  const CompileReport &report) {
  // A module of a later stage may hold a training step without --train.
  const Function *main = program.function("step");
  if (!main)
    main = program.function("forward");
  int64_t launches = main ? countLaunches(*main) : 0;
  int64_t distinct = main ? countDistinctKernels(*main) : 0;
  if (flags.json) {
    nlohmann::json summary = {{"compile_ms", report.milliseconds},
                              {"operators", program.operators},
                              {"kernels", launches},
                              {"distinct_kernels", distinct},
                              {"scheduled_kernels", report.kernels.scheduled},
                              {"emitted_kernels", report.kernels.emitted},
                              {"cached_kernels", report.kernels.cached},
                              {"tuned_kernels", report.kernelsTuned},
                              {"planned_bytes", program.arenaBytes},
                              {"code_bytes", program.codeBytes()},
                              {"cached", report.programCached},
                              {"target", program.target}};
    print("{}\n", toText(summary));
    return;
  }
  print(stderr, "{} operators became {} kernels ({} distinct) in {:.2f} s{}\n", program.operators,
        launches, distinct, report.milliseconds / 1e3, report.programCached ? " (cached)" : "");
  print(stderr, "{} planned, {} of code for {}\n", humanBytes(program.arenaBytes),
        humanBytes(program.codeBytes()), program.target);
}

Status compileModel(const CLI::App &app, const CompileCommandFlags &flags) {
  std::vector<Circumstance> circumstances =
      circumstancesOf(flags.model, flags.training, flags.compile);
  if (flags.compile.device == "reference")
    circumstances.push_back(Circumstance::NothingRuns);
  if (!flags.train)
    circumstances.push_back(Circumstance::NoTraining);
  if (!flags.emit.empty())
    circumstances.push_back(Circumstance::IrOutput);
  INGOT_TRY(refuseIdleOptions(app, circumstances));
  if (flags.json && flags.output == "-")
    return failure(Error::Code::Usage, "--json",
                   "cannot be combined with -o -: both go to standard output");
  Stage last = Stage::Plan;
  if (flags.emit == machineCode) {
    last = Stage::Ptx;
  } else if (!flags.emit.empty()) {
    INGOT_ASSIGN(last, choose<Stage>("--emit", flags.emit));
  }
  INGOT_ASSIGN(Model model, flags.model.build());
  std::optional<TrainingOptions> training;
  if (flags.train) {
    INGOT_ASSIGN(training, flags.training.optionsFor(model));
  }
  INGOT_ASSIGN(
      CompileOptions options,
      flags.compile.options(training, last == Stage::Loops ? last : std::min(last, Stage::Plan)));
  if (!flags.emit.empty())
    return emitStage(flags, model, last, options);
  CompileReport report;
  INGOT_ASSIGN(Program program, compile(moduleOf(model), options, &report));
  flags.compile.explain(report);
  printSummary(flags, program, report);
  if (flags.output.empty())
    return {};
  if (!program.function("init") && model.parameterCount() > 0)
    print(stderr, "note: the program holds no values of its parameters: `ingot run` needs "
                  "--parameters=CHECKPOINT\n");
  return writeProgram(program, flags.output);
}

} // namespace

Action declareCompile(CLI::App &app) {
  auto flags = std::make_shared<CompileCommandFlags>();
  flags->model.declare(app);
  app.add_flag("--train", flags->train, "the whole training step instead of the model alone");
  app.add_option(
      "--emit", flags->emit,
      "print a stage: graph, train, linalg, kernels, schedule, plan, loops, llvm, ptx or program; "
      "cubin: a GPU's machine code, made by NVRTC");
  app.add_option("-o,--output", flags->output,
                 "the .ingot file, or where --emit prints to; - for standard output");
  app.add_flag("--json", flags->json, "figures as one JSON object to stdout");
  flags->training.declare(app);
  flags->compile.declare(app);
  return [flags, &app] { return compileModel(app, *flags); };
}

} // namespace ingot
