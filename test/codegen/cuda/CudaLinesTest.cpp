/// Scan and sort kernels: lines of every type, in runs and apart, shorter and longer than tiles.
#include "test/codegen/cuda/KernelCase.h"

namespace ingot::test {
namespace {

class CudaLines : public CudaKernels {};

TEST_P(CudaLines, AgreeWithTheReference) { check(); }

struct LineType {
  std::string name;
  double tolerance; ///< of sums; 0: exact
};

const LineType types[] = {{"f32", 1e-5},   {"f64", 1e-13}, {"f16", 2e-3}, {"bf16", 1e-2},
                          {"f8E5M2", 0.2}, {"i64", 0},     {"i32", 0},    {"i16", 0},
                          {"i8", 0},       {"i4", 0},      {"ui8", 0},    {"f8E4M3FN", 0.1},
                          {"ui32", 0}};

Case scanCase(const std::vector<int64_t> &sizes, const LineType &type, bool isProduct,
              bool isExclusive, bool isReverse) {
  const std::string tensor = shape(sizes, type.name);
  return {fmt::format("scan{}_{}{}{}{}", sizesName(sizes), type.name, isProduct ? "_product" : "",
                      isExclusive ? "_exclusive" : "", isReverse ? "_reverse" : ""),
          model({tensor},
                fmt::format("  %0 = graph.mul %a, %a : {0}\n"
                            "  %result = graph.scan {1} %0 dimension 1{2}{3} : {0}\n",
                            tensor, isProduct ? "product" : "sum", isExclusive ? " exclusive" : "",
                            isReverse ? " reverse" : ""),
                tensor),
          "scan", type.tolerance};
}

std::vector<Case> scanCases() {
  std::vector<Case> cases;
  int number = 0;
  for (const std::vector<int64_t> &sizes : std::vector<std::vector<int64_t>>{{1, 1, 1},
                                                                             {3, 7, 1},
                                                                             {0, 5, 1},
                                                                             {2, 33, 1},
                                                                             {1, 129, 1},
                                                                             {2, 1031, 1},
                                                                             {1, 5000, 1},
                                                                             {3, 5, 40},
                                                                             {70, 9, 64},
                                                                             {2, 300, 3}})
    for (int repeat = 0; repeat < 2; ++repeat, ++number)
      cases.push_back(scanCase(sizes, types[0], repeat, number & 2, number & 4));
  for (const LineType &type : types) {
    cases.push_back(scanCase({2, 70, 3}, type, false, number & 1, number & 2));
    cases.push_back(scanCase({3, 300, 1}, type, true, number & 1, number & 2));
    cases.push_back(scanCase({2, 5, 33}, type, false, number & 1, number & 2));
    ++number;
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Scans, CudaLines, testing::ValuesIn(scanCases()),
                         [](const auto &info) { return info.param.name; });

/// Floats hold NaN: roots of negative numbers. Integers repeat.
Case sortCase(const std::vector<int64_t> &sizes, const std::string &type, bool isDescending,
              bool isTop) {
  const bool isFloat = type.find('f') != type.npos;
  std::vector<int64_t> kept = sizes;
  if (isTop)
    kept[1] = std::min<int64_t>(kept[1], 3);
  const std::string tensor = shape(sizes, type), places = shape(sizes, "i64"),
                    result = shape(kept, type), resultPlaces = shape(kept, "i64");
  std::string body = isFloat ? fmt::format("  %0 = graph.sqrt %a : {}\n", tensor)
                             : fmt::format("  %0 = graph.add %a, %a : {}\n", tensor);
  body += fmt::format("  %1, %2 = graph.sort %0 dimension 1{} : {} -> {}, {}\n",
                      isDescending ? " descending" : "", tensor, tensor, places);
  auto slice = [&](const char *from, const char *to, const std::string &before,
                   const std::string &after) {
    body += fmt::format("  {} = graph.slice {} [0, 0, 0] to [{}] by [1, 1, 1] : {} -> {}\n", to,
                        from, fmt::join(kept, ", "), before, after);
  };
  if (isTop) {
    slice("%1", "%3", tensor, result);
    slice("%2", "%4", places, resultPlaces);
  }
  return {fmt::format("sort{}_{}{}{}", sizesName(sizes), type, isDescending ? "_descending" : "",
                      isTop ? "_top" : ""),
          fmt::format("func.func @forward(%a: {0} {{graph.name = \"a\", graph.role = \"input\"}}) "
                      "-> ({1} {{graph.name = \"x\"}}, {2} {{graph.name = \"places\"}}) {{\n"
                      "{3}  return {4} : {1}, {2}\n}}\n",
                      tensor, result, resultPlaces, body, isTop ? "%3, %4" : "%1, %2"),
          "sort",
          1e-6,
          !isFloat, // NaN has many bits
          isFloat ? 0 : 50};
}

std::vector<Case> sortCases() {
  std::vector<Case> cases;
  int number = 0;
  for (const std::vector<int64_t> &sizes : std::vector<std::vector<int64_t>>{{1, 1, 1},
                                                                             {5, 2, 1},
                                                                             {0, 3, 1},
                                                                             {3, 33, 1},
                                                                             {2, 7, 9},
                                                                             {700, 3, 1},
                                                                             {1, 2048, 1},
                                                                             {1, 2049, 1},
                                                                             {2, 5000, 2},
                                                                             {1, 9001, 1}}) {
    ++number;
    cases.push_back(sortCase(sizes, "f32", number % 2, number % 3 == 0));
  }
  for (const std::string &type :
       {"f64", "f16", "bf16", "f8E4M3FN", "f8E5M2", "i64", "i32", "i16", "i8", "i4"}) {
    cases.push_back(sortCase({2, 40, 3}, type, ++number & 1, false));
    cases.push_back(sortCase({1, 3000, 1}, type, number & 1, true));
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Sorts, CudaLines, testing::ValuesIn(sortCases()),
                         [](const auto &info) { return info.param.name; });

} // namespace
} // namespace ingot::test
