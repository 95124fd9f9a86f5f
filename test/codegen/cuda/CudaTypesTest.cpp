/// What has kernels on CPUs has them on GPUs: reductions, tuples, movements and products of every
/// element type. Functions of single elements are PrimitivesTest's.
#include "test/codegen/cuda/KernelCase.h"
#include <set>

namespace ingot::test {
namespace {

class CudaTypes : public CudaKernels {};

TEST_P(CudaTypes, AgreeWithTheReference) { check(); }

/// A model of one input a, [rows, columns], with many results.
class Results {
public:
  explicit Results(std::string type) : type(std::move(type)) {}

  std::string tensor(const std::vector<int64_t> &sizes) const { return shape(sizes, type); }
  /// Adds `%name = text`, one of the model's results unless `isInner`.
  void add(const std::string &name, const std::string &text, const std::string &of,
           bool isInner = false) {
    body += fmt::format("  %{} = {}\n", name, text);
    if (!isInner)
      keep(name, of);
  }
  void keep(const std::string &name, const std::string &of) {
    const char *comma = names.empty() ? "" : ", ";
    declared += fmt::format("{}{} {{graph.name = \"{}\"}}", comma, of, name);
    names += fmt::format("{}%{}", comma, name);
    types += comma + of;
  }
  void append(const std::string &text) { body += text; }
  std::string model(const std::vector<int64_t> &input) const {
    return fmt::format("func.func @forward(%a: {} {{graph.name = \"a\", graph.role = \"input\"}}) "
                       "-> ({}) {{\n{}  return {} : {}\n}}\n",
                       tensor(input), declared, body, names, types);
  }

private:
  const std::string type;
  std::string body, declared, names, types;
};

void addReductions(Results &results, const std::vector<int64_t> &sizes, bool isBool) {
  const std::string whole = results.tensor(sizes);
  const std::pair<const char *, std::vector<int64_t>> directions[] = {
      {"[1]", {sizes[0]}}, {"[0]", {sizes[1]}}, {"[0, 1]", {}}};
  const std::vector<const char *> kinds =
      isBool ? std::vector{"any", "all"} : std::vector{"sum", "product", "max", "min"};
  int number = 0;
  for (const auto &[dimensions, kept] : directions)
    for (const char *kind : kinds)
      results.add(fmt::format("r{}", number++),
                  fmt::format("graph.reduce {} %a {} : {} -> {}", kind, dimensions, whole,
                              results.tensor(kept)),
                  results.tensor(kept));
}

/// The largest element and its number: rows, columns, and all of the tensor.
void addTuples(Results &results, const std::vector<int64_t> &sizes) {
  const std::string whole = results.tensor(sizes), numbers = shape(sizes, "i32");
  results.add("numbers", fmt::format("graph.iota 1 : {}", numbers), numbers, /*isInner=*/true);
  const std::pair<const char *, std::vector<int64_t>> directions[] = {
      {"[1]", {sizes[0]}}, {"[0]", {sizes[1]}}, {"[0, 1]", {}}};
  int number = 0;
  for (const auto &[dimensions, kept] : directions) {
    const std::string value = fmt::format("m{}", number), place = fmt::format("p{}", number);
    const std::string values = results.tensor(kept), places = shape(kept, "i32");
    results.append(fmt::format("  %{}, %{} = graph.reduce_tuples \"{}\" %a, %numbers {} : {}, {} "
                               "-> {}, {}\n",
                               value, place, number % 2 ? "argmin" : "argmax", dimensions, whole,
                               numbers, values, places));
    results.keep(value, values);
    results.keep(place, places);
    ++number;
  }
}

void addMovements(Results &results, const std::vector<int64_t> &sizes) {
  const std::vector<int64_t> turned = {sizes[1], sizes[0]}, cut = {sizes[0], sizes[1] - 2},
                             twice = {2 * sizes[0], sizes[1]};
  const std::string whole = results.tensor(sizes);
  results.add("turned",
              fmt::format("graph.transpose %a [1, 0] : {} -> {}", whole, results.tensor(turned)),
              results.tensor(turned));
  results.add("cut",
              fmt::format("graph.slice %a [0, 1] to [{}, {}] by [1, 1] : {} -> {}", sizes[0],
                          sizes[1] - 1, whole, results.tensor(cut)),
              results.tensor(cut));
  results.add("back", fmt::format("graph.reverse %a dimensions [1] : {} -> {}", whole, whole),
              whole);
  results.add("twice",
              fmt::format("graph.concat %a, %back dimension 0 : {}, {} -> {}", whole, whole,
                          results.tensor(twice)),
              results.tensor(twice));
}

void addGathers(Results &results, const std::vector<int64_t> &sizes) {
  const std::vector<int64_t> taken = {7, sizes[1]};
  const std::string whole = results.tensor(sizes), rows = results.tensor(taken);
  results.add("index", "graph.iota 0 : tensor<7xi32>", "tensor<7xi32>", /*isInner=*/true);
  results.add(
      "rows",
      fmt::format("graph.gather %a, %index dimension 0 : {}, tensor<7xi32> -> {}", whole, rows),
      rows);
  results.add("added",
              fmt::format("graph.scatter_add %a, %index, %rows dimension 0 : {}, tensor<7xi32>, {}",
                          whole, rows),
              whole);
}

void addFloats(Results &results, const std::vector<int64_t> &sizes) {
  const std::string whole = results.tensor(sizes), product = results.tensor({sizes[0], sizes[0]});
  results.add("soft", fmt::format("graph.softmax %a dimension 1 : {}", whole), whole);
  results.add("log", fmt::format("graph.log_softmax %a dimension 0 : {}", whole), whole);
  results.add("dot",
              fmt::format("graph.contract %a, %a batch [] x [] over [1] x [1] : {}, {} -> {}",
                          whole, whole, product),
              product);
}

std::vector<Case> typeCases() {
  struct Type {
    std::string name;
    double tolerance;
  };
  const Type types[] = {{"f64", 1e-12},  {"f32", 1e-5},      {"f16", 4e-3}, {"bf16", 3e-2},
                        {"f8E5M2", 0.3}, {"f8E4M3FN", 0.15}, {"i64", 0},    {"i32", 0},
                        {"i16", 0},      {"i8", 0},          {"i4", 0},     {"ui64", 0},
                        {"ui32", 0},     {"ui16", 0},        {"ui8", 0},    {"ui4", 0},
                        {"i1", 0}};
  // A part of a warp a row, more than a warp, a block; the latter two for a type of every width.
  const std::vector<std::vector<int64_t>> shapes = {{9, 7}, {40, 70}, {8, 1300}};
  const std::set<std::string> ofEveryShape = {"f64", "f32", "bf16", "i8"};
  std::vector<Case> cases;
  for (const Type &type : types)
    for (const std::vector<int64_t> &sizes : shapes) {
      if (&sizes != &shapes.front() && !ofEveryShape.contains(type.name))
        continue;
      const bool isBool = type.name == "i1", isFloat = type.name.find('f') != std::string::npos;
      Results results(type.name);
      addReductions(results, sizes, isBool);
      if (!isBool) {
        addTuples(results, sizes);
        addGathers(results, sizes);
      }
      addMovements(results, sizes);
      if (isFloat)
        addFloats(results, sizes);
      cases.push_back({.name = type.name + sizesName(sizes),
                       .text = results.model(sizes),
                       .tolerance = type.tolerance,
                       .indexLimit = isBool ? 0 : 5});
    }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Types, CudaTypes, testing::ValuesIn(typeCases()),
                         [](const auto &info) { return info.param.name; });

} // namespace
} // namespace ingot::test
