/// The command line: one row a subcommand, one place where errors become exit codes.
#include "tools/commands/Command.h"
#include "tools/commands/EmulateProgram.h"
#include "tools/commands/Suggest.h"
#include <cstdio>
#include <new>

using namespace ingot;

namespace {

constexpr Command commands[] = {
    {"compile", "Compile a model; print any stage of it or write a .ingot file", declareCompile},
    {"run", "Run a model or a .ingot file on given inputs", declareRun},
    {"train", "Train a model on text, arrays or made-up data", declareTrain},
    {"eval", "Measure a checkpoint's loss on data", declareEval},
    {"generate", "Let a trained language model write", declareGenerate},
    {"plan", "Show what memory a model needs, and for what", declarePlan},
    {"bench", "Time a step kernel by kernel, beside what the machine can do", declareBench},
    {"tune", "Search faster block sizes for a model's kernels on this machine", declareTune},
    {"inspect", "Show what a model, a .ingot file or a checkpoint holds", declareInspect},
    {"check", "Compare a device with the reference, op by op", declareCheck},
    {"emulate", "Run a PTX kernel or a whole CUDA program on the PTX machine, with all checks",
     declareEmulate},
    {"devices", "List the devices of this machine", declareDevices},
};

/// Exit codes: 0 fine, 1 failed or mismatch, 2 usage.
int report(const Error &error) {
  std::fprintf(stderr, "ingot: error: %s\n", error.text().c_str());
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

/// Every long flag of a subcommand.
std::vector<std::string> flagsOf(const CLI::App &app) {
  std::vector<std::string> flags;
  for (const CLI::Option *option : app.get_options())
    for (const std::string &name : option->get_lnames())
      flags.push_back("--" + name);
  return flags;
}

int unknownArgument(const CLI::App &app, const std::string &argument) {
  for (const CLI::App *chosen : app.get_subcommands()) {
    std::string flag = argument.substr(0, argument.find('='));
    if (flag.starts_with('-'))
      return usage(fmt::format("unknown flag '{}'{}; see ingot {} --help", flag,
                               didYouMean(flag, flagsOf(*chosen)), chosen->get_name()));
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
  argc = cutProgramLine(argc, argv);
  CLI::App app("Ingot compiles a model, its loss and its optimizer into one fused training step.");
  app.set_version_flag("--version", "ingot " INGOT_VERSION);
  app.require_subcommand(0, 1);
  // Scripts append flags: the last one counts.
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  std::map<const CLI::App *, std::function<Status()>> actions;
  for (const Command &command : commands) {
    CLI::App *subcommand = app.add_subcommand(command.name, command.summary);
    actions[subcommand] = command.declare(*subcommand);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ExtrasError &) {
    return unknownArgument(app, app.remaining(/*recurse=*/true).front());
  } catch (const CLI::Success &wanted) { // --help, --version
    app.exit(wanted);
    return finish({});
  } catch (const CLI::Error &error) {
    return usage(error.what());
  }
  if (app.get_subcommands().empty()) {
    std::fprintf(stderr, "%s", app.help().c_str());
    return 2;
  }
  Status status;
  try {
    status = actions.at(app.get_subcommands().front())();
  } catch (const std::bad_alloc &) {
    status = failure(Error::Code::Io, app.get_subcommands().front()->get_name(),
                     "the machine has not enough memory for it");
  }
  return finish(std::move(status));
}
