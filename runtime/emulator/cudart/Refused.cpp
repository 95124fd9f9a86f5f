/// What the interface has and is not emulated: textures, arrays, graphics, other processes' memory,
/// graphs that are built node by node. Each call says its name and fails.
#include "runtime/emulator/cudart/Runtime.h"

using namespace ingot::emulator::cudart;

#define INGOT_REFUSED(name)                                                                        \
  INGOT_CUDART cudaError name() { return Runtime::get().refuse(#name); }
#include "runtime/emulator/cudart/RefusedFunctions.def"
#undef INGOT_REFUSED
