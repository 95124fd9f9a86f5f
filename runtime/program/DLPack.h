/// Tensors to and from NumPy, PyTorch, JAX and others without a copy: DLPack's structures
/// (https://dmlc.github.io/dlpack, version 0.8 of the layout, which all of them hand out) in host
/// memory.
#pragma once
#include "runtime/program/TensorTools.h"

// The names and the layout are DLPack's. Where its own header came first, these are its types.
#ifndef DLPACK_DLPACK_H_
#define DLPACK_DLPACK_H_
extern "C" {
typedef enum { kDLCPU = 1, kDLCUDA = 2, kDLCUDAHost = 3 } DLDeviceType;
typedef struct {
  DLDeviceType device_type;
  int32_t device_id;
} DLDevice;
typedef enum { kDLInt = 0, kDLUInt = 1, kDLFloat = 2, kDLBfloat = 4, kDLBool = 6 } DLDataTypeCode;
typedef struct {
  uint8_t code, bits;
  uint16_t lanes;
} DLDataType;
typedef struct {
  void *data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape;
  int64_t *strides; ///< elements; null: dense, row-major
  uint64_t byte_offset;
} DLTensor;
typedef struct DLManagedTensor {
  DLTensor dl_tensor;
  void *manager_ctx;
  void (*deleter)(struct DLManagedTensor *self);
} DLManagedTensor;
}
#endif

namespace ingot {

/// The same memory as another library's tensor, which is released with the last view. Takes
/// `managed` over, also where it fails: Unsupported names the device or the type that Ingot's host
/// tensors do not have. `view->tensor()` copies only what is strided.
Result<StridedView> fromDLPack(DLManagedTensor *managed);

/// The same memory for another library. The caller, or whoever it is handed to, calls `deleter`
/// once. Unsupported for f8 and types of four bits, which DLPack 0.8 lacks.
Result<DLManagedTensor *> toDLPack(const Tensor &tensor);

} // namespace ingot
