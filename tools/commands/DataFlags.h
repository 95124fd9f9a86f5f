/// Flags that say which data: text, arrays or random numbers.
#pragma once
#include "frontend/api/SavedModel.h"
#include "runtime/data/ArraySource.h"
#include "runtime/data/TextSource.h"
#include "tools/commands/Applies.h"

namespace ingot {

struct DataFlags {
  std::vector<std::string> text, data;
  std::optional<std::string> tokenizer, bpe;
  double evaluationSplit = 0;
  double scale = 1;
  bool allowNonFinite = false; ///< arrays may hold NaN and infinity: no flag's, --on-nan=continue's

  void declare(CLI::App &app);
  /// All but the tokenizer, for commands that take it from a checkpoint.
  void declareSources(CLI::App &app);
  /// What decides which of these flags apply.
  std::vector<Circumstance> circumstances() const;
  bool isRandom() const { return data.size() == 1 && data[0] == "random"; }
};

/// Data read from its files, before a model says in which batches it wants it.
class DataSet {
public:
  /// `saved` is a checkpoint's tokenizer, which then encodes the text; null: --tokenizer's.
  static Result<DataSet> read(const DataFlags &flags, TokenizerPointer saved = nullptr);

  const TokenizerPointer &tokenizer() const { return tokens; }
  /// Equal for equal tokens or arrays, whatever their files are called.
  std::string fingerprint() const;
  /// Shapes of the arrays, in their order; none for text and random data.
  std::vector<Shape> shapes() const;
  /// Rows of the arrays; 0 for text and random data.
  int64_t rows() const { return arrays.empty() ? 0 : arrays[0].value.shape()[0]; }
  /// Those of arrays that --eval-split does not hold out.
  int64_t trainingRows() const { return rows() - int64_t(double(rows()) * split); }

  struct SourceOptions {
    uint64_t seed = 0;
    bool fileOrder = false; ///< rows in the file's order
    int64_t spread = 0;     ///< batches spread evenly over text, for evaluation
    enum class Part { All, Training, Validation } part = Part::All;
    bool fillsLastBatch = false; ///< of arrays
  };
  /// Batches for the ports; what --eval-split holds out is in no training batch.
  Result<std::unique_ptr<BatchSource>> source(std::vector<BatchPort> ports,
                                              const SourceOptions &options) const;

private:
  Result<TokenRange> textPart(SourceOptions::Part part) const;

  TokenizerPointer tokens;
  TokenRange encoded;
  std::vector<NamedArray> arrays;
  double split = 0, scale = 1;
  bool allowNonFinite = false;
};

} // namespace ingot
