/// What both versions of the device's properties are filled from.
#pragma once
#include "runtime/emulator/cudart/Runtime.h"

namespace ingot::emulator::cudart {

/// By the number of cudaDeviceAttr.
cudaError deviceAttribute(Runtime &runtime, int attribute, int &value);

} // namespace ingot::emulator::cudart
