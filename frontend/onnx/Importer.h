/// The walk over a file's graph; Import.h is its interface.
#pragma once
#include "frontend/onnx/Call.h"
#include "frontend/onnx/Import.h"
#include <set>
#include <unordered_map>

namespace ingot::onnx {

/// Names and what they stand for, in a graph or function; sub-graphs see the graphs around them.
struct Names {
  Names *outer = nullptr;
  std::unordered_map<std::string_view, Item> items = {};
  const Item *find(std::string_view name) const {
    for (const Names *names = this; names; names = names->outer)
      if (auto found = names->items.find(name); found != names->items.end())
        return &found->second;
    return nullptr;
  }
};

class Importer {
public:
  Importer(const OnnxFile &file, const ImportOptions &options) : file(file), options(options) {}

  Result<Model> run();
  /// Inputs whose values an op's shape depends on: the import succeeds once they are given.
  const std::set<std::string> &wantedValues() const { return findings.wanted; }
  /// These become constants.
  void fix(std::set<std::string> inputs) { fixed = std::move(inputs); }

private:
  friend class Call;
  /// What a node sees around it besides names: the function that it is part of.
  struct Frame {
    Names *names = nullptr;
    const FunctionProto *function = nullptr;
    const NodeProto *caller = nullptr; ///< of the function
    const Frame *outer = nullptr;
    std::string path = {}; ///< before the names of its nodes
  };

  void importInputs(Names &names);
  void importSequence(const FilePort &port, Names &names);
  void importOutputs(const Names &names);
  void importNodes(std::span<const NodeProto> nodes, const Frame &frame);
  Items importNode(const NodeProto &node, const Frame &frame, Items inputs);
  Items importFunction(const FunctionProto &function, const NodeProto &node, const Frame &frame,
                       Items inputs);
  Items importGraph(const GraphProto &graph, Items arguments);
  void importInitializers(const GraphProto &graph, Names &names);

  int64_t opset(const Frame &frame, std::string_view domain) const;
  const FunctionProto *findFunction(const NodeProto &node) const;
  const AttributeProto *attribute(const NodeProto &node, const Frame &frame,
                                  std::string_view name) const;
  /// An initializer as an operand: a parameter or a constant, made once.
  Value materialize(const TensorProto &initializer);
  /// The initializers that a sub-graph uses: what a loop's body makes is its own, and a model has
  /// each of them once.
  void materializeFor(const GraphProto &graph);
  /// An error of the file rather than of one node.
  void bad(std::string message) { findings.errors.push_back(std::move(message)); }
  void refuse(const NodeProto &node, int64_t opset, const std::string &reason);
  Status problems() const;
  /// After this nothing more is imported.
  bool isTooLarge() const;

  const OnnxFile &file;
  const ImportOptions &options;
  Builder builder;
  std::map<std::string, int64_t> symbols; ///< sizes by name
  std::set<std::string> fixed;
  std::unordered_map<const TensorProto *, Value> initializers;
  std::map<std::string, Tensor> weights;
  /// What stands in the way of a model.
  struct Findings {
    std::vector<std::string> errors, refusals;
    std::set<std::string> wanted; ///< inputs whose values an op's shape depends on
    size_t count() const { return errors.size() + refusals.size(); }
  } findings;
  const Frame *current = nullptr;
  int depth = 0; ///< functions and sub-graphs inside each other
  int64_t importedNodes = 0;
};

} // namespace ingot::onnx
