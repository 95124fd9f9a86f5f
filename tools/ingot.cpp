/// The command line: one row a subcommand, one place where errors become exit codes.
#include "runtime/support/Print.h"
#include "tools/commands/Arguments.h"
#include "tools/commands/Command.h"
#include "tools/commands/EmulateProgram.h"
#include "tools/commands/Suggest.h"
#include <algorithm>
#include <cctype>
#include <fcntl.h>
#include <new>
#include <unistd.h>

using namespace ingot;

namespace {

constexpr Command commands[] = {
    {"compile", "Compile a model; print any stage of it or write a .ingot file", declareCompile},
    {"run", "Run a model or a .ingot file on given inputs", declareRun},
    {"train", "Train a model on text, arrays or random data", declareTrain},
    {"eval", "Measure a checkpoint on data: loss, and perplexity or accuracy", declareEval},
    {"generate", "Continue a text with a trained language model", declareGenerate},
    {"convert", "Write a checkpoint's parameters as other programs read them", declareConvert},
    {"plan", "Show what memory a model needs, and for what", declarePlan},
    {"bench", "Time a step kernel by kernel, against the machine's limits", declareBench},
    {"tune", "Search for faster block sizes of a model's kernels on this machine", declareTune},
    {"inspect", "Show what a model, a .ingot file or a checkpoint holds", declareInspect},
    {"check", "Compare a device with the reference, op by op", declareCheck},
    {"emulate", "Run a PTX kernel or a whole CUDA program on the PTX machine, with all checks",
     declareEmulate},
    {"devices", "List the devices of this machine", declareDevices},
};

/// The library names its fields, `GptSizes::layers` or `AdamW::weightDecay`; people gave flags.
std::string flagOfField(const std::string &place) {
  constexpr std::string_view structs[] = {
#define INGOT_NUMBER(...)
#define INGOT_OPTIMIZER(NAME, ...) #NAME,
#include "passes/options/Optimizers.def"
      "GptSizes",   "MlpSizes",        "Options",       "ModelTrainerOptions",
      "RunOptions", "GenerateOptions", "MemoryOptions", "CompileOptions"};
  if (place.starts_with("ParameterGroup::"))
    return "--group";
  const size_t colons = place.find("::");
  if (colons == place.npos || !std::ranges::count(structs, place.substr(0, colons)))
    return place;
  constexpr std::pair<std::string_view, std::string_view> others[] = {{"vocabulary", "--vocab"},
                                                                      {"budget", "--memory"},
                                                                      {"cacheDirectory", "--cache"},
                                                                      {"learningRate", "--lr"}};
  const std::string field = place.substr(colons + 2);
  for (auto [name, flag] : others)
    if (field == name)
      return std::string(flag);
  std::string flag = "--";
  for (char letter : field) {
    if (std::isupper(static_cast<unsigned char>(letter)))
      flag += '-';
    flag += char(std::tolower(static_cast<unsigned char>(letter)));
  }
  return flag;
}

/// Exit codes: 0 success, 1 failed or mismatch, 2 usage.
int report(Error error) {
  error.place = flagOfField(error.place);
  print(stderr, "ingot: error: {}\n", error.text());
  return error.code == Error::Code::Usage ? 2 : 1;
}

/// The exit code of what has been done; results that did not reach their reader are an error.
int finish(Status status) {
  const bool written = std::fflush(stdout) == 0 && !std::ferror(stdout);
  if (status && !written)
    status = failure(Error::Code::Io, "stdout", "cannot write");
  return status ? 0 : report(status.error());
}

int usage(const std::string &message) { return report({Error::Code::Usage, message, ""}); }

/// Where a caller has closed a standard stream, the next file that is opened would become it, and
/// what is printed would end up in that file. Writing to what is put there instead fails.
void occupyStandardStreams() {
  for (int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(stream, F_GETFD) < 0)
      ::open("/dev/null", O_RDONLY);
}

/// Every long flag of a subcommand.
std::vector<std::string> flagsOf(const CLI::App &app) {
  std::vector<std::string> flags;
  for (const CLI::Option *option : app.get_options())
    for (const std::string &name : option->get_lnames())
      flags.push_back("--" + name);
  return flags;
}

/// `; train and tune take it`, or nothing where no subcommand does.
std::string whoTakes(const CLI::App &app, const std::string &flag) {
  std::vector<std::string> names;
  for (const CLI::App *command : app.get_subcommands(/*filter=*/{}))
    if (std::ranges::count(flagsOf(*command), flag))
      names.push_back(command->get_name());
  if (names.empty())
    return "";
  return fmt::format("; {} {} it", fmt::join(names, ", "), names.size() == 1 ? "takes" : "take");
}

int unknownArgument(const CLI::App &app, const std::string &argument) {
  for (const CLI::App *chosen : app.get_subcommands()) {
    std::string flag = argument.substr(0, argument.find('='));
    if (flag.starts_with('-')) {
      std::string hint = didYouMean(flag, flagsOf(*chosen));
      return usage(fmt::format("unknown flag '{}'{}; see ingot {} --help", flag,
                               hint.empty() ? whoTakes(app, flag) : hint, chosen->get_name()));
    }
    return usage(
        fmt::format("unexpected argument '{}'; see ingot {} --help", argument, chosen->get_name()));
  }
  std::vector<std::string> names;
  for (const Command &command : commands)
    names.push_back(command.name);
  return usage(fmt::format("unknown command '{}'{}; see ingot --help", argument,
                           didYouMean(argument, names)));
}

/// Cuts `-- PROGRAM ARGUMENTS` off the command line of `emulate`: nothing of it is ours to parse.
int cutProgramLine(int argc, char **argv) {
  if (argc < 2 || std::string_view(argv[1]) != "emulate")
    return argc;
  char **end = argv + argc;
  char **dashes = std::find(argv + 2, end, std::string_view("--"));
  if (end - dashes < 2)
    return argc;
  programLine().assign(dashes + 1, end);
  return int(dashes - argv);
}

} // namespace

int main(int argc, char **argv) {
  occupyStandardStreams();
  argc = cutProgramLine(argc, argv);
  CLI::App app("Ingot compiles a model, its loss and its optimizer into one fused training step.",
               "ingot");
  app.set_version_flag("--version", "ingot " INGOT_VERSION);
  app.require_subcommand(0, 1);
  // Scripts append flags: the last one counts.
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  std::map<const CLI::App *, std::function<Status()>> actions;
  for (const Command &command : commands) {
    CLI::App *subcommand = app.add_subcommand(command.name, command.summary);
    actions[subcommand] = command.declare(*subcommand);
  }
  Result<std::vector<std::string>> arguments =
      prepareArguments(app, std::span(argv, size_t(argc)).subspan(std::min(argc, 1)));
  if (!arguments)
    return report(arguments.error());
  std::ranges::reverse(*arguments); // as CLI11 wants them
  try {
    app.parse(std::move(*arguments));
  } catch (const CLI::ExtrasError &) {
    return unknownArgument(app, app.remaining(/*recurse=*/true).front());
  } catch (const CLI::Success &wanted) { // --help, --version
    app.exit(wanted);
    return finish({});
  } catch (const CLI::Error &error) {
    return usage(error.what());
  }
  if (app.get_subcommands().empty()) {
    print(stderr, "{}", app.help());
    return 2;
  }
  Status status;
  try {
    status = actions.at(app.get_subcommands().front())();
  } catch (const std::bad_alloc &) {
    status = failure(Error::Code::Io, app.get_subcommands().front()->get_name(),
                     "the machine does not have enough memory");
  } catch (const std::exception &error) { // of a library below: none of ours throws
    status = failure(Error::Code::Internal, app.get_subcommands().front()->get_name(), "{}",
                     error.what());
  }
  return finish(std::move(status));
}
