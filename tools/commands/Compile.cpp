/// `ingot compile`: any stage as text, machine code of GPUs, or a program as a file.
#include "codegen/Compile.h"
#include "codegen/cuda/CudaTarget.h"
#include "codegen/cuda/MachineCode.h"
#include "codegen/cuda/Resources.h"
#include "frontend/api/ModelModule.h"
#include "runtime/cuda/Assembler.h"
#include "runtime/cuda/Disassembler.h"
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

/// What `--emit` takes beside stages: what NVRTC makes of the PTX.
enum class MachineForm : uint8_t { Cubin, Sass, Resources };

std::optional<MachineForm> machineFormOf(std::string_view emit) {
  constexpr std::pair<std::string_view, MachineForm> forms[] = {
      {"cubin", MachineForm::Cubin},
      {"sass", MachineForm::Sass},
      {"resources", MachineForm::Resources}};
  for (const auto &[name, form] : forms)
    if (emit == name)
      return form;
  return {};
}

/// The step where there is one: a module of a later stage may hold one without --train.
const Function *mainFunction(const Program &program) {
  const Function *step = program.function("step");
  return step ? step : program.function("forward");
}

Result<std::string> resourceTable(const Model &model, const CompileOptions &options,
                                  const std::string &architecture) {
  INGOT_ASSIGN(const Program program, compile(moduleOf(model), options));
  const Function *function = mainFunction(program);
  if (!function)
    return failure(Error::Code::BadInput, "--emit", "the program has neither step nor forward");
  INGOT_ASSIGN(const std::vector<KernelResources> rows,
               resourcesOf(program, *function, architecture));
  return toTable(rows);
}

/// What the assembler remarks, spills above all, goes to stderr.
Result<std::string> machineText(MachineForm form, const Model &model,
                                const CompileOptions &options) {
  const Result<CudaTarget> target = CudaTarget::parse(options.target);
  if (target && form == MachineForm::Resources)
    return resourceTable(model, options, target->architecture);
  INGOT_ASSIGN(const std::string ptx, printStage(Stage::Ptx, moduleOf(model), options));
  INGOT_ASSIGN(const cuda::Assembler *assembler, cuda::Assembler::find());
  INGOT_ASSIGN(const cuda::Cubin cubin, assembler->assemble({&ptx, 1}, target->architecture));
  if (!cubin.log.empty())
    print(stderr, "{}", cubin.log);
  if (form == MachineForm::Sass)
    return cuda::disassemble(cubin.bytes);
  return std::string(cubin.bytes.begin(), cubin.bytes.end());
}

Status emitStage(const CompileCommandFlags &flags, const Model &model, Stage stage,
                 const CompileOptions &options) {
  std::string text;
  if (const auto form = machineFormOf(flags.emit)) {
    INGOT_ASSIGN(text, machineText(*form, model, options));
  } else {
    INGOT_ASSIGN(text, printStage(stage, moduleOf(model), options));
  }
  return writeOutput(flags.output.empty() ? "-" : flags.output, text);
}

/// Machine code beside the PTX of a program that is written to a file, where NVRTC is.
Status assembleProgram(Program &program, const CompileOptions &options) {
  const Result<CudaTarget> target = CudaTarget::parse(options.target);
  if (!target)
    return {};
  const Result<MachineCodeReport> report = addMachineCode(
      program, target->architecture, DiskCache(options.cacheDirectory), options.threads);
  if (!report) {
    print(stderr,
          "note: the file holds PTX alone, which the driver compiles when it is loaded: {}\n",
          report.error().message);
    return {};
  }
  for (const std::string &remark : report->remarks)
    print(stderr, "note: {}\n", remark);
  print(stderr, "{} kernels of machine code for {}, {}\n", report->kernels, target->architecture,
        report->calls ? "just now made by NVRTC" : "found in the cache");
  return {};
}

void printSummary(const CompileCommandFlags &flags, const Program &program,
                  const CompileReport &report) {
  const Function *main = mainFunction(program);
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
  if (machineFormOf(flags.emit)) {
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
  INGOT_TRY(assembleProgram(program, options));
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
      "of a GPU's machine code, which NVRTC makes: cubin, sass (needs nvdisasm), or resources, a "
      "table of registers, shared memory, spills, occupancy and instructions by kernel");
  app.add_option("-o,--output", flags->output,
                 "the .ingot file, or where --emit prints to; - for standard output");
  app.add_flag("--json", flags->json, "figures as one JSON object to stdout");
  flags->training.declare(app);
  flags->compile.declare(app);
  return [flags, &app] { return compileModel(app, *flags); };
}

} // namespace ingot
