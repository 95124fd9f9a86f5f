/// The programs of one ONNX file, one for each specialisation that it meets, over one store: what
/// DynamicModel and the command line share.
#pragma once
#include "codegen/CompileOptions.h"
#include "frontend/api/Ingot.h"
#include "frontend/api/LoadedModel.h"
#include "frontend/api/RowPadding.h"
#include "frontend/onnx/Import.h"
#include "runtime/training/Checkpoint.h"
#include <list>
#include <set>

namespace ingot {

class ShapedPrograms {
public:
  struct Settings {
    CompileOptions compile;
    std::string device = "cpu";
    int threads = 0;
    std::shared_ptr<Store> store = nullptr; ///< null: one of its own
    int64_t mostPrograms = 16;
    Buckets buckets = Buckets::Off;
    std::function<void(const Specialisation &)> onCompile = {};
    /// The caller has one specialisation alone: its weights may be packed for it.
    bool isSingle = false;
  };
  static Result<std::unique_ptr<ShapedPrograms>> open(const std::string &path, Settings settings);

  const std::vector<onnx::FilePort> &inputs() const { return inputPorts; }
  const std::vector<onnx::FilePort> &outputs() const { return outputPorts; }
  Status prepare(const std::map<std::string, Shape> &shapes);
  Result<Tensors> run(const Tensors &inputs);
  /// What the last run was of.
  const LoadedModel &lastUsed() const { return entries.front().loaded; }
  /// Parameters of all programs, present and future, and state that the store has; an error changes
  /// nothing.
  Status load(Checkpoint checkpoint, const std::string &place);

  const DynamicCounts &counts() const { return done; }
  int64_t size() const { return int64_t(entries.size()); }
  double compileMs() const { return milliseconds; } ///< of all compilations
  const std::shared_ptr<Store> &store() const { return shared; }

private:
  using Shapes = std::map<std::string, Shape>;
  struct Entry {
    Shapes shapes;
    Tensors fixed; ///< the values that it is for
    LoadedModel loaded;
  };
  ShapedPrograms(onnx::OnnxFile file, Settings settings)
      : onnxFile(std::move(file)), settings(std::move(settings)) {}

  Status checkComplete(const Tensors &inputs) const;
  Result<Entry *> find(const Shapes &shapes, const Tensors &values);
  Result<Entry *> compile(const Shapes &shapes, const Tensors &values);
  Status fill(Session &session);
  /// How the inputs are padded, or nothing where they need not or must not be. Without values where
  /// they are not known yet.
  Result<const RowPadding *> paddingOf(const Shapes &shapes, const Tensors &values);

  onnx::OnnxFile onnxFile;
  Settings settings;
  bool isOpen = false; ///< the file leaves sizes open
  std::vector<onnx::FilePort> inputPorts, outputPorts;
  std::shared_ptr<Device> device; ///< null for `reference`
  std::shared_ptr<Store> shared;
  std::list<Entry> entries; ///< the last one used first
  /// What is known of shapes, refusals too.
  struct Padding {
    Result<RowPadding> padding;
    int64_t lastUse;
  };
  std::map<std::string, Padding> paddings;
  int64_t paddingUses = 0;
  std::optional<Checkpoint> given;
  std::string givenPlace;
  /// What the store has of `given`. Who shares the store may have changed it since.
  std::set<std::string> filled;
  DynamicCounts done;
  double milliseconds = 0;
};

} // namespace ingot
