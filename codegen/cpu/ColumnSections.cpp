#include "codegen/cpu/ColumnSections.h"

using namespace mlir;

namespace ingot {

constexpr int64_t leastPanel = 512, mostSums = 4096; // columns, and elements of their sums

int64_t rowsOfChunk(int64_t rows) {
  constexpr int64_t least = 256, mostChunks = 8;
  const int64_t chunks = std::clamp<int64_t>(rows / least, 1, mostChunks);
  return std::max<int64_t>(1, llvm::alignTo(llvm::divideCeil(rows, chunks), rowsAtOnce));
}

bool ColumnSection::mayUsePanels() const {
  return isa<Float32Type, Float64Type>(sumType()) &&
         llvm::all_of(reductions, [&](const Reduction &reduction) {
           auto isOfSumType = [&](unsigned output) {
             return reduction.type(output).getElementType() == sumType();
           };
           return reduction.level == 0 && reduction.length == rows() &&
                  reduction.length >= 2 * rowsAtOnce &&
                  llvm::all_of(llvm::seq(reduction.outputs()), isOfSumType);
         });
}

int64_t ColumnSection::chunkBytes() const {
  return chunks() * wholeBlocks() * width * sums() * sumType().getIntOrFloatBitWidth() / 8;
}

std::optional<std::vector<ColumnSection>> columnSections(func::FuncOp kernel) {
  std::optional<std::vector<ColumnGroup>> groups = columnGroups(kernel);
  if (!groups)
    return std::nullopt;
  std::vector<ColumnSection> sections;
  for (ColumnGroup &group : *groups)
    sections.push_back({std::move(group)});
  return sections;
}

void ColumnSection::chooseSizes(KernelScheduler &kernel) {
  // Four strips for one sum: enough independent additions to hide their latency.
  width = Code::lanes * std::clamp<int64_t>(8 / sums(), 1, 4);
  const int64_t wanted = kernel.costs.grains(kernel.nanoseconds() * share, blocks());
  blocksPerGrain = llvm::divideCeilSigned(blocks(), wanted);
  panels = mayUsePanels() && wholeBlocks() > 1;
  if (!panels)
    return;
  // Wide enough to be read in order, narrow enough for sums in the L1.
  const int64_t most = std::max<int64_t>(mostSums / (width * sums()), 1);
  const int64_t least = std::min(llvm::divideCeilSigned(leastPanel, width), most);
  blocksPerGrain = std::clamp(blocksPerGrain, least, most);
  if (inTwoLaunches())
    kernel.addLaunchScratch(chunkBytes());
  else
    kernel.addScratch(width * sums() * blocksPerGrain * sumType().getIntOrFloatBitWidth() / 8);
}

LogicalResult readSections(func::FuncOp kernel, kernel::LaunchAttr launch,
                           std::vector<ColumnSection> &sections) {
  ColumnSizes sizes;
  std::optional<std::vector<ColumnSection>> found = columnSections(kernel);
  if (failed(readSizes(kernel, launch, sizes)))
    return failure();
  const size_t count = found ? found->size() : 0;
  bool fits = count && sizes.width.size() == count && sizes.blocksPerGrain.size() == count &&
              sizes.panels.size() == count;
  int64_t grains = 0;
  for (size_t index = 0; fits && index < count; ++index) {
    ColumnSection &section = (*found)[index];
    section.width = sizes.width[index];
    section.blocksPerGrain = sizes.blocksPerGrain[index];
    section.panels = sizes.panels[index];
    fits = section.width > 0 && section.width % Code::lanes == 0 &&
           section.width <= 16 * Code::lanes && section.blocksPerGrain > 0 &&
           (!section.panels || section.mayUsePanels());
    if (fits)
      grains += launch.getKind() == "columns" ? section.firstGrains() : section.secondGrains();
  }
  if (!fits || grains != launch.getGrains())
    return kernel.emitError("kernel.schedule: these columns do not make its results");
  sections = std::move(*found);
  return success();
}

} // namespace ingot
