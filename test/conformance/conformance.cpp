/// ONNX's node tests, compiled and run: `conformance DIR [FILTER [LEAST]]` for a folder of tests
/// such as Debian's libonnx-testdata, of which LEAST (1) must pass and none fail. A test passes if
/// the compiled program gives every output. Each runs in a process of its own, so that a crash or a
/// hang is one failure.
#include "frontend/api/Ingot.h"
#include "frontend/onnx/Import.h"
#include "runtime/support/HalfFloat.h"
#include "runtime/support/Print.h"
#include "llvm/ADT/StringRef.h"
#include <algorithm>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace ingot;
namespace fs = std::filesystem;

constexpr unsigned secondsForTest = 120;
/// What ONNX's own runner allows.
constexpr double relative = 1e-3, absolute = 1e-7;

/// Tests that are wrong themselves, or ask for what no number of ours can be.
struct KnownBad {
  std::string_view name, reason;
};
constexpr KnownBad knownBad[] = {
    {"test_adam_multiple", "its results have an epsilon of 0.01, which its node does not say"},
    {"test_cast_FLOAT_to_BFLOAT16", "its results are cut off, not rounded to the nearest"},
    {"test_castlike_BFLOAT16_to_FLOAT", "its data have another rank than the model's input"},
    {"test_castlike_BFLOAT16_to_FLOAT_expanded", "the same"},
    {"test_castlike_FLOAT_to_BFLOAT16", "the same"},
    {"test_castlike_FLOAT_to_BFLOAT16_expanded", "the same"},
    {"test_bernoulli", "its output is one of many that random numbers give"},
    {"test_bernoulli_double", "the same"},
    {"test_bernoulli_double_expanded", "the same"},
    {"test_bernoulli_expanded", "the same"},
    {"test_bernoulli_seed", "the same"},
    {"test_bernoulli_seed_expanded", "the same"},
    {"test_training_dropout", "the same"},
    {"test_training_dropout_default", "the same"},
    {"test_training_dropout_default_mask", "the same"},
    {"test_training_dropout_mask", "the same"},
};

enum class Verdict : char { Passed = 'p', Failed = 'f', Refused = 'r' };

struct Outcome {
  Verdict verdict = Verdict::Failed;
  std::string reason;
};

std::string numbered(const fs::path &folder, const char *what, size_t index) {
  return (folder / fmt::format("{}_{}.pb", what, index)).string();
}

std::string compare(const Tensor &actual, const Tensor &expected) {
  if (actual.type() != expected.type() || actual.shape() != expected.shape())
    return fmt::format("is {} {}, not {} {}", toString(actual.shape()), name(actual.type()),
                       toString(expected.shape()), name(expected.type()));
  for (int64_t i = 0; i < actual.size(); ++i) {
    const double a = loadElement(actual.type(), actual.data(), i),
                 e = loadElement(expected.type(), expected.data(), i);
    const bool isSame = a == e || (std::isnan(a) && std::isnan(e));
    if (!isSame && !(std::abs(a - e) <= absolute + relative * std::abs(e)))
      return fmt::format("element {} is {}, not {}", i, a, e);
  }
  return "";
}

/// A value of a test by the names that its elements have in the model.
struct Named {
  std::vector<std::pair<std::string, Tensor>> elements;
  bool isThere = true;
};

Result<Named> readValue(const std::string &path, const onnx::FilePort &port) {
  using Kind = onnx::FilePort::Kind;
  Named named;
  if (port.kind == Kind::Tensor) {
    INGOT_ASSIGN(Tensor value, onnx::readTensorFile(path));
    // The data of version 1.12 say u16 where they mean bf16.
    if (port.type == ElementType::BF16 && value.type() == ElementType::U16) {
      Tensor same(ElementType::BF16, value.shape());
      std::memcpy(same.data(), value.data(), value.bytes());
      value = std::move(same);
    }
    named.elements.emplace_back(port.name, std::move(value));
    return named;
  }
  INGOT_ASSIGN(auto values, onnx::readSequenceFile(path, port.kind != Kind::Sequence));
  named.isThere = values.has_value();
  for (size_t i = 0; values && i < values->size(); ++i)
    named.elements.emplace_back(
        port.kind == Kind::Optional ? port.name : fmt::format("{}.{}", port.name, i), (*values)[i]);
  return named;
}

Outcome refused(const Error &error) { return {Verdict::Refused, error.text()}; }

Outcome runDataSet(const onnx::OnnxFile &file, const fs::path &folder) {
  Result<std::vector<onnx::FilePort>> inputs = onnx::inputsOf(file),
                                      outputs = onnx::outputsOf(file);
  if (!inputs)
    return refused(inputs.error());
  if (!outputs)
    return refused(outputs.error());
  onnx::ImportOptions options;
  Tensors given;
  for (size_t i = 0; i < inputs->size(); ++i) {
    const onnx::FilePort &port = (*inputs)[i];
    Result<Named> named = readValue(numbered(folder, "input", i), port);
    if (!named)
      return refused(named.error());
    for (const auto &[name, value] : named->elements) {
      given[name] = value;
      if (port.kind == onnx::FilePort::Kind::Tensor) {
        options.shapes[name] = value.shape();
        options.values[name] = value;
      } else {
        options.sequences[port.name].push_back(value);
      }
    }
    if (named->isThere && port.kind != onnx::FilePort::Kind::Tensor)
      options.sequences[port.name];
  }
  Result<Model> model = onnx::importModel(file, options);
  if (!model)
    return refused(model.error());
  Result<CompiledProgram> program = model->compile({.threads = 1, .cache = false, .tuned = false});
  if (!program)
    return refused(program.error());
  Result<Tensors> results = program->run(given);
  if (!results)
    return {Verdict::Failed, results.error().text()};
  for (size_t i = 0; i < outputs->size(); ++i) {
    Result<Named> expected = readValue(numbered(folder, "output", i), (*outputs)[i]);
    if (!expected)
      return refused(expected.error());
    for (const auto &[name, value] : expected->elements) {
      auto actual = results->find(name);
      if (actual == results->end())
        return {Verdict::Failed, fmt::format("there is no output {}", name)};
      if (std::string difference = compare(actual->second, value); !difference.empty())
        return {Verdict::Failed, fmt::format("{}: {}", name, difference)};
    }
  }
  return {Verdict::Passed, ""};
}

Outcome runTest(const fs::path &folder) {
  Result<onnx::OnnxFile> file = onnx::OnnxFile::open((folder / "model.onnx").string());
  if (!file)
    return refused(file.error());
  for (size_t set = 0;; ++set) {
    const fs::path data = folder / fmt::format("test_data_set_{}", set);
    if (!fs::exists(data))
      return set ? Outcome{Verdict::Passed, ""} : Outcome{Verdict::Failed, "it has no data"};
    if (Outcome outcome = runDataSet(*file, data); outcome.verdict != Verdict::Passed)
      return outcome;
  }
}

/// A test in a process of its own.
class Child {
public:
  explicit Child(const fs::path &folder) : name(folder.filename().string()) {
    int ends[2];
    if (::pipe(ends))
      std::abort();
    process = ::fork();
    if (process == 0) {
      ::alarm(secondsForTest);
      const Outcome outcome = runTest(folder);
      const std::string text = char(outcome.verdict) + outcome.reason;
      for (size_t done = 0; done < text.size();) {
        const ssize_t count = ::write(ends[1], text.data() + done, text.size() - done);
        if (count <= 0)
          break;
        done += size_t(count);
      }
      ::_exit(0);
    }
    ::close(ends[1]);
    descriptor = ends[0];
  }

  Outcome finish() const {
    std::string text;
    char bytes[4096];
    for (ssize_t count; (count = ::read(descriptor, bytes, sizeof bytes)) > 0;)
      text.append(bytes, size_t(count));
    ::close(descriptor);
    int status = 0;
    ::waitpid(process, &status, 0);
    if (WIFSIGNALED(status))
      return {Verdict::Failed, fmt::format("ended by {}", strsignal(WTERMSIG(status)))};
    if (text.empty())
      return {Verdict::Failed, "ended without a word"};
    return {Verdict(text[0]), text.substr(1)};
  }

  std::string name;

private:
  pid_t process = 0;
  int descriptor = -1;
};

/// `Op: reason` of the first refused node, or the reason alone.
std::string summaryOf(const std::string &reason) {
  const size_t list = reason.find(":\n  ");
  std::string line = list == reason.npos ? reason : reason.substr(list + 4);
  line = line.substr(0, line.find('\n'));
  const size_t open = line.find(" ("), comma = line.find(", opset", open);
  if (open == line.npos || comma == line.npos)
    return line.substr(line.find(": ") == line.npos ? 0 : line.find(": ") + 2);
  const size_t colon = line.find("): ", comma);
  return line.substr(open + 2, comma - open - 2) +
         (colon == line.npos ? "" : ": " + line.substr(colon + 3));
}

} // namespace

int main(int count, char **arguments) {
  size_t least = 1;
  if (count < 2 || count > 4 || !fs::is_directory(arguments[1]) ||
      (count > 3 && llvm::StringRef(arguments[3]).getAsInteger(10, least))) {
    print(stderr, "usage: conformance DIR [FILTER [LEAST]]: DIR has a folder for each test, LEAST "
                  "must pass\n");
    return 2;
  }
  const std::string filter = count > 2 ? arguments[2] : "";
  std::vector<fs::path> folders;
  for (const fs::directory_entry &entry : fs::directory_iterator(arguments[1]))
    if (fs::exists(entry.path() / "model.onnx") &&
        entry.path().filename().string().find(filter) != std::string::npos)
      folders.push_back(entry.path());
  std::ranges::sort(folders);
  size_t passed = 0, failed = 0, known = 0;
  std::map<std::string, std::vector<std::string>> reasons;
  auto take = [&](const Child &child) {
    const Outcome outcome = child.finish();
    const auto bad = std::ranges::find(knownBad, child.name, &KnownBad::name);
    if (outcome.verdict == Verdict::Passed)
      ++passed;
    else if (bad != std::end(knownBad)) {
      ++known;
      print("known bad: {}: {}\n", bad->name, bad->reason);
    } else if (outcome.verdict == Verdict::Refused)
      reasons[summaryOf(outcome.reason)].push_back(child.name);
    else {
      ++failed;
      print("FAILED {}: {}\n", child.name, outcome.reason);
    }
  };
  const size_t together = std::max<size_t>(size_t(::sysconf(_SC_NPROCESSORS_ONLN)), 1);
  std::vector<Child> running;
  for (const fs::path &folder : folders) {
    if (running.size() == together) {
      take(running.front());
      running.erase(running.begin());
    }
    running.emplace_back(folder);
  }
  for (const Child &child : running)
    take(child);
  std::vector<std::pair<std::string, std::vector<std::string>>> counts(reasons.begin(),
                                                                       reasons.end());
  std::ranges::stable_sort(counts, std::greater(),
                           [](const auto &row) { return row.second.size(); });
  size_t refusals = 0;
  for (const auto &[reason, names] : counts) {
    refusals += names.size();
    print("{:4} {} ({}{})\n", names.size(), reason, names[0], names.size() > 1 ? ", …" : "");
  }
  print("{} passed, {} failed, {} refused, {} known to be bad\n", passed, failed, refusals, known);
  if (passed < least)
    print("fewer than {} passed\n", least);
  return failed || passed < least ? 1 : 0;
}
