#include "runtime/Tensor.h"
