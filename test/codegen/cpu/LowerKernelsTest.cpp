/// Kernels of the elementwise, row, column, update and scatter roots, written as stage `kernels`
/// IR, against plain loops: odd sizes, tails, broadcasts, views, NaN and infinity.
#include "test/codegen/CompiledKernel.h"
#include <cmath>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <functional>
#include <gtest/gtest.h>
#include <limits>
#include <random>

namespace ingot::test {
namespace {

std::string tensor(const Shape &shape, const std::string &element = "f32") {
  return fmt::format("tensor<{}{}{}>", fmt::join(shape, "x"), shape.empty() ? "" : "x", element);
}

std::string dims(int64_t rank) {
  std::string list;
  for (int64_t dim = 0; dim < rank; ++dim)
    list += fmt::format("{}d{}", dim ? ", " : "", dim);
  return list;
}

/// One operand of a linalg.generic: its name, type, and the loops that index it.
struct Operand {
  std::string name, type, map;
};

/// `%result = linalg.generic`; `parallel` leading loops, the rest reduce. Arguments of the body are
/// %a0, %a1, … and %o.
std::string generic(const std::string &result, int64_t parallel, int64_t rank,
                    const std::vector<Operand> &inputs, const Operand &output,
                    const std::string &body) {
  std::string maps, iterators, names, types, arguments;
  auto element = [](const std::string &type) {
    size_t x = type.rfind('x'), open = type.rfind('<');
    size_t start = (x == std::string::npos ? open : x) + 1;
    return type.substr(start, type.size() - 1 - start);
  };
  auto map = [&](const Operand &operand) {
    return fmt::format("affine_map<({}) -> ({})>", dims(rank), operand.map);
  };
  for (size_t i = 0; i < inputs.size(); ++i) {
    maps += map(inputs[i]) + ", ";
    names += (i ? ", " : "") + inputs[i].name;
    types += (i ? ", " : "") + inputs[i].type;
    arguments += fmt::format("%a{}: {}, ", i, element(inputs[i].type));
  }
  for (int64_t dim = 0; dim < rank; ++dim)
    iterators +=
        fmt::format("{}\"{}\"", dim ? ", " : "", dim < parallel ? "parallel" : "reduction");
  std::string ins = inputs.empty() ? "" : fmt::format("ins({} : {}) ", names, types);
  return fmt::format(
      "  {} = linalg.generic {{indexing_maps = [{}{}], iterator_types = [{}]}} {}outs({} : {}) {{\n"
      "  ^bb0({}%o: {}):\n{}\n  }} -> {}\n",
      result, maps, map(output), iterators, ins, output.name, output.type, arguments,
      element(output.type), body, output.type);
}

std::string kernel(const std::string &root, const std::vector<std::string> &arguments,
                   const std::vector<std::string> &results, const std::string &body,
                   const std::string &returned) {
  std::string list;
  for (size_t i = 0; i < arguments.size(); ++i)
    list += fmt::format("{}%x{}: {}", i ? ", " : "", i, arguments[i]);
  std::string types = fmt::format("{}", fmt::join(results, ", "));
  return fmt::format(
      "func.func private @pointwise({}) -> ({}) attributes {{graph.kernel = \"{}\"}} {{\n"
      "{}  return {} : {}\n}}",
      list, types, root, body, returned, types);
}

std::string empty(const std::string &name, const std::string &type) {
  return fmt::format("  {} = tensor.empty() : {}\n", name, type);
}

std::string filled(const std::string &name, const std::string &type, const std::string &value) {
  return fmt::format("  {0}_c = arith.constant {2} : f32\n  {0}_e = tensor.empty() : {1}\n"
                     "  {0} = linalg.fill ins({0}_c : f32) outs({0}_e : {1}) -> {1}\n",
                     name, type, value);
}

Tensor random(const Shape &shape) {
  static uint64_t next = testSeed();
  return randomTensor(ElementType::F32, shape, ++next);
}

/// Runs the kernel in every way of sharing grains out, then with each result in the place of an
/// operand that it may overwrite: all must agree bit by bit.
std::vector<Tensor> runEveryWay(const CompiledKernel &compiled,
                                const std::vector<Tensor> &arguments) {
  std::vector<Tensor> expected = compiled.run(arguments);
  for (auto [result, operand] : compiled.inPlace) {
    std::vector<Tensor> memory;
    for (const Tensor &argument : arguments)
      memory.push_back(argument.clone());
    for (size_t i = 0; i < expected.size(); ++i)
      memory.push_back(i == size_t(result) ? memory[operand]
                                           : Tensor(expected[i].type(), expected[i].shape()));
    compiled.runIn(memory);
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_EQ(
          std::memcmp(memory[arguments.size() + i].data(), expected[i].data(), expected[i].bytes()),
          0)
          << "result " << i << " differs where result " << result << " overwrites operand "
          << operand;
  }
  return expected;
}

bool maySharePlace(const CompiledKernel &compiled, int64_t result, int64_t operand) {
  return std::find(compiled.inPlace.begin(), compiled.inPlace.end(), std::pair(result, operand)) !=
         compiled.inPlace.end();
}

void expectNear(const Tensor &got, const std::function<double(int64_t)> &want, double tolerance) {
  for (int64_t i = 0; i < got.size(); ++i) {
    double value = elementAt(got, i), exact = want(i);
    if (std::isnan(exact)) {
      EXPECT_TRUE(std::isnan(value)) << "element " << i;
    } else if (std::isinf(exact)) {
      EXPECT_EQ(value, exact) << "element " << i;
    } else {
      ASSERT_NEAR(value, exact, tolerance * (1 + std::abs(exact))) << "element " << i;
    }
  }
}

//===--------------------------------------------------------------------------------------------===//
// Elementwise
//===--------------------------------------------------------------------------------------------===//

TEST(LowerKernels, ElementwiseWithBroadcasts) {
  for (Shape shape :
       {Shape{1, 1}, Shape{3, 50}, Shape{37, 16}, Shape{64, 64}, Shape{300, 7}, Shape{2, 1000}}) {
    int64_t rows = shape[0], columns = shape[1];
    std::string full = tensor(shape), flags = tensor(shape, "i1");
    CompiledKernel compiled(kernel(
        "elementwise", {full, tensor({columns}), tensor({rows})}, {full, flags},
        empty("%e", full) + empty("%f", flags) +
            generic("%0", 2, 2,
                    {{"%x0", full, "d0, d1"},
                     {"%x1", tensor({columns}), "d1"},
                     {"%x2", tensor({rows}), "d0"}},
                    {"%e", full, "d0, d1"},
                    "    %s = math.fma %a0, %a1, %a2 : f32\n    linalg.yield %s : f32") +
            generic("%1", 2, 2, {{"%0", full, "d0, d1"}}, {"%f", flags, "d0, d1"},
                    "    %z = arith.constant 0.0 : f32\n    %c = arith.cmpf olt, %a0, %z : f32\n"
                    "    linalg.yield %c : i1"),
        "%0, %1"));
    Tensor x = random(shape), scale = random({columns}), shift = random({rows});
    x.as<float>()[0] = std::numeric_limits<float>::quiet_NaN();
    x.as<float>()[x.size() / 2] = std::numeric_limits<float>::infinity();
    std::vector<Tensor> results = runEveryWay(compiled, {x, scale, shift});
    for (int64_t i = 0; i < x.size(); ++i) {
      float want = std::fma(x.as<float>()[i], scale.as<float>()[i % columns],
                            shift.as<float>()[i / columns]);
      float got = results[0].as<float>()[i];
      ASSERT_TRUE(got == want || (std::isnan(got) && std::isnan(want))) << i;
      ASSERT_EQ(results[1].as<uint8_t>()[i], want < 0) << i;
    }
  }
}

TEST(LowerKernels, EmptyAndScalar) {
  CompiledKernel nothing(
      kernel("elementwise", {"tensor<0x3xf32>"}, {"tensor<0x3xf32>"},
             empty("%e", "tensor<0x3xf32>") +
                 generic("%0", 2, 2, {{"%x0", "tensor<0x3xf32>", "d0, d1"}},
                         {"%e", "tensor<0x3xf32>", "d0, d1"}, "    linalg.yield %a0 : f32"),
             "%0"));
  EXPECT_EQ(nothing.grains.front(), 0);
  CompiledKernel scalar(
      kernel("elementwise", {"tensor<f32>"}, {"tensor<f32>"},
             empty("%e", "tensor<f32>") +
                 generic("%0", 0, 0, {{"%x0", "tensor<f32>", ""}}, {"%e", "tensor<f32>", ""},
                         "    %s = arith.addf %a0, %a0 : f32\n    linalg.yield %s : f32"),
             "%0"));
  Tensor x = random({});
  EXPECT_EQ(runEveryWay(scalar, {x})[0].as<float>()[0], 2 * x.as<float>()[0]);
}

TEST(LowerKernels, TransposeAndReshape) {
  // [4, 3, 40] → heads apart: [3, 4, 8, 5], transposed twice.
  std::string in = tensor({4, 3, 40}), split = tensor({4, 3, 8, 5}), out = tensor({3, 4, 5, 8});
  CompiledKernel compiled(
      kernel("elementwise", {in}, {out},
             fmt::format("  %s = tensor.expand_shape %x0 [[0], [1], [2, 3]] output_shape [4, 3, 8, "
                         "5] : {} into {}\n",
                         in, split) +
                 empty("%e", out) +
                 generic("%0", 4, 4, {{"%s", split, "d1, d0, d3, d2"}},
                         {"%e", out, "d0, d1, d2, d3"}, "    linalg.yield %a0 : f32"),
             "%0"));
  Tensor x = random({4, 3, 40}), result = runEveryWay(compiled, {x})[0];
  for (int64_t i = 0; i < result.size(); ++i) {
    int64_t d3 = i % 8, d2 = i / 8 % 5, d1 = i / 40 % 4, d0 = i / 160;
    ASSERT_EQ(result.as<float>()[i], x.as<float>()[(d1 * 3 + d0) * 40 + d3 * 5 + d2]) << i;
  }
  EXPECT_TRUE(compiled.inPlace.empty());
}

TEST(LowerKernels, SlicePadConcat) {
  for (int64_t width : {5, 16, 50}) {
    std::string in = tensor({6, width}), sliced = tensor({3, width}),
                padded = tensor({5, width + 4}), both = tensor({5, 2 * width + 8});
    CompiledKernel compiled(
        kernel("elementwise", {in, padded}, {both},
               fmt::format("  %s = tensor.extract_slice %x0[1, 0] [3, {0}] [2, 1] : {1} to {2}\n"
                           "  %c = arith.constant 7.0 : f32\n"
                           "  %p = tensor.pad %s low[1, 3] high[1, 1] {{\n  ^bb0(%i: index, %j: "
                           "index):\n    tensor.yield %c : f32\n  }} : {2} to {3}\n"
                           "  %k = tensor.concat dim(1) %p, %x1 : ({3}, {3}) -> {4}\n",
                           width, in, sliced, padded, both) +
                   empty("%e", both) +
                   generic("%0", 2, 2, {{"%k", both, "d0, d1"}}, {"%e", both, "d0, d1"},
                           "    %s1 = arith.negf %a0 : f32\n    linalg.yield %s1 : f32"),
               "%0"));
    Tensor x = random({6, width}), y = random({5, width + 4}),
           result = runEveryWay(compiled, {x, y})[0];
    for (int64_t row = 0; row < 5; ++row)
      for (int64_t column = 0; column < 2 * width + 8; ++column) {
        float want = 7;
        if (column >= width + 4)
          want = y.as<float>()[row * (width + 4) + column - width - 4];
        else if (row >= 1 && row < 4 && column >= 3 && column < width + 3)
          want = x.as<float>()[(2 * row - 1) * width + column - 3];
        ASSERT_EQ(result.as<float>()[row * (2 * width + 8) + column], -want)
            << row << ", " << column;
      }
  }
}

TEST(LowerKernels, GatherClampsItsIndices) {
  for (int64_t width : {1, 3, 48}) {
    std::string table = tensor({9, width}), out = tensor({7, width});
    CompiledKernel compiled(
        kernel("elementwise", {table, tensor({7}, "i64")}, {out},
               fmt::format("  %g = graph.gather %x0, %x1 dimension 0 : {}, tensor<7xi64> -> {}\n",
                           table, out) +
                   empty("%e", out) +
                   generic("%0", 2, 2, {{"%g", out, "d0, d1"}}, {"%e", out, "d0, d1"},
                           "    linalg.yield %a0 : f32"),
               "%0"));
    Tensor x = random({9, width}), indices(ElementType::I64, {7});
    const int64_t chosen[] = {0, 8, 3, -5, 100, 3, 1};
    std::copy_n(chosen, 7, indices.as<int64_t>());
    Tensor result = runEveryWay(compiled, {x, indices})[0];
    for (int64_t i = 0; i < result.size(); ++i)
      ASSERT_EQ(result.as<float>()[i],
                x.as<float>()[std::clamp<int64_t>(chosen[i / width], 0, 8) * width + i % width]);
  }
}

TEST(LowerKernels, NarrowTypesAndIntegers) {
  int64_t count = 77;
  auto type = [&](const char *element) { return tensor({count}, element); };
  CompiledKernel compiled(
      kernel("elementwise", {type("bf16"), type("i32"), type("ui8")},
             {type("bf16"), type("i32"), type("f32")},
             empty("%b", type("bf16")) + empty("%i", type("i32")) + empty("%f", type("f32")) +
                 generic("%0", 1, 1, {{"%x0", type("bf16"), "d0"}}, {"%b", type("bf16"), "d0"},
                         "    %w = arith.extf %a0 : bf16 to f32\n    %p = arith.mulf %w, %w : f32\n"
                         "    %n = arith.truncf %p : f32 to bf16\n    linalg.yield %n : bf16") +
                 generic("%1", 1, 1, {{"%x1", type("i32"), "d0"}}, {"%i", type("i32"), "d0"},
                         "    %c = arith.constant 7 : i32\n    %q = arith.divsi %a0, %c : i32\n"
                         "    %r = arith.remsi %a0, %c : i32\n    %s = arith.muli %q, %r : i32\n   "
                         " linalg.yield %s : i32") +
                 generic("%2", 1, 1, {{"%x2", type("ui8"), "d0"}}, {"%f", type("f32"), "d0"},
                         "    %u = builtin.unrealized_conversion_cast %a0 : ui8 to i8\n"
                         "    %g = arith.uitofp %u : i8 to f32\n    linalg.yield %g : f32"),
             "%0, %1, %2"));
  Tensor x = randomTensor(ElementType::BF16, {count}, testSeed()), whole(ElementType::I32, {count}),
         bytes(ElementType::U8, {count});
  std::mt19937 generator(testSeed());
  for (int64_t i = 0; i < count; ++i) {
    whole.as<int32_t>()[i] = int32_t(generator());
    bytes.as<uint8_t>()[i] = uint8_t(generator());
  }
  std::vector<Tensor> results = runEveryWay(compiled, {x, whole, bytes});
  for (int64_t i = 0; i < count; ++i) {
    double value = elementAt(x, i);
    ASSERT_NEAR(elementAt(results[0], i), value * value, value * value / 256);
    int32_t given = whole.as<int32_t>()[i], quotient = given / 7;
    ASSERT_EQ(results[1].as<int32_t>()[i], int32_t(uint32_t(quotient) * uint32_t(given % 7)));
    ASSERT_EQ(results[2].as<float>()[i], bytes.as<uint8_t>()[i]);
  }
}

//===--------------------------------------------------------------------------------------------===//
// Rows and columns
//===--------------------------------------------------------------------------------------------===//

/// softmax and the log of its denominator.
std::string softmaxKernel(int64_t rows, int64_t columns) {
  std::string full = tensor({rows, columns}), line = tensor({rows});
  return kernel(
      "row", {full}, {full, line},
      empty("%e", full) + empty("%l", line) + filled("%low", line, "0xFF800000") +
          filled("%zero", line, "0.0") +
          generic("%m", 1, 2, {{"%x0", full, "d0, d1"}}, {"%low", line, "d0"},
                  "    %r = arith.maximumf %o, %a0 : f32\n    linalg.yield %r : f32") +
          generic("%p", 2, 2, {{"%x0", full, "d0, d1"}, {"%m", line, "d0"}}, {"%e", full, "d0, d1"},
                  "    %d = arith.subf %a0, %a1 : f32\n    %r = math.exp %d : f32\n    "
                  "linalg.yield %r : f32") +
          generic("%s", 1, 2, {{"%p", full, "d0, d1"}}, {"%zero", line, "d0"},
                  "    %r = arith.addf %o, %a0 : f32\n    linalg.yield "
                  "%r : f32") +
          generic("%0", 2, 2, {{"%p", full, "d0, d1"}, {"%s", line, "d0"}}, {"%e", full, "d0, d1"},
                  "    %r = arith.divf %a0, %a1 : f32\n    linalg.yield %r : f32") +
          generic("%1", 1, 1, {{"%m", line, "d0"}, {"%s", line, "d0"}}, {"%l", line, "d0"},
                  "    %g = math.log %a1 : f32\n    %r = arith.addf %g, %a0 : f32\n    "
                  "linalg.yield %r : f32"),
      "%0, %1");
}

TEST(LowerKernels, RowsOfEverySize) {
  for (auto [rows, columns] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 1}, {3, 2}, {5, 16}, {37, 50}, {9, 64}, {4, 131}, {2, 1030}}) {
    SCOPED_TRACE(fmt::format("{} rows of {}", rows, columns));
    CompiledKernel compiled(softmaxKernel(rows, columns));
    Tensor x = random({rows, columns});
    if (columns > 1)
      x.as<float>()[1] = -std::numeric_limits<float>::infinity(); // as a mask does
    std::vector<Tensor> results = runEveryWay(compiled, {x});
    std::vector<double> sums(rows);
    for (int64_t i = 0; i < x.size(); ++i)
      sums[i / columns] += std::exp(double(x.as<float>()[i]));
    expectNear(
        results[0],
        [&](int64_t i) { return std::exp(double(x.as<float>()[i])) / sums[i / columns]; }, 2e-6);
    expectNear(results[1], [&](int64_t i) { return std::log(sums[i]); }, 2e-6);
  }
}

TEST(LowerKernels, NotANumberSpreadsInItsRowAlone) {
  CompiledKernel compiled(softmaxKernel(3, 40));
  Tensor x = random({3, 40});
  x.as<float>()[40 + 39] = std::numeric_limits<float>::quiet_NaN(); // in the tail
  std::vector<Tensor> results = runEveryWay(compiled, {x});
  for (int64_t i = 0; i < 120; ++i)
    EXPECT_EQ(std::isnan(results[0].as<float>()[i]), i / 40 == 1) << i;
}

TEST(LowerKernels, RowsOverSeveralDimensionsAndOfNothing) {
  std::string full = tensor({5, 3, 7}), line = tensor({5});
  auto sum = [&](const std::string &in) {
    return kernel("row", {in}, {line},
                  filled("%zero", line, "2.0") + generic("%0", 1, 3, {{"%x0", in, "d0, d1, d2"}},
                                                         {"%zero", line, "d0"},
                                                         "    %r = arith.addf %o, %a0 : f32\n    "
                                                         "linalg.yield %r : f32"),
                  "%0");
  };
  Tensor x = random({5, 3, 7});
  expectNear(
      runEveryWay(CompiledKernel(sum(full)), {x})[0],
      [&](int64_t row) {
        double total = 2;
        for (int64_t i = 0; i < 21; ++i)
          total += x.as<float>()[row * 21 + i];
        return total;
      },
      1e-6);
  Tensor none(ElementType::F32, {5, 0, 7});
  expectNear(
      runEveryWay(CompiledKernel(sum(tensor({5, 0, 7}))), {none})[0], [](int64_t) { return 2; }, 0);
}

TEST(LowerKernels, ArgmaxReducesAtThePoint) {
  std::string full = tensor({6, 45}), line = tensor({6}), index = tensor({6}, "i64");
  std::string text = kernel(
      "row", {full}, {index},
      filled("%low", line, "0xFF800000") + "  %ze = arith.constant dense<0> : " + index + "\n" +
          fmt::format(
              "  %m, %0 = linalg.generic {{indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, "
              "affine_map<(d0, d1) -> (d0)>, "
              "affine_map<(d0, d1) -> (d0)>], iterator_types = [\"parallel\", \"reduction\"]}} "
              "ins(%x0 : {0}) "
              "outs(%low, %ze : {1}, {2}) {{\n  ^bb0(%a: f32, %b: f32, %c: i64):\n    %j = "
              "linalg.index 1 : index\n"
              "    %k = arith.index_cast %j : index to i64\n    %g = arith.cmpf ogt, %a, %b : f32\n"
              "    %v = arith.select %g, %a, %b : f32\n    %w = arith.select %g, %k, %c : i64\n"
              "    linalg.yield %v, %w : f32, i64\n  }} -> ({1}, {2})\n",
              full, line, index),
      "%0");
  Tensor x = random({6, 45}), result = runEveryWay(CompiledKernel(text), {x})[0];
  for (int64_t row = 0; row < 6; ++row) {
    const float *start = x.as<float>() + row * 45;
    EXPECT_EQ(result.as<int64_t>()[row], std::max_element(start, start + 45) - start);
  }
}

TEST(LowerKernels, ColumnSums) {
  for (auto [rows, columns] : std::vector<std::pair<int64_t, int64_t>>{{1, 1},
                                                                       {33, 10},
                                                                       {7, 64},
                                                                       {20, 100},
                                                                       {100, 300},
                                                                       {21, 1300},
                                                                       {9, 2048},
                                                                       {0, 20},
                                                                       {513, 40},
                                                                       {1027, 768},
                                                                       {600, 1300}}) {
    SCOPED_TRACE(fmt::format("{} rows, {} columns", rows, columns));
    std::string full = tensor({rows, columns}), line = tensor({columns});
    auto transposed = [&](const std::string &name, const std::vector<Operand> &inputs,
                          const std::string &start, const std::string &sum) {
      // Kept dimension first in the loops, last in memory.
      return generic(name, 1, 2, inputs, {start, line, "d0"}, sum + "    linalg.yield %r : f32");
    };
    CompiledKernel compiled(
        kernel("column", {full, full, line}, {line, line},
               filled("%zero", line, "0.0") +
                   transposed("%0", {{"%x0", full, "d1, d0"}, {"%x1", full, "d1, d0"}}, "%zero",
                              "    %r = math.fma %a0, %a1, %o : f32\n") +
                   transposed("%1", {{"%x0", full, "d1, d0"}}, "%x2",
                              "    %v = arith.negf %a0 : f32\n    %r = arith.addf %o, %v : f32\n"),
               "%0, %1"));
    Tensor x = random({rows, columns}), y = random({rows, columns}), base = random({columns});
    std::vector<Tensor> results = runEveryWay(compiled, {x, y, base});
    auto column = [&](int64_t c, auto value) {
      double total = 0;
      for (int64_t row = 0; row < rows; ++row)
        total += value(row * columns + c);
      return total;
    };
    expectNear(
        results[0],
        [&](int64_t c) {
          return column(c, [&](int64_t i) { return double(x.as<float>()[i]) * y.as<float>()[i]; });
        },
        1e-5 * (1 + double(rows) / 100));
    expectNear(
        results[1],
        [&](int64_t c) {
          return base.as<float>()[c] -
                 column(c, [&](int64_t i) { return double(x.as<float>()[i]); });
        },
        1e-5 * (1 + double(rows) / 100));
    EXPECT_TRUE(maySharePlace(compiled, 1, 2));
    EXPECT_FALSE(maySharePlace(compiled, 0, 0));
  }
}

/// Many rows are summed in chunks of a first launch, which a second one adds up; the bits are those
/// of a kernel that sums other rows too, and does everything in one launch.
TEST(LowerKernels, SumsOfManyRowsInTwoLaunches) {
  for (auto [rows, columns] : std::vector<std::pair<int64_t, int64_t>>{
           {512, 768}, {1027, 768}, {2050, 200}, {1500, 1300}}) {
    SCOPED_TRACE(fmt::format("{} rows, {} columns", rows, columns));
    std::string full = tensor({rows, columns}), less = tensor({7, columns}),
                line = tensor({columns});
    auto sum = [&](const std::string &name, const std::string &of, const std::string &type) {
      return generic(name, 1, 2, {{of, type, "d1, d0"}}, {"%zero", line, "d0"},
                     "    %r = arith.addf %o, %a0 : f32\n    linalg.yield %r : f32");
    };
    const std::string zero = filled("%zero", line, "0.0");
    CompiledKernel alone(kernel("column", {full}, {line}, zero + sum("%0", "%x0", full), "%0"));
    EXPECT_EQ(alone.grains.size(), 2);
    EXPECT_GT(alone.launchScratchBytes, 0);
    CompiledKernel beside(kernel("column", {full, less}, {line, line},
                                 zero + sum("%0", "%x0", full) + sum("%1", "%x1", less), "%0, %1"));
    EXPECT_EQ(beside.grains.size(), 1);
    Tensor x = random({rows, columns}), y = random({7, columns});
    Tensor first = runEveryWay(alone, {x}).front(), second = runEveryWay(beside, {x, y}).front();
    EXPECT_EQ(std::memcmp(first.data(), second.data(), first.bytes()), 0);
    expectNear(
        first,
        [&](int64_t column) {
          double total = 0;
          for (int64_t row = 0; row < rows; ++row)
            total += x.as<float>()[row * columns + column];
          return total;
        },
        1e-4);
  }
}

//===--------------------------------------------------------------------------------------------===//
// Updates and scatters
//===--------------------------------------------------------------------------------------------===//

TEST(LowerKernels, UpdatesInPlace) {
  for (int64_t count : {16, 100, 70000}) {
    std::string line = tensor({count});
    Operand p{"%x0", line, "d0"}, g{"%x1", line, "d0"}, m{"%x2", line, "d0"},
        rate{"%x3", tensor({}), ""};
    CompiledKernel compiled(
        kernel("update", {line, line, line, tensor({})}, {line, line},
               empty("%e", line) +
                   generic("%1", 1, 1, {m, g}, {"%e", line, "d0"},
                           "    %b = arith.constant 0.9 : f32\n    %k = arith.mulf %a0, %b : f32\n "
                           "   %r = arith.addf %k, %a1 : f32\n"
                           "    linalg.yield %r : f32") +
                   generic("%0", 1, 1, {p, {"%1", line, "d0"}, rate}, {"%e", line, "d0"},
                           "    %k = arith.mulf %a2, %a1 : f32\n    %r = arith.subf %a0, %k : "
                           "f32\n    linalg.yield %r : f32"),
               "%0, %1"));
    EXPECT_EQ(compiled.grains.front(), (count + 65535) / 65536);
    Tensor x = random({count}), gradient = random({count}), momentum = random({count}),
           lr = random({});
    std::vector<Tensor> results = runEveryWay(compiled, {x, gradient, momentum, lr});
    for (int64_t i = 0; i < count; ++i) {
      float next = momentum.as<float>()[i] * 0.9f + gradient.as<float>()[i];
      ASSERT_EQ(results[1].as<float>()[i], next);
      ASSERT_EQ(results[0].as<float>()[i], x.as<float>()[i] - lr.as<float>()[0] * next);
    }
    EXPECT_TRUE(maySharePlace(compiled, 0, 0));
    EXPECT_TRUE(maySharePlace(compiled, 1, 2));
  }
}

TEST(LowerKernels, ScatterAddInOrder) {
  struct Case {
    int64_t outer, size, inner;
  };
  for (auto [outer, size, inner] :
       {Case{1, 9, 37}, Case{1, 500, 3}, Case{3, 4, 1}, Case{2, 5, 200}}) {
    int64_t count = 40;
    Shape shape{outer, size, inner}, updateShape{outer, count, inner};
    std::string base = tensor(shape), updates = tensor(updateShape);
    CompiledKernel compiled(kernel(
        "scatter", {base, tensor({count}, "i32"), updates}, {base},
        fmt::format("  %0 = graph.scatter_add %x0, %x1, %x2 dimension 1 : {}, tensor<{}xi32>, {}\n",
                    base, count, updates),
        "%0"));
    Tensor x = random(shape), u = random(updateShape), indices(ElementType::I32, {count});
    std::mt19937 generator(testSeed());
    for (int64_t i = 0; i < count; ++i)
      indices.as<int32_t>()[i] = int32_t(generator() % (size + 2)) - 1; // some are clamped
    Tensor result = runEveryWay(compiled, {x, indices, u})[0], want = x.clone();
    for (int64_t o = 0; o < outer; ++o)
      for (int64_t i = 0; i < count; ++i)
        for (int64_t c = 0; c < inner; ++c)
          want.as<float>()[(o * size + std::clamp<int64_t>(indices.as<int32_t>()[i], 0, size - 1)) *
                               inner +
                           c] += u.as<float>()[(o * count + i) * inner + c];
    EXPECT_EQ(std::memcmp(result.data(), want.data(), want.bytes()), 0);
    EXPECT_TRUE(maySharePlace(compiled, 0, 0));
  }
}

} // namespace
} // namespace ingot::test
