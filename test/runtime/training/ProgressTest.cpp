#include "runtime/training/Progress.h"
#include "runtime/training/Summary.h"
#include <cmath>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace ingot {
namespace {

/// What is written to a FILE.
class Captured {
public:
  Captured() : file(std::tmpfile()) {}
  ~Captured() { std::fclose(file); }
  std::string text() {
    std::fflush(file);
    std::rewind(file);
    std::string result;
    for (int character; (character = std::fgetc(file)) != EOF;)
      result += char(character);
    return result;
  }
  FILE *file;
};

StepReport report(int64_t step, int64_t steps, double loss) {
  return {.step = step, .steps = steps, .outcome = {.loss = loss}, .ms = 12.3456, .tokens = 1000};
}

TEST(Progress, NoDurationOverflows) {
  EXPECT_EQ(shortDuration(59.6), "1m00s");
  EXPECT_EQ(shortDuration(-1), "0s");
  for (const double seconds : {1e10, 1e30, double(INFINITY)})
    EXPECT_EQ(shortDuration(seconds), "1000000h00m");
}

TEST(Progress, PlainLinesAreRateLimited) {
  Captured captured;
  double clock = 100;
  {
    ProgressDisplay display(
        {.file = captured.file, .plainInterval = 5, .seconds = [&] { return clock; }});
    for (int64_t step = 1; step <= 20; ++step) {
      clock += 1;
      display.onStep(report(step, 20, 4.0 / double(step)));
    }
    display.onEvaluation(20, 1.5);
  }
  EXPECT_EQ(captured.text(), "step 1/20  loss 4.0000  1.0k tokens/s  19s left\n"
                             "step 6/20  loss 0.6667  1.0k tokens/s  14s left\n"
                             "step 11/20  loss 0.3636  1.0k tokens/s  9s left\n"
                             "step 16/20  loss 0.2500  1.0k tokens/s  4s left\n"
                             "step 20/20  loss 0.2000  1.0k tokens/s  in 20s\n"
                             "step 20  validation loss 1.5000\n");
}

TEST(Progress, ResumedRunsEstimateFromTheirOwnSteps) {
  Captured captured;
  double clock = 0;
  ProgressDisplay display({.file = captured.file, .seconds = [&] { return clock; }});
  clock = 2;
  display.onStep(report(901, 1000, 1));
  EXPECT_EQ(captured.text(), "step 901/1000  loss 1.0000  500 tokens/s  3m18s left\n");
}

TEST(Progress, TerminalKeepsOneLine) {
  for (int width : {20, 60, 200}) {
    Captured captured;
    double clock = 0;
    {
      ProgressDisplay display(
          {.file = captured.file, .terminal = true, .width = width, .seconds = [&] {
             return clock;
           }});
      for (int64_t step = 1; step <= 50; ++step) {
        clock += 0.06;
        display.onStep(report(step, 100, 1));
      }
      display.onNote("hello");
      display.onStep(report(100, 100, 1));
    }
    std::string text = captured.text();
    EXPECT_EQ(std::ranges::count(text, '\n'), 2); // the note's and the last one
    EXPECT_EQ(std::ranges::count(text, '\r'), 1 + 24 + 1 + 1);
    EXPECT_NE(text.find("\r\x1b[Knote: hello\n"), std::string::npos);
    EXPECT_EQ(text.find("\x1b[3"), std::string::npos); // no colour
    for (size_t begin = 0; (begin = text.find("\x1b[K", begin)) != text.npos;) {
      begin += 3;
      std::string line = text.substr(begin, text.find_first_of("\r\n", begin) - begin);
      EXPECT_LT(std::ranges::count_if(line, [](char byte) { return (byte & 0xC0) != 0x80; }), width)
          << line;
    }
  }
}

TEST(Progress, NoColorIsHonoured) {
  Captured captured;
  EXPECT_FALSE(progressOptions(captured.file).terminal);
  EXPECT_FALSE(progressOptions(captured.file).colour);
  ProgressDisplay display({.file = captured.file, .terminal = true, .colour = true});
  display.onStep(report(1, 2, 1));
  EXPECT_NE(captured.text().find("\x1b[36m"), std::string::npos);
}

TEST(JsonLines, LossesReadBackExactly) {
  Captured captured;
  JsonLines json(captured.file);
  const float losses[] = {4.1743874f, 1e-30f, 3.0f, std::nextafter(2.0f, 3.0f)};
  for (int64_t step = 1; float loss : losses)
    json.onStep(report(step++, 4, loss));
  json.onStep(report(5, 4, std::nan("")));
  json.onEvaluation(4, 2.5);
  std::string text = captured.text();
  EXPECT_TRUE(text.starts_with("{\"step\":1,\"loss\":4.1743875,\"ms\":12.346}\n")) << text;
  std::istringstream lines(text);
  std::string line;
  for (float loss : losses) {
    std::getline(lines, line);
    EXPECT_EQ(nlohmann::json::parse(line)["loss"].get<float>(), loss) << line;
  }
  std::getline(lines, line);
  EXPECT_TRUE(nlohmann::json::parse(line)["loss"].is_null());
  std::getline(lines, line);
  EXPECT_EQ(line, "{\"evaluation\":{\"step\":4,\"loss\":2.5}}");
}

Step call(uint32_t kernel) { return {CallStep{kernel, {}, {}, ""}}; }

TEST(Summary, CountsLaunchesAndKernels) {
  Function function;
  function.steps = {call(0), call(1), call(0)};
  function.steps.push_back({LoopStep{5, {call(2), {LoopStep{3, {call(3)}}}}}});
  function.steps.push_back({IfStep{0, {call(4)}, {call(4), call(5)}}});
  EXPECT_EQ(countLaunches(function), 3 + 5 * (1 + 3) + 2);
  EXPECT_EQ(countDistinctKernels(function), 6);
}

TEST(Summary, HoldsTheContractsFields) {
  Program program;
  program.arenaBytes = 4096;
  program.functions.emplace_back().name = "step";
  program.functions[0].steps = {call(0), call(0)};
  TrainingResult result;
  result.step = 3;
  result.stepMs = {10, 2, 4};
  result.tokensPerStep = 100;
  result.losses = {{{1, 4}, {2, 3}, {3, double(2.1f)}}, {{0, 4.5}}};
  auto json = nlohmann::json::parse(summarize(program, result, 12.5).toJson())["summary"];
  EXPECT_EQ(json["compile_ms"], 12.5);
  EXPECT_EQ(json["kernels"], 2);
  EXPECT_EQ(json["distinct_kernels"], 1);
  EXPECT_EQ(json["step_ms_median"], 4.0);
  EXPECT_EQ(json["tokens_per_s"], 25000.0);
  EXPECT_EQ(json["planned_bytes"], 4096);
  EXPECT_GT(json["peak_rss_bytes"].get<int64_t>(), 1 << 20);
  EXPECT_EQ(json["loss"], 2.1);
  EXPECT_EQ(json["validation_loss"], 4.5);
  result.stepMs = {1, 2, 3, 10};
  EXPECT_EQ(summarize(program, result, 0).stepMsMedian, 2.5);
  EXPECT_EQ(summarize(program, {}, 0).stepMsMedian, 0);
}

} // namespace
} // namespace ingot
