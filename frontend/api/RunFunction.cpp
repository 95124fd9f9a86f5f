#include "frontend/api/RunFunction.h"

namespace ingot {

Result<Batch> batchOf(const Function &function, const Tensors &inputs) {
  Batch batch;
  for (const Port &port : function.ports) {
    if (!isBatch(port.role)) // scalars are fed by the trainer itself
      continue;
    auto found = inputs.find(port.name);
    if (found == inputs.end())
      return failure(Error::Code::Usage, port.name, "the input is missing: {} {}",
                     toString(port.shape), name(port.type));
    batch.push_back({port.name, found->second});
  }
  for (const auto &[inputName, value] : inputs)
    if (const Port *port = function.port(inputName); !port || !isBatch(port->role))
      return failure(Error::Code::Usage, inputName, "@{} has no such input", function.name);
  return batch;
}

Result<Tensors> runFunction(Session &session, std::string_view name, const Tensors &inputs) {
  const Function *function = session.program().function(name);
  if (!function)
    return failure(Error::Code::Usage, std::string(name), "the program has no such function");
  INGOT_ASSIGN(Batch batch, batchOf(*function, inputs));
  std::vector<std::string> names;
  for (const Port &port : function->ports)
    if (port.role == Role::Output)
      names.push_back(port.name);
  INGOT_ASSIGN(Ticket ticket, session.enqueue(name, batch, names));
  INGOT_ASSIGN(std::vector<NamedTensor> values, session.wait(ticket));
  INGOT_TRY(keepCounted(*function, values));
  Tensors outputs;
  for (NamedTensor &output : values)
    outputs[output.name] = std::move(output.value);
  return outputs;
}

} // namespace ingot
