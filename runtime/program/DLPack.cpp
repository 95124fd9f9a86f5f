#include "runtime/program/DLPack.h"
#include <algorithm>

namespace ingot {
namespace {

struct TypeRow {
  ElementType type;
  uint8_t code, bits;
};

constexpr TypeRow types[] = {
    {ElementType::F64, kDLFloat, 64}, {ElementType::F32, kDLFloat, 32},
    {ElementType::F16, kDLFloat, 16}, {ElementType::BF16, kDLBfloat, 16},
    {ElementType::I64, kDLInt, 64},   {ElementType::I32, kDLInt, 32},
    {ElementType::I16, kDLInt, 16},   {ElementType::I8, kDLInt, 8},
    {ElementType::U64, kDLUInt, 64},  {ElementType::U32, kDLUInt, 32},
    {ElementType::U16, kDLUInt, 16},  {ElementType::U8, kDLUInt, 8},
    {ElementType::I1, kDLBool, 8},
};

/// What a tensor that was handed out keeps alive.
struct Lent {
  DLManagedTensor managed{};
  Tensor tensor;
  Shape shape, strides;
};

} // namespace

Result<StridedView> fromDLPack(DLManagedTensor *managed) {
  if (!managed)
    return failure(Error::Code::Usage, "fromDLPack", "there is no tensor");
  const std::shared_ptr<DLManagedTensor> owner(managed, [](DLManagedTensor *given) {
    if (given->deleter)
      given->deleter(given);
  });
  const DLTensor &given = managed->dl_tensor;
  if (given.device.device_type != kDLCPU && given.device.device_type != kDLCUDAHost)
    return failure(Error::Code::Unsupported, "fromDLPack",
                   "the tensor is on a device of DLPack's type {}; host memory is needed",
                   int(given.device.device_type));
  const TypeRow *row = nullptr;
  for (const TypeRow &candidate : types)
    if (candidate.code == given.dtype.code && candidate.bits == given.dtype.bits)
      row = &candidate;
  if (!row || given.dtype.lanes != 1)
    return failure(Error::Code::Unsupported, "fromDLPack",
                   "there is no element type of DLPack's code {}, {} bits and {} lanes",
                   given.dtype.code, given.dtype.bits, given.dtype.lanes);
  if (given.ndim < 0 || (given.ndim > 0 && !given.shape))
    return failure(Error::Code::Usage, "fromDLPack", "there is no shape of {} dimensions",
                   given.ndim);
  StridedView view{
      row->type, Shape(given.shape, given.shape + given.ndim), Shape(size_t(given.ndim), 1), {}};
  if (std::ranges::any_of(view.shape, [](int64_t size) { return size < 0; }))
    return failure(Error::Code::Usage, "fromDLPack", "there is no shape {}", toString(view.shape));
  if (!given.data && elementCount(view.shape) > 0)
    return failure(Error::Code::Usage, "fromDLPack", "the tensor {} {} has no data",
                   toString(view.shape), name(row->type));
  for (size_t dimension = view.shape.size(); dimension-- > 1;)
    view.strides[dimension - 1] = view.strides[dimension] * view.shape[dimension];
  if (given.strides)
    view.strides.assign(given.strides, given.strides + given.ndim);
  view.memory = {owner, static_cast<uint8_t *>(given.data) + given.byte_offset};
  return view;
}

Result<DLManagedTensor *> toDLPack(const Tensor &tensor) {
  const TypeRow *row = nullptr;
  for (const TypeRow &candidate : types)
    if (candidate.type == tensor.type())
      row = &candidate;
  if (!row)
    return failure(Error::Code::Unsupported, "toDLPack", "DLPack has no type {}",
                   name(tensor.type()));
  auto lent = std::make_unique<Lent>();
  lent->tensor = tensor;
  lent->shape = tensor.shape();
  lent->strides = StridedView::of(tensor).strides;
  lent->managed.dl_tensor = {lent->tensor.data(),
                             {kDLCPU, 0},
                             int32_t(lent->shape.size()),
                             {row->code, row->bits, 1},
                             lent->shape.data(),
                             lent->strides.data(),
                             0};
  lent->managed.manager_ctx = lent.get();
  lent->managed.deleter = [](DLManagedTensor *self) {
    delete static_cast<Lent *>(self->manager_ctx);
  };
  return &lent.release()->managed;
}

} // namespace ingot
