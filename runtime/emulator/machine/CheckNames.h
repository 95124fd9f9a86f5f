/// The names of all checks: the one list of what a launch can be found guilty of.
#pragma once
#include <string>
#include <string_view>

namespace ingot::emulator {

struct CheckRow {
  std::string_view name;  ///< turns it off (`--off=NAME`), heads its findings
  std::string_view finds; ///< half a sentence
};

inline constexpr CheckRow checkTable[] = {
    {"out-of-bounds", "accesses outside of every buffer, variable or part of an arena"},
    {"misaligned", "addresses that are no multiple of what is accessed"},
    {"use-after-free", "accesses to memory that was freed"},
    {"ended-block", "accesses to the shared memory of a block that has ended"},
    {"uninitialised-register", "computing with a register that no path has written"},
    {"uninitialised-memory", "reads of memory that nobody has written"},
    {"shared-race", "accesses of a block to the same bytes with nothing to order them"},
    {"global-race", "the same in global memory, between blocks too"},
    {"launch-race",
     "launches, copies and fills of the same memory that no stream, event or edge of a "
     "graph orders"},
    {"non-coherent", "ld.global.nc of memory that the kernel writes"},
    {"async", "touching what a copy or product still reads or writes"},
    {"proxy-fence", "copies and products that read what was written without fence.proxy.async"},
    {"tensormap-fence",
     "tensor maps that the kernel writes and uses without fence.proxy.tensormap"},
    {"wgmma-fence", "registers of a wgmma that were used since the last wgmma.fence"},
    {"mbarrier", "mbarriers that are not initialised, overwritten or arrived at too often"},
    {"bad-barrier", "barriers that do not exist or are used with different counts"},
    {"divergent-barrier", "barriers that only a part of the block or of a warp executes"},
    {"cluster-barrier", "arriving twice at a cluster's barrier, or waiting without arriving"},
    {"divergence", "instructions for a whole warp or warpgroup that only a part executes"},
    {"divergent-uniform", "bra.uni that some lanes take and others do not"},
    {"member-mask", "member masks that do not name who executes them"},
    {"shuffle-inactive", "shuffles that read from lanes that do not take part"},
    {"sparse-metadata", "mma.sp whose metadata names a place twice, or places out of order"},
    {"register-budget", "setmaxnreg that has no effect or goes the wrong way"},
    {"branch-index", "brx.idx behind the end of its table"},
    {"call-address", "calls to where there is no function"},
    {"call-signature", "calls with more arguments than the function takes"},
    {"stack-overflow", "calls that need more local memory than a thread has"},
    {"assert", "assertions of the program that fail"},
    {"trap", "the program ends itself by trap"},
    {"deadlock", "all warps wait for what will not come"},
    {"no-end", "more instructions than the limit allows"},
    {"leak", "memory that the context still holds when it is destroyed"},
};

/// One of these names; any other does not compile.
class CheckName {
public:
  consteval CheckName(const char *name) : text(name) {
    for (const CheckRow &row : checkTable)
      if (row.name == text)
        return;
    thereIsNoSuchCheck();
  }
  std::string_view view() const { return text; }

private:
  static void thereIsNoSuchCheck(); // not constexpr, so that calling it is an error
  std::string_view text;
};

} // namespace ingot::emulator
