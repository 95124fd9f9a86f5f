/// What a subcommand is: a function that declares its flags and returns what runs.
#pragma once
#include "runtime/support/Result.h"
#include <CLI/CLI.hpp>
#include <functional>

namespace ingot {

using Action = std::function<Status()>;

struct Command {
  const char *name;
  const char *summary;
  Action (*declare)(CLI::App &app);
};

Action declareCompile(CLI::App &app);
Action declareRun(CLI::App &app);
Action declareTrain(CLI::App &app);
Action declareEval(CLI::App &app);
Action declareGenerate(CLI::App &app);
Action declarePlan(CLI::App &app);
Action declareBench(CLI::App &app);
Action declareTune(CLI::App &app);
Action declareInspect(CLI::App &app);
Action declareCheck(CLI::App &app);
Action declareConvert(CLI::App &app);
Action declareDevices(CLI::App &app);
Action declareEmulate(CLI::App &app);

/// A repeatable option that takes one value each time.
template <typename T>
CLI::Option *addRepeatable(CLI::App &app, const std::string &name, std::vector<T> &values,
                           const std::string &help) {
  return app.add_option(name, values, help)->type_size(1)->expected(1)->take_all();
}

} // namespace ingot
