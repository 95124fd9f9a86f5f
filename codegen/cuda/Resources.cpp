#include "codegen/cuda/Resources.h"
#include "runtime/cuda/Assembler.h"
#include "runtime/cuda/SplitPtx.h"
#include "runtime/program/Loops.h"
#include <algorithm>
#include <regex>
#include <set>

namespace ingot {
namespace {

/// A multiprocessor.
struct Chip {
  std::string_view architecture;
  int64_t sharedBytes;
};
constexpr Chip chips[] = {{"sm_80", 164 << 10}, {"sm_90a", 228 << 10}, {"sm_100a", 228 << 10}};

struct Properties {
  int64_t registers = 0, sharedBytes = 0, spillBytes = 0, stackBytes = 0;
};

/// From the words of `ptxas -v`: of a function its stack and spills, then of the entry the rest.
std::map<std::string, Properties> propertiesOf(const std::string &log) {
  static const std::regex function(R"(Function properties for ([\w$]+))"),
      entry(R"(Compiling entry function '([\w$]+)')"),
      stack(R"((\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads)"),
      registers(R"(Used (\d+) registers)"), shared(R"((\d+) bytes smem)");
  std::map<std::string, Properties> all;
  std::string name;
  for (size_t begin = 0; begin < log.size();) {
    const size_t end = std::min(log.find('\n', begin), log.size());
    const std::string line = log.substr(begin, end - begin);
    begin = end + 1;
    std::smatch match;
    if (std::regex_search(line, match, entry) || std::regex_search(line, match, function))
      name = match[1];
    Properties &own = all[name];
    if (std::regex_search(line, match, stack)) {
      own.stackBytes = std::stoll(match[1]);
      own.spillBytes = std::stoll(match[2]) + std::stoll(match[3]);
    }
    if (std::regex_search(line, match, registers))
      own.registers = std::stoll(match[1]);
    if (std::regex_search(line, match, shared))
      own.sharedBytes = std::stoll(match[1]);
  }
  return all;
}

void countCalls(const std::vector<Step> &steps, int64_t times, std::vector<int64_t> &calls) {
  for (const Step &step : steps)
    if (auto *call = std::get_if<CallStep>(&step.node)) {
      calls[call->kernel] += times;
    } else if (auto *loop = std::get_if<LoopStep>(&step.node)) {
      countCalls(loop->body, times * loop->trips, calls);
    } else {
      const auto &branch = std::get<IfStep>(step.node);
      countCalls(branch.thenBody, times, calls);
      countCalls(branch.elseBody, times, calls);
    }
}

int64_t roundUp(int64_t value, int64_t unit) { return (value + unit - 1) / unit * unit; }

} // namespace

double occupancyOf(const std::string &architecture, int64_t threads, int64_t registers,
                   int64_t sharedBytes) {
  constexpr int64_t warpThreads = 32, mostWarps = 64, mostBlocks = 32, allRegisters = 64 << 10,
                    registerUnit = 256, sharedUnit = 128, ofSystem = 1 << 10;
  const auto *chip = std::ranges::find(chips, architecture, &Chip::architecture);
  if (chip == std::end(chips) || threads <= 0)
    return 0;
  const int64_t warps = roundUp(threads, warpThreads) / warpThreads;
  int64_t blocks = std::min(mostBlocks, mostWarps / warps);
  if (const int64_t ofWarp = roundUp(registers * warpThreads, registerUnit))
    blocks = std::min(blocks, allRegisters / ofWarp / warps);
  blocks = std::min(blocks, chip->sharedBytes / roundUp(sharedBytes + ofSystem, sharedUnit));
  return double(blocks * warps) / double(mostWarps);
}

Result<std::vector<KernelResources>> resourcesOf(const Program &program, const Function &function,
                                                 const std::string &architecture) {
  INGOT_ASSIGN(const cuda::Assembler *assembler, cuda::Assembler::find());
  std::vector<int64_t> calls(program.kernels.size());
  countCalls(function.steps, 1, calls);
  std::set<std::string_view> wanted;
  for (size_t index = 0; index < calls.size(); ++index)
    if (calls[index])
      wanted.insert(program.kernels[index].name);
  std::vector<std::string> texts;
  for (const CodeObject &object : program.objects)
    if (object.kind == CodeObject::Kind::Ptx)
      for (cuda::PtxEntry &entry : cuda::splitPtx(
               {reinterpret_cast<const char *>(object.bytes.data()), object.bytes.size()}))
        if (wanted.contains(entry.name))
          texts.push_back(std::move(entry.text));
  INGOT_ASSIGN(const cuda::Cubin cubin,
               assembler->assemble(texts, architecture, /*isVerbose=*/true));
  INGOT_ASSIGN(const auto instructions, cuda::countInstructions(cubin.bytes));
  const std::map<std::string, Properties> properties = propertiesOf(cubin.log);

  std::vector<KernelResources> rows;
  for (size_t index = 0; index < calls.size(); ++index) {
    const Kernel &kernel = program.kernels[index];
    const auto found = properties.find(kernel.name);
    const auto counts = instructions.find(kernel.name);
    const auto *grid = std::get_if<CudaGrid>(&kernel.launch);
    if (!calls[index])
      continue;
    if (!grid || found == properties.end() || counts == instructions.end())
      return failure(Error::Code::Internal, kernel.name, "the assembler says nothing of it");
    const Properties &own = found->second;
    KernelResources &row = rows.emplace_back();
    row.kernel = &kernel;
    row.calls = calls[index];
    row.registers = own.registers;
    row.sharedBytes = own.sharedBytes + grid->sharedBytes;
    row.spillBytes = own.spillBytes;
    row.stackBytes = own.stackBytes;
    row.occupancy = occupancyOf(architecture, grid->block[0] * grid->block[1] * grid->block[2],
                                row.registers, row.sharedBytes);
    row.instructions = counts->second;
  }
  return rows;
}

std::string toTable(const std::vector<KernelResources> &rows) {
  std::string text =
      fmt::format("{:<36} {:<18} {:>5} {:>7} {:>7} {:>4} {:>7} {:>6} {:>6} {:>5} "
                  "{:>5} {:>5} {:>6} {:>6} {:>6} {:>12}  {}\n",
                  "kernel", "root", "calls", "blocks", "threads", "regs", "shared", "spills",
                  "occup%", "instr", "HMMA", "HGMMA", "LDGSTS", "UTMALDG", "FFMA", "bytes", "ops");
  int64_t calls = 0, spills = 0;
  double bytes = 0;
  for (const KernelResources &row : rows) {
    const auto &grid = std::get<CudaGrid>(row.kernel->launch);
    const cuda::InstructionCounts &counts = row.instructions;
    text +=
        fmt::format("{:<36} {:<18} {:>5} {:>7} {:>7} {:>4} {:>7} {:>6} {:>6.0f} {:>5} {:>5} "
                    "{:>5} {:>6} {:>6} {:>6} {:>12.0f}  {}\n",
                    row.kernel->name, row.kernel->root, row.calls, row.kernel->grains(),
                    grid.block[0] * grid.block[1] * grid.block[2], row.registers, row.sharedBytes,
                    row.spillBytes, 100 * row.occupancy, counts.all, counts.hmma, counts.hgmma,
                    counts.ldgsts, counts.utmaldg, counts.ffma, row.kernel->bytes, row.kernel->ops);
    calls += row.calls;
    spills += row.spillBytes;
    bytes += double(row.calls) * row.kernel->bytes;
  }
  return text +
         fmt::format("{} kernels, {} calls, {} bytes of spills, {:.0f} bytes moved at least\n",
                     rows.size(), calls, spills, bytes);
}

} // namespace ingot
