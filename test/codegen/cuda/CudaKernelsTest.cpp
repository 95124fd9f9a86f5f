/// Kernels of every root on the PTX machine, all checks on, against the reference and the CPU.
#include "test/codegen/DrawnAttention.h"
#include "test/codegen/cuda/KernelCase.h"
#include <cmath>

namespace ingot::test {
namespace {

TEST_P(CudaKernels, AgreeWithTheReference) { check(); }

std::vector<Case> elementwiseCases() {
  std::vector<Case> cases;
  for (auto [rows, columns] : std::initializer_list<std::pair<int64_t, int64_t>>{
           {1, 1}, {3, 5}, {7, 64}, {33, 128}, {65, 1031}}) {
    const std::string type = shape({rows, columns});
    cases.push_back({"elementwise" + sizesName({rows, columns}),
                     model({type, shape({columns})},
                           fmt::format("  %0 = graph.broadcast %b [1] : {1} -> {0}\n"
                                       "  %1 = graph.add %a, %0 : {0}\n"
                                       "  %2 = graph.tanh %1 : {0}\n"
                                       "  %result = graph.mul %2, %a : {0}\n",
                                       type, shape({columns})),
                           type),
                     "elementwise", 1e-6, true});
  }
  return cases;
}

std::vector<Case> rowCases() {
  std::vector<Case> cases;
  for (auto [rows, columns] : std::initializer_list<std::pair<int64_t, int64_t>>{
           {1, 7}, {3, 2}, {5, 33}, {9, 64}, {4, 1000}, {2, 1031}, {3, 5004}, {1, 9001}}) {
    const std::string type = shape({rows, columns});
    cases.push_back(
        {"softmax" + sizesName({rows, columns}),
         model({type}, fmt::format("  %result = graph.softmax %a dimension 1 : {0}\n", type), type),
         "row", 1e-5});
    cases.push_back({"sum" + sizesName({rows, columns}),
                     model({type, type},
                           fmt::format("  %0 = graph.mul %a, %b : {0}\n"
                                       "  %result = graph.reduce sum %0 [1] : {0} -> {1}\n",
                                       type, shape({rows})),
                           shape({rows})),
                     "row", 1e-4});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Rows, CudaKernels, testing::ValuesIn(rowCases()),
                         [](const auto &info) { return info.param.name; });

std::vector<Case> columnCases() {
  std::vector<Case> cases;
  for (auto [rows, columns] : std::initializer_list<std::pair<int64_t, int64_t>>{
           {2, 3}, {5, 33}, {64, 64}, {129, 7}, {700, 40}, {1031, 129}}) {
    const std::string type = shape({rows, columns}), one = shape({columns});
    cases.push_back({"columns" + sizesName({rows, columns}),
                     model({type, one},
                           fmt::format("  %0 = graph.mul %a, %a : {0}\n"
                                       "  %1 = graph.reduce sum %0 [0] : {0} -> {1}\n"
                                       "  %result = graph.mul %1, %b : {1}\n",
                                       type, one),
                           one),
                     "column", 1e-4});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Columns, CudaKernels, testing::ValuesIn(columnCases()),
                         [](const auto &info) { return info.param.name; });

/// All transpositions, with a batch, odd and tiny sizes; an epilogue behind and a prologue before.
std::vector<Case> contractionCases() {
  struct Sizes {
    int64_t batch, rows, columns, depth;
  };
  std::vector<Case> cases;
  for (Sizes s : {Sizes{1, 1, 1, 1}, Sizes{1, 3, 5, 7}, Sizes{2, 33, 36, 20}, Sizes{1, 64, 64, 64},
                  Sizes{3, 65, 40, 1}, Sizes{1, 130, 260, 36}, Sizes{1, 1024, 1024, 20}})
    for (bool leftLast : {true, false})
      for (bool rightLast : {true, false}) {
        if (s.rows == 1024 && leftLast != rightLast)
          continue;
        const std::string left = shape(
                              leftLast ? std::initializer_list<int64_t>{s.batch, s.rows, s.depth}
                                       : std::initializer_list<int64_t>{s.batch, s.depth, s.rows}),
                          right = shape(
                              rightLast
                                  ? std::initializer_list<int64_t>{s.batch, s.columns, s.depth}
                                  : std::initializer_list<int64_t>{s.batch, s.depth, s.columns}),
                          result = shape({s.batch, s.rows, s.columns}), bias = shape({s.columns});
        cases.push_back(
            {fmt::format("contraction{}_{}{}", sizesName({s.batch, s.rows, s.columns, s.depth}),
                         leftLast ? 'N' : 'T', rightLast ? 'T' : 'N'),
             model({left, right, bias},
                   fmt::format("  %0 = graph.relu %a : {0}\n"
                               "  %1 = graph.contract %0, %b batch [0] x [0] over [{1}] x [{2}] : "
                               "{0}, {3} -> {4}\n"
                               "  %2 = graph.broadcast %c [2] : {5} -> {4}\n"
                               "  %result = graph.add %1, %2 : {4}\n",
                               left, leftLast ? 2 : 1, rightLast ? 2 : 1, right, result, bias),
                   result),
             "contraction", 1e-5});
      }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Contractions, CudaKernels, testing::ValuesIn(contractionCases()),
                         [](const auto &info) { return info.param.name; });

/// Factors of 16 bits. How they come into shared memory: as they lie in memory, computed from
/// narrow values, or cast from f32.
enum class Factors { Stored, Computed, Cast };

struct MatrixCase {
  int64_t batch, rows, columns, depth;
  bool leftLast, rightLast; ///< the depth is the last dimension
  const char *type = "bf16";
  const char *resultType = "f32";
  Factors factors = Factors::Stored;
  std::vector<std::string> instructions = {};
};

Case matrixCase(const MatrixCase &c) {
  const std::string type = c.factors == Factors::Cast ? "f32" : c.type;
  auto factor = [&](int64_t free, bool depthLast, const std::string &type) {
    return depthLast ? shape({c.batch, free, c.depth}, type.c_str())
                     : shape({c.batch, c.depth, free}, type.c_str());
  };
  const std::string left = factor(c.rows, c.leftLast, type),
                    right = factor(c.columns, c.rightLast, type),
                    narrowLeft = factor(c.rows, c.leftLast, c.type),
                    narrowRight = factor(c.columns, c.rightLast, c.type),
                    product = shape({c.batch, c.rows, c.columns}, c.type),
                    sums = shape({c.batch, c.rows, c.columns}),
                    result = shape({c.batch, c.rows, c.columns}, c.resultType),
                    bias = shape({c.columns});
  std::string text, a = "%a", b = "%b";
  if (c.factors == Factors::Computed)
    text = fmt::format("  %l = graph.relu %a : {}\n  %r = graph.neg %b : {}\n", left, right);
  if (c.factors == Factors::Cast)
    text = fmt::format("  %l = graph.cast %a : {} -> {}\n  %r = graph.cast %b : {} -> {}\n", left,
                       narrowLeft, right, narrowRight);
  if (c.factors != Factors::Stored)
    a = "%l", b = "%r";
  const bool isNarrow = c.resultType != std::string("f32");
  text +=
      fmt::format("  %0 = graph.contract {}, {} batch [0] x [0] over [{}] x [{}] : {}, {} -> {}\n",
                  a, b, c.leftLast ? 2 : 1, c.rightLast ? 2 : 1, narrowLeft, narrowRight, product);
  text +=
      fmt::format("  %1 = graph.cast %0 : {0} -> {1}\n  %2 = graph.broadcast %c [2] : {2} -> {1}\n"
                  "  %{3} = graph.add %1, %2 : {1}\n",
                  product, sums, bias, isNarrow ? "3" : "result");
  if (isNarrow)
    text += fmt::format("  %result = graph.cast %3 : {} -> {}\n", sums, result);
  std::vector<std::string> instructions = c.instructions;
  instructions.push_back(std::string("mma.sync.aligned.m16n8k16.row.col.f32.") + c.type);
  instructions.push_back("ldmatrix.sync.aligned.m8n8.x4");
  // The copy engine reads rows of 16 bytes; products of warpgroups have 64 rows.
  const bool isForWarpgroups = c.factors == Factors::Stored && c.rows > 32 && c.columns > 32 &&
                               (c.leftLast ? c.depth : c.rows) % 8 == 0 &&
                               (c.rightLast ? c.depth : c.columns) % 8 == 0;
  std::vector<std::string> instructions90 = instructions;
  if (isForWarpgroups)
    instructions90 = {"cp.async.bulk.tensor", "mbarrier.try_wait.parity", "setmaxnreg.dec",
                      "wgmma.mma_async.sync.aligned.m64n"};
  const char *how[] = {"", "_computed", "_cast"};
  return {.name =
              fmt::format("matrix{}_{}{}_{}_{}{}", sizesName({c.batch, c.rows, c.columns, c.depth}),
                          c.leftLast ? 'N' : 'T', c.rightLast ? 'T' : 'N', c.type, c.resultType,
                          how[int(c.factors)]),
          .text = model({left, right, bias}, text, result),
          .root = "contraction",
          // Roundings of sums that may lie at the edge of two values.
          .tolerance = c.type == std::string("f16") ? 2e-3 : 1.6e-2,
          .instructions = std::move(instructions),
          .instructions90 = std::move(instructions90)};
}

/// Every transposition, factors that are read in all ways, sizes that fill no tile, one row, depths
/// in splits, tiles of 128 x 128.
std::vector<Case> matrixCases() {
  std::vector<Case> cases;
  struct Sizes {
    int64_t batch, rows, columns, depth;
    std::vector<std::string> copies = {}; ///< of factors as they are stored
  };
  const std::vector<std::string> copied = {"cp.async.cg.shared.global", "cp.async.wait_group"};
  int way = 0;
  for (const Sizes &s :
       {Sizes{1, 3, 5, 7}, Sizes{2, 33, 36, 20, {"cp.async.ca.shared.global"}},
        Sizes{1, 130, 264, 48, copied}, Sizes{1, 1, 256, 512}, Sizes{1, 40, 72, 2056, copied}})
    for (bool leftLast : {true, false})
      for (bool rightLast : {true, false}) {
        const auto factors = Factors(way++ % 3);
        const bool isStored = factors == Factors::Stored;
        cases.push_back(matrixCase({s.batch, s.rows, s.columns, s.depth, leftLast, rightLast,
                                    "bf16", isStored ? "f32" : "bf16", factors,
                                    isStored ? s.copies : std::vector<std::string>()}));
      }
  for (bool leftLast : {true, false})
    for (bool rightLast : {true, false})
      cases.push_back(matrixCase({2, 72, 136, 200, leftLast, rightLast, "bf16", "bf16"}));
  // More steps than stages, more tiles than multiprocessors.
  cases.push_back(matrixCase({1, 64, 72, 584, true, true, "f16", "f16"}));
  cases.push_back(matrixCase({140, 40, 64, 72, true, false}));
  cases.push_back(matrixCase({1, 1, 1, 1, true, true}));
  cases.push_back(matrixCase({3, 65, 40, 1, false, true, "f16", "f16"}));
  cases.push_back(matrixCase({2, 45, 70, 90, true, false, "f16", "f32"}));
  cases.push_back(matrixCase({1, 61, 24, 136, false, false, "f16", "f16", Factors::Cast}));
  cases.push_back(
      matrixCase({1, 1280, 1408, 72, true, false, "bf16", "bf16", Factors::Stored, copied}));
  for (int number = 0; number < 2; ++number)
    cases.push_back({.name = fmt::format("matrix_drawn_{}", number),
                     .drawn = [number](std::mt19937_64 &random) {
                       random.discard(number);
                       auto upTo = [&](int64_t most) { return int64_t(1 + random() % most); };
                       return matrixCase({upTo(3), upTo(200), upTo(200), upTo(400),
                                          bool(random() % 2), bool(random() % 2),
                                          random() % 2 ? "bf16" : "f16", "f32",
                                          Factors(random() % 3)});
                     }});
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Matrices, CudaKernels, testing::ValuesIn(matrixCases()),
                         [](const auto &info) { return info.param.name; });

/// Factors in f32, rounded to tf32: read along the depth and beside it, in runs of 16, 8 and 4
/// bytes, computed ones, depths in splits.
std::vector<Case> roundedMatrixCases() {
  std::vector<Case> cases;
  struct Sizes {
    int64_t batch, rows, columns, depth;
  };
  int way = 0;
  for (const Sizes &s : {Sizes{1, 3, 5, 7}, Sizes{2, 33, 38, 20}, Sizes{1, 130, 264, 48},
                         Sizes{1, 40, 72, 1048}, Sizes{1, 200, 136, 72}})
    for (bool leftLast : {true, false})
      for (bool rightLast : {true, false}) {
        const auto left = shape(leftLast ? std::vector{s.batch, s.rows, s.depth}
                                         : std::vector{s.batch, s.depth, s.rows}),
                   right = shape(rightLast ? std::vector{s.batch, s.columns, s.depth}
                                           : std::vector{s.batch, s.depth, s.columns}),
                   result = shape({s.batch, s.rows, s.columns}), bias = shape({s.columns});
        const bool isComputed = way++ % 3 == 0;
        cases.push_back(
            {.name = fmt::format("tf32{}_{}{}{}", sizesName({s.batch, s.rows, s.columns, s.depth}),
                                 leftLast ? 'N' : 'T', rightLast ? 'T' : 'N',
                                 isComputed ? "_computed" : ""),
             .text = model({left, right, bias},
                           fmt::format("  %0 = graph.relu %a : {0}\n"
                                       "  %1 = graph.contract {7}, %b batch [0] x [0] over [{1}] x "
                                       "[{2}] : {0}, {3} -> {4}\n"
                                       "  %2 = graph.broadcast %c [2] : {5} -> {4}\n"
                                       "  %{6} = graph.add %1, %2 : {4}\n",
                                       left, leftLast ? 2 : 1, rightLast ? 2 : 1, right, result,
                                       bias, "result", isComputed ? "%0" : "%a"),
                           result),
             .root = "contraction",
             .tolerance = 1e-3, // a half unit of 10 bits of either factor
             .instructions = {"mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32",
                              "cvt.rna.tf32.f32"},
             .instructions90 = {"mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"},
             .option = ",tf32"});
      }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(RoundedMatrices, CudaKernels, testing::ValuesIn(roundedMatrixCases()),
                         [](const auto &info) { return info.param.name; });

std::vector<Case> scatterCases() {
  std::vector<Case> cases;
  struct Sizes {
    int64_t size, inner, count;
  };
  for (Sizes s : {Sizes{1, 1, 1}, Sizes{5, 3, 40}, Sizes{65, 33, 70}, Sizes{300, 64, 33}}) {
    const std::string table = shape({s.size, s.inner}), updates = shape({s.count, s.inner}),
                      indices = shape({s.count}, "i64");
    cases.push_back({"scatter" + sizesName({s.size, s.inner, s.count}),
                     model({table, indices, updates},
                           fmt::format("  %result = graph.scatter_add %a, %b, %c dimension 0 : {}, "
                                       "{}, {}\n",
                                       table, indices, updates),
                           table),
                     "scatter", 1e-5, true, s.size});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Scatters, CudaKernels, testing::ValuesIn(scatterCases()),
                         [](const auto &info) { return info.param.name; });

struct AttentionSizes {
  int64_t batch, heads, queries, keys, head, valueHead;
  const char *type = "f32";
  double scale = 0.4;
};

/// Attention and its gradients, where keys come as [batch, heads, head, sequence] if `transposed`.
Case attentionCase(const AttentionSizes &s, bool causal, bool transposed, double tolerance) {
  auto tensor = [&](int64_t sequence, int64_t width) {
    return shape({s.batch, s.heads, sequence, width}, s.type);
  };
  const std::string query = tensor(s.queries, s.head), key = tensor(s.keys, s.head),
                    value = tensor(s.keys, s.valueHead), result = tensor(s.queries, s.valueHead),
                    lse = shape({s.batch, s.heads, s.queries},
                                s.type == std::string("f64") ? "f64" : "f32"),
                    given = transposed ? tensor(s.head, s.keys) : key;
  std::string text =
      fmt::format("func.func @forward(%q: {} {{graph.name = \"q\", graph.role = \"input\"}}, "
                  "%g: {} {{graph.name = \"k\", graph.role = \"input\"}}, "
                  "%v: {} {{graph.name = \"v\", graph.role = \"input\"}}, "
                  "%d: {} {{graph.name = \"d\", graph.role = \"input\"}}) -> (",
                  query, given, value, result);
  for (const auto &[name, type] : std::initializer_list<std::pair<const char *, std::string>>{
           {"o", result}, {"l", lse}, {"dq", query}, {"dk", key}, {"dv", value}})
    text += fmt::format("{}{} {{graph.name = \"{}\"}}", text.back() == '(' ? "" : ", ", type, name);
  text += ") {\n";
  text += transposed
              ? fmt::format("  %k = graph.transpose %g [0, 1, 3, 2] : {} -> {}\n", given, key)
              : std::string();
  text += fmt::format(
      "  %o, %l = graph.attention %q, {5}, %v scale {7:e} causal {6} : {0}, {1}, {2} -> {3}, "
      "{4}\n"
      "  %dq, %dk, %dv = graph.attention_backward %q, {5}, %v, %o, %l, %d scale {7:e} causal {6} "
      ": {0}, {1}, {2}, {3}, {4}, {3} -> {0}, {1}, {2}\n"
      "  return %o, %l, %dq, %dk, %dv : {3}, {4}, {0}, {1}, {2}\n}}\n",
      query, key, value, result, lse, transposed ? "%k" : "%g", causal, s.scale);
  return {fmt::format("attention{}_{}{}{}",
                      sizesName({s.batch, s.heads, s.queries, s.keys, s.head, s.valueHead}), s.type,
                      causal ? "_causal" : "", transposed ? "_transposed" : ""),
          text, "attention_backward", tolerance};
}

/// Tiles of every size, sequences and heads that do not fill them.
std::vector<Case> attentionCases() {
  std::vector<Case> cases;
  for (bool causal : {false, true}) {
    for (const AttentionSizes &s :
         {AttentionSizes{1, 1, 1, 1, 1, 1}, AttentionSizes{2, 3, 17, 17, 5, 5},
          AttentionSizes{1, 1, 5, 33, 16, 7}, AttentionSizes{1, 2, 33, 70, 24, 20},
          AttentionSizes{1, 1, 65, 65, 64, 48}, AttentionSizes{1, 1, 40, 70, 96, 96},
          AttentionSizes{1, 1, 20, 35, 128, 128}, AttentionSizes{1, 1, 9, 30, 256, 200},
          AttentionSizes{1, 1, 21, 37, 256, 256}, AttentionSizes{1, 1, 9, 17, 512, 512},
          AttentionSizes{1, 54, 64, 64, 16, 16}, AttentionSizes{1, 27, 33, 50, 32, 40}})
      cases.push_back(attentionCase(s, causal, false, 3e-5));
    // Errors of scores grow with them, and exponentials make relative ones of them.
    cases.push_back(attentionCase({1, 1, 40, 80, 64, 64, "f32", 30}, causal, false, 1e-3));
    cases.back().name += "_large_scores";
    cases.push_back(attentionCase({1, 2, 19, 30, 33, 17, "f64"}, causal, false, 1e-12));
    cases.push_back(attentionCase({1, 2, 33, 40, 32, 32}, causal, true, 3e-5));
    cases.push_back(attentionCase({2, 2, 33, 40, 32, 12, "bf16"}, causal, false, 3e-2));
    cases.push_back(attentionCase({2, 2, 33, 40, 12, 32, "f16"}, causal, false, 3e-3));
  }
  for (int number = 0; number < 3; ++number)
    cases.push_back({.name = fmt::format("attention_drawn_{}", number),
                     .drawn = [number](std::mt19937_64 &random) {
                       random.discard(number);
                       auto upTo = [&](int64_t most) { return int64_t(1 + random() % most); };
                       const int64_t queries = upTo(70);
                       return attentionCase({upTo(2), upTo(3), queries, queries + upTo(70) - 1,
                                             upTo(100), upTo(100)},
                                            random() % 2, random() % 2, 5e-5);
                     }});
  return cases;
}

/// What a causal mask hides is not multiplied by 0: NaN and infinity in it reach nothing. The
/// gradients are those of other keys' shares, which are finite.
Case hiddenKeyCase(const AttentionSizes &s) {
  auto tensor = [&](int64_t sequence, int64_t width) {
    return shape({s.batch, s.heads, sequence, width}, s.type);
  };
  const std::string query = tensor(s.queries, s.head), key = tensor(s.keys, s.head),
                    value = tensor(s.keys, s.valueHead), result = tensor(s.queries, s.valueHead),
                    lse = shape({s.batch, s.heads, s.queries},
                                s.type == std::string("f64") ? "f64" : "f32");
  std::string text = "func.func @forward(";
  for (const auto &[name, type] :
       std::initializer_list<std::pair<const char *, std::string>>{{"query", query},
                                                                   {"key", key},
                                                                   {"value", value},
                                                                   {"gradient", result},
                                                                   {"finite_key", key},
                                                                   {"finite_value", value}})
    text += fmt::format("{0}%{1}: {2} {{graph.name = \"{1}\", graph.role = \"input\"}}",
                        text.back() == '(' ? "" : ", ", name, type);
  text += ") -> (";
  for (const auto &[name, type] : std::initializer_list<std::pair<const char *, std::string>>{
           {"o", result}, {"l", lse}, {"dq", query}, {"dk", key}, {"dv", value}})
    text += fmt::format("{}{} {{graph.name = \"{}\"}}", text.back() == '(' ? "" : ", ", type, name);
  text += fmt::format(
      ") {{\n"
      "  %o, %l = graph.attention %query, %key, %value scale 0.4 causal true : {0}, {1}, {2} -> "
      "{3}, {4}\n"
      "  %p, %m = graph.attention %query, %finite_key, %finite_value scale 0.4 causal true : "
      "{0}, {1}, {2} -> {3}, {4}\n"
      "  %dq, %dk, %dv = graph.attention_backward %query, %key, %value, %p, %m, %gradient scale "
      "0.4 causal true : {0}, {1}, {2}, {3}, {4}, {3} -> {0}, {1}, {2}\n"
      "  return %o, %l, %dq, %dk, %dv : {3}, {4}, {0}, {1}, {2}\n}}\n",
      query, key, value, result, lse);
  // The last key, which the last query alone sees, and the first query, which sees the first ones.
  auto spoil = [s](const std::string &name, std::vector<double> &values) {
    const int64_t pairs = s.batch * s.heads;
    for (int64_t pair = 0; pair < pairs; ++pair) {
      if (name == "key")
        values[size_t(((pair + 1) * s.keys - 1) * s.head)] = NAN;
      if (name == "value")
        values[size_t(((pair + 1) * s.keys - 1) * s.valueHead)] = INFINITY;
      if (name == "gradient")
        values[size_t(pair * s.queries * s.valueHead)] = -INFINITY;
    }
  };
  return {.name = fmt::format("hidden_keys{}_{}",
                              sizesName({s.batch, s.heads, s.queries, s.keys, s.head, s.valueHead}),
                              s.type),
          .text = text,
          .root = "attention_backward",
          .tolerance = s.type == std::string("bf16") ? 3e-2 : 3e-5,
          .change = spoil};
}

INSTANTIATE_TEST_SUITE_P(HiddenKeys, CudaKernels,
                         testing::Values(hiddenKeyCase({1, 2, 9, 9, 4, 4}),
                                         hiddenKeyCase({1, 1, 100, 100, 20, 33}),
                                         hiddenKeyCase({2, 1, 40, 70, 32, 32}),
                                         hiddenKeyCase({1, 1, 33, 33, 16, 16, "bf16"}),
                                         hiddenKeyCase({1, 1, 24, 24, 8, 8, "f64"})),
                         [](const auto &info) { return info.param.name; });

/// Heads that share keys, without and with options; and the builder's with a trained mask.
std::vector<Case> attentionOptionCases() {
  std::vector<Case> cases;
  auto add = [&](const std::string &name, double tolerance, auto draw) {
    const int number = int(cases.size());
    cases.push_back({.name = fmt::format("attention_{}_{}", name, number),
                     .drawn = [=](std::mt19937_64 &random) {
                       random.discard(100 * number);
                       return Case{.name = fmt::format("attention_{}_{}", name, number),
                                   .text = draw(random),
                                   .root = "attention_backward",
                                   .tolerance = tolerance,
                                   .indexLimit = attentionIndexLimit};
                     }});
  };
  for (int i = 0; i < 2; ++i)
    add("groups", 1e-4, [](std::mt19937_64 &random) { return drawAttention(random); });
  for (int i = 0; i < 12; ++i)
    add("options", 1e-4,
        [](std::mt19937_64 &random) { return drawAttention(random, "f32", true); });
  for (int i = 0; i < 3; ++i)
    add("options_bf16", 4e-2,
        [](std::mt19937_64 &random) { return drawAttention(random, "bf16", true); });
  add("options_f64", 1e-11,
      [](std::mt19937_64 &random) { return drawAttention(random, "f64", true); });
  // NaN and infinity in keys and values that no query sees, and in one that some see.
  cases.push_back({.name = "attention_hidden",
                   .text = R"mlir(
func.func @forward(%q: tensor<1x2x70x20xf32> {graph.name = "q", graph.role = "input"}, %given: tensor<1x1x150x20xf32> {graph.name = "k", graph.role = "input"},
    %d: tensor<1x2x70x20xf32> {graph.name = "d", graph.role = "input"})
    -> (tensor<1x2x70x20xf32> {graph.name = "o"}, tensor<1x2x70xf32> {graph.name = "l"}, tensor<1x2x70x20xf32> {graph.name = "dq"}, tensor<1x1x150x20xf32> {graph.name = "dk"}, tensor<1x1x150x20xf32> {graph.name = "dv"}) {
  %offset = graph.constant dense<40> : tensor<i64>
  %length = graph.constant dense<100> : tensor<1xi32>
  %key = graph.iota 2 : tensor<1x1x150x20xi32>
  %thirty = graph.constant dense<30> : tensor<1x1x150x20xi32>
  %zero = graph.constant dense<0> : tensor<1x1x150x20xi32>
  %part = graph.remainder %key, %thirty : tensor<1x1x150x20xi32>
  %isBad = graph.compare eq %part, %zero : tensor<1x1x150x20xi32> -> tensor<1x1x150x20xi1>
  %nan = graph.constant dense<0x7FC00000> : tensor<1x1x150x20xf32>
  %infinity = graph.constant dense<0x7F800000> : tensor<1x1x150x20xf32>
  %k = graph.select %isBad, %nan, %given : tensor<1x1x150x20xi1>, tensor<1x1x150x20xf32>
  %v = graph.select %isBad, %infinity, %given : tensor<1x1x150x20xi1>, tensor<1x1x150x20xf32>
  %o, %l = graph.attention %q, %k, %v offset %offset length %length scale 4.0e-01 causal false before 9 after 3
    : tensor<1x2x70x20xf32>, tensor<1x1x150x20xf32>, tensor<1x1x150x20xf32>, tensor<i64>, tensor<1xi32> -> tensor<1x2x70x20xf32>, tensor<1x2x70xf32>
  %g:3 = graph.attention_backward %q, %k, %v, %o, %l, %d offset %offset length %length scale 4.0e-01 causal false before 9 after 3
    : tensor<1x2x70x20xf32>, tensor<1x1x150x20xf32>, tensor<1x1x150x20xf32>, tensor<1x2x70x20xf32>, tensor<1x2x70xf32>, tensor<1x2x70x20xf32>, tensor<i64>, tensor<1xi32>
    -> tensor<1x2x70x20xf32>, tensor<1x1x150x20xf32>, tensor<1x1x150x20xf32>
  return %o, %l, %g#0, %g#1, %g#2 : tensor<1x2x70x20xf32>, tensor<1x2x70xf32>, tensor<1x2x70x20xf32>, tensor<1x1x150x20xf32>, tensor<1x1x150x20xf32>
}
)mlir",
                   .root = "attention_backward",
                   .tolerance = 1e-4});
  for (int i = 0; i < 3; ++i)
    add("built", 1e-4, [](std::mt19937_64 &random) { return drawMaskedAttention(random); });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(AttentionOptions, CudaKernels, testing::ValuesIn(attentionOptionCases()),
                         [](const auto &info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(Attentions, CudaKernels, testing::ValuesIn(attentionCases()),
                         [](const auto &info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(Elementwise, CudaKernels, testing::ValuesIn(elementwiseCases()),
                         [](const auto &info) { return info.param.name; });

} // namespace
} // namespace ingot::test
