#include "frontend/onnx/Importer.h"
#include "frontend/onnx/Rows.h"
#include "runtime/support/HalfFloat.h"
#include <algorithm>
#include <cstring>

namespace ingot::onnx {
namespace {

/// Functions and sub-graphs inside each other; no model comes near.
constexpr int deepestCalls = 64;
/// Functions that call functions twice, and loops in loops, grow without bounds.
constexpr int64_t mostNodes = int64_t(1) << 18;

std::string nodeName(const NodeProto &node) {
  if (!node.name.empty())
    return std::string(node.name);
  for (std::string_view output : node.outputs)
    if (!output.empty())
      return std::string(output);
  return std::string(node.op);
}

std::string opName(const NodeProto &node) {
  return node.domain.empty() ? std::string(node.op) : fmt::format("{}.{}", node.domain, node.op);
}

Result<FilePort> portOf(const ValueInfoProto &info, const std::string &file) {
  const std::string place = fmt::format("{}: {}", file, info.name);
  FilePort port{.name = std::string(info.name)};
  const TypeProto *inner = &info.type;
  if (inner->optional && inner->optional->element) {
    port.kind = FilePort::Kind::Optional;
    inner = inner->optional->element.get();
  }
  if (inner->sequence && inner->sequence->element) {
    const bool isOptional = port.kind == FilePort::Kind::Optional;
    port.kind = isOptional ? FilePort::Kind::OptionalSequence : FilePort::Kind::Sequence;
    inner = inner->sequence->element.get();
  }
  if (!inner->tensor)
    return failure(Error::Code::Unsupported, place, "is not made of tensors");
  const std::optional<ElementType> type = elementTypeOf(inner->tensor->elementType);
  if (!type)
    return failure(Error::Code::Unsupported, place, "tensors of {} are not supported",
                   dataTypeName(inner->tensor->elementType));
  port.type = *type;
  port.hasShape = bool(inner->tensor->shape);
  if (port.hasShape)
    for (const DimensionProto &dimension : inner->tensor->shape->dims) {
      const bool isKnown = dimension.symbol.empty() && dimension.value >= 0;
      port.shape.push_back(isKnown ? dimension.value : -1);
      port.symbols.emplace_back(dimension.symbol);
    }
  return port;
}

Result<std::vector<FilePort>> portsOf(const OnnxFile &file, std::span<const ValueInfoProto> infos) {
  std::vector<FilePort> ports;
  for (const ValueInfoProto &info : infos) {
    INGOT_ASSIGN(FilePort port, portOf(info, file.path()));
    ports.push_back(std::move(port));
  }
  return ports;
}

} // namespace

Result<std::vector<FilePort>> inputsOf(const OnnxFile &file) {
  std::set<std::string_view> filled;
  for (const TensorProto &initializer : file.model().graph->initializers)
    filled.insert(initializer.name);
  std::vector<FilePort> ports;
  for (const ValueInfoProto &info : file.model().graph->inputs)
    if (!filled.contains(info.name)) {
      INGOT_ASSIGN(FilePort port, portOf(info, file.path()));
      ports.push_back(std::move(port));
    }
  return ports;
}

Result<std::vector<FilePort>> outputsOf(const OnnxFile &file) {
  return portsOf(file, file.model().graph->outputs);
}

//===--------------------------------------------------------------------------------------------===//
// The model's boundary
//===--------------------------------------------------------------------------------------------===//

void Importer::importInputs(Names &names) {
  Result<std::vector<FilePort>> ports = inputsOf(file);
  if (!ports)
    return bad(ports.error().text());
  for (const FilePort &port : *ports)
    if (port.kind != FilePort::Kind::Tensor)
      importSequence(port, names);
  std::erase_if(*ports, [](const FilePort &port) { return port.kind != FilePort::Kind::Tensor; });
  for (FilePort &port : *ports) {
    auto given = options.shapes.find(port.name);
    if (given != options.shapes.end()) {
      if (port.hasShape && given->second.size() != port.shape.size()) {
        bad(fmt::format("{}: its shape is {}, which has not the rank of {}", port.name,
                        toString(port.shape), toString(given->second)));
        continue;
      }
      if (!port.hasShape)
        port.shape.assign(given->second.size(), -1), port.symbols.resize(given->second.size());
      for (size_t i = 0; i < port.shape.size(); ++i) {
        // Exporters write 0 for sizes that they do not know, too.
        if (port.shape[i] > 0 && port.shape[i] != given->second[i])
          bad(fmt::format("{}: dimension {} is {} in the file, not {}", port.name, i, port.shape[i],
                          given->second[i]));
        if (port.shape[i] < 0 && !port.symbols[i].empty() &&
            symbols.try_emplace(port.symbols[i], given->second[i]).first->second !=
                given->second[i])
          bad(fmt::format("{}: dimension {}, '{}', is {}, but {} in another input", port.name, i,
                          port.symbols[i], given->second[i], symbols[port.symbols[i]]));
        port.shape[i] = given->second[i];
      }
    } else if (!port.hasShape) {
      bad(fmt::format("{}: the file does not say its shape: --shapes={}:… does", port.name,
                      port.name));
      continue;
    }
  }
  for (const auto &[name, shape] : options.shapes)
    if (std::ranges::find(*ports, name, &FilePort::name) == ports->end())
      bad(fmt::format("{}: the model has no such input", name));
  if (!findings.errors.empty())
    return;
  for (FilePort &port : *ports) {
    for (size_t i = 0; i < port.shape.size(); ++i)
      if (auto symbol = symbols.find(port.symbols[i]);
          port.shape[i] < 0 && symbol != symbols.end() && !port.symbols[i].empty())
        port.shape[i] = symbol->second;
    if (std::ranges::find(port.shape, -1) != port.shape.end()) {
      std::string sizes;
      for (size_t i = 0; i < port.shape.size(); ++i)
        sizes += (i ? "x" : "") + (port.shape[i] >= 0        ? std::to_string(port.shape[i])
                                   : port.symbols[i].empty() ? "?"
                                                             : port.symbols[i]);
      bad(fmt::format("{}: {} has sizes that are known at run time only: --shapes={}:… says them",
                      port.name, sizes, port.name));
      continue;
    }
    // The file's name stands for the value, and lives as long as the file.
    const auto info = std::ranges::find(file.model().graph->inputs, std::string_view(port.name),
                                        &ValueInfoProto::name);
    Value value = builder.input(port.name, port.type, port.shape);
    auto fixedValue = options.values.find(port.name);
    if (fixed.contains(port.name) && fixedValue != options.values.end())
      value = builder.constant(aligned(fixedValue->second));
    names.items[info->name] = value;
  }
}

void Importer::importSequence(const FilePort &port, Names &names) {
  using Kind = FilePort::Kind;
  const auto info = std::ranges::find(file.model().graph->inputs, std::string_view(port.name),
                                      &ValueInfoProto::name);
  auto given = options.sequences.find(port.name);
  if (given == options.sequences.end()) {
    if (port.kind == Kind::Sequence)
      bad(fmt::format("{}: is a sequence, and how long it is is not known", port.name));
    names.items[info->name] = Item();
    return;
  }
  std::vector<Item> items;
  for (const Tensor &element : given->second) {
    const std::string name =
        port.kind == Kind::Optional ? port.name : fmt::format("{}.{}", port.name, items.size());
    items.emplace_back(builder.input(name, element.type(), element.shape()));
  }
  names.items[info->name] = port.kind == Kind::Optional && items.size() == 1
                                ? items[0]
                                : Item::sequenceOf(std::move(items));
}

void Importer::importInitializers(const GraphProto &graph, Names &names) {
  for (const TensorProto &initializer : graph.initializers)
    names.items[initializer.name] = Item(&initializer);
  for (const SparseTensorProto &sparse : graph.sparseInitializers)
    bad(fmt::format("{}: sparse initializers are not supported", sparse.values.name));
}

/// Whether an initializer hides scores: exporters fold the masks that their models compute, and
/// those hide something of the first query. No weight is that large.
static bool isMask(const Tensor &tensor) {
  constexpr double hidden = -1e9;
  if (tensor.shape().size() < 2 || tensor.size() == 0)
    return false;
  Tensor line(tensor.type(), {std::min<int64_t>(tensor.shape().back(), 1 << 16)});
  std::memcpy(line.data(), tensor.data(), line.bytes()); // the file need not be aligned
  for (int64_t at = 0; at < line.size(); ++at)
    if (loadElement(line.type(), line.data(), at) <= hidden)
      return true;
  return false;
}

Value Importer::materialize(const TensorProto &initializer) {
  auto [found, isNew] = initializers.try_emplace(&initializer);
  if (!isNew)
    return found->second;
  Result<Tensor> tensor = file.tensor(initializer);
  if (!tensor) {
    bad(tensor.error().text());
    return Value();
  }
  if (isParameter(tensor->type(), tensor->shape()) && !isMask(*tensor)) {
    found->second =
        builder.parameter(initializer.name, tensor->shape(), Initializer::file(), tensor->type());
    weights.emplace(initializer.name, *tensor);
  } else {
    found->second = builder.constant(aligned(*tensor));
  }
  return found->second;
}

void Importer::materializeFor(const GraphProto &graph) {
  auto take = [&](const TensorProto &initializer) {
    if (file.tensor(initializer))
      materialize(initializer);
  };
  for (const TensorProto &initializer : graph.initializers)
    take(initializer);
  for (const NodeProto &node : graph.nodes) {
    for (std::string_view name : node.inputs)
      if (const Item *item = current->names->find(name);
          item && item->kind == Item::Kind::Initializer)
        take(*item->initializer);
    for (const AttributeProto &attribute : node.attributes)
      if (attribute.g)
        materializeFor(*attribute.g);
  }
  for (const ValueInfoProto &output : graph.outputs)
    if (const Item *item = current->names->find(output.name);
        item && item->kind == Item::Kind::Initializer)
      take(*item->initializer);
}

void Importer::importOutputs(const Names &names) {
  for (const ValueInfoProto &info : file.model().graph->outputs) {
    const Item *item = names.find(info.name);
    if (!item) {
      bad(fmt::format("{}: the output is given by no node", info.name));
      continue;
    }
    if (item->kind == Item::Kind::Refused)
      continue;
    if (item->isCounted()) {
      builder.output(info.name, item->value, item->count, item->counted);
      continue;
    }
    if (item->kind == Item::Kind::Tensor || item->kind == Item::Kind::Initializer) {
      builder.output(info.name, item->kind == Item::Kind::Tensor ? item->value
                                                                 : materialize(*item->initializer));
      continue;
    }
    if (item->kind != Item::Kind::Sequence) {
      bad(fmt::format("{}: the output is an optional value that is empty", info.name));
      continue;
    }
    // A sequence of known length is as many outputs.
    for (size_t i = 0; i < item->items->size(); ++i)
      if (const Item &element = (*item->items)[i]; element.isCounted())
        builder.output(fmt::format("{}.{}", info.name, i), element.value, element.count,
                       element.counted);
      else if (element.kind == Item::Kind::Tensor)
        builder.output(fmt::format("{}.{}", info.name, i), element.value);
      else if (element.kind == Item::Kind::Initializer)
        builder.output(fmt::format("{}.{}", info.name, i), materialize(*element.initializer));
  }
}

//===--------------------------------------------------------------------------------------------===//
// Nodes
//===--------------------------------------------------------------------------------------------===//

int64_t Importer::opset(const Frame &frame, std::string_view domain) const {
  const int64_t own = frame.function ? versionOf(frame.function->opsets, domain) : 0;
  return own ? own : file.opset(domain);
}

const FunctionProto *Importer::findFunction(const NodeProto &node) const {
  for (const FunctionProto &function : file.model().functions)
    if (function.name == node.op && function.domain == node.domain)
      return &function;
  return nullptr;
}

const AttributeProto *Importer::attribute(const NodeProto &node, const Frame &frame,
                                          std::string_view name) const {
  auto find = [](std::span<const AttributeProto> attributes,
                 std::string_view wantedName) -> const AttributeProto * {
    auto found = std::ranges::find(attributes, wantedName, &AttributeProto::name);
    return found == attributes.end() ? nullptr : &*found;
  };
  const AttributeProto *found = find(node.attributes, name);
  if (!found || found->reference.empty())
    return found;
  if (!frame.function || !frame.caller || !frame.outer)
    return nullptr;
  if (const AttributeProto *given = attribute(*frame.caller, *frame.outer, found->reference))
    return given;
  return find(frame.function->attributeDefaults, found->reference);
}

void Importer::refuse(const NodeProto &node, int64_t opset, const std::string &reason) {
  std::string place = current ? current->path : "";
  findings.refusals.push_back(
      fmt::format("{}{} ({}, opset {}): {}", place, nodeName(node), opName(node), opset, reason));
}

void Importer::importNodes(std::span<const NodeProto> nodes, const Frame &frame) {
  for (const NodeProto &node : nodes) {
    if (++importedNodes > mostNodes)
      return;
    Items inputs;
    bool isWhole = true;
    for (std::string_view name : node.inputs) {
      const Item *item = name.empty() ? nullptr : frame.names->find(name);
      if (!name.empty() && !item) {
        bad(fmt::format("{}{} ({}): the input '{}' is given by no node before it", frame.path,
                        nodeName(node), opName(node), name));
        isWhole = false;
      }
      inputs.push_back(item ? *item : Item());
      isWhole = isWhole && (!item || item->kind != Item::Kind::Refused);
    }
    const Frame *before = std::exchange(current, &frame);
    Items results;
    if (isWhole)
      results = importNode(node, frame, std::move(inputs));
    else if (!findFunction(node) && !findRow(node.domain, node.op, opset(frame, node.domain)))
      refuse(node, opset(frame, node.domain), "the op is not supported");
    current = before;
    for (size_t i = 0; i < node.outputs.size(); ++i)
      if (!node.outputs[i].empty())
        frame.names->items[node.outputs[i]] = i < results.size() ? results[i] : Item::refused();
  }
}

namespace {

/// What ops that take elements one by one leave behind those that are there.
struct Padding {
  Value count;
  int64_t fromEnd = 0; ///< the counted dimension, as broadcasting aligns it
  bool isMixed = false;
};

/// The padding that inputs have in common, which they do without from now on; nothing if none has.
std::optional<Padding> paddingOf(Items &inputs) {
  std::optional<Padding> padding;
  for (const Item &item : inputs)
    if (item.isCounted() && !padding)
      padding = Padding{item.count, rank(item.value) - item.counted};
  for (Item &item : inputs) {
    const bool isTensor = item.kind == Item::Kind::Tensor;
    if (!padding || !(isTensor || item.kind == Item::Kind::Initializer))
      continue;
    const Shape &shape = isTensor ? item.value.shape() : item.initializer->dims;
    const int64_t dimension = int64_t(shape.size()) - padding->fromEnd;
    if (item.isCounted() ? item.count != padding->count || item.counted != dimension
                         : dimension >= 0 && shape[size_t(dimension)] != 1)
      padding->isMixed = true;
    item.count = Value();
  }
  return padding;
}

} // namespace

Items Importer::importNode(const NodeProto &node, const Frame &frame, Items inputs) {
  if (const FunctionProto *function = findFunction(node))
    return importFunction(*function, node, frame, std::move(inputs));
  const int64_t version = opset(frame, node.domain);
  const Row *row = findRow(node.domain, node.op, version);
  if (!row) {
    refuse(node, version, "the op is not supported");
    return {};
  }
  Builder::Scope scope = builder.scope(frame.path + nodeName(node));
  const std::optional<Padding> padding =
      row->isByElement ? paddingOf(inputs) : std::optional<Padding>();
  Call call(*this, builder, node, version, std::move(inputs));
  if (padding && padding->isMixed)
    call.refuse("its inputs have sizes that depend on different data");
  Items results = row->import(call);
  if (call.isRefused())
    return {};
  if (padding)
    for (Item &result : results)
      if (result.kind == Item::Kind::Tensor)
        result = Item(result.value, padding->count, rank(result.value) - padding->fromEnd);
  for (size_t i = results.size(); i < node.outputs.size(); ++i)
    if (!node.outputs[i].empty()) {
      call.refuse(fmt::format("its output {} is not supported", i));
      break;
    }
  return results;
}

Items Importer::importFunction(const FunctionProto &function, const NodeProto &node,
                               const Frame &frame, Items inputs) {
  if (depth >= deepestCalls) {
    refuse(node, opset(frame, node.domain), "functions call each other without an end");
    return {};
  }
  Names names;
  for (size_t i = 0; i < function.inputs.size(); ++i)
    names.items[function.inputs[i]] = i < inputs.size() ? inputs[i] : Item();
  const Frame inner{&names, &function, &node, &frame, frame.path + nodeName(node) + "/"};
  ++depth;
  importNodes(function.nodes, inner);
  --depth;
  Items results;
  for (std::string_view output : function.outputs) {
    const Item *item = names.find(output);
    results.push_back(item ? *item : Item::refused());
  }
  return results;
}

bool Importer::isTooLarge() const { return importedNodes > mostNodes; }

Items Importer::importGraph(const GraphProto &graph, Items arguments) {
  const Frame &frame = *current;
  if (depth >= deepestCalls) {
    bad(fmt::format("{}: sub-graphs are nested more than {} deep", graph.name, deepestCalls));
    return {};
  }
  Names names{frame.names};
  importInitializers(graph, names);
  for (size_t i = 0; i < graph.inputs.size() && i < arguments.size(); ++i)
    names.items[graph.inputs[i].name] = arguments[i];
  const Frame inner{&names, frame.function, frame.caller, frame.outer, frame.path};
  ++depth;
  importNodes(graph.nodes, inner);
  --depth;
  Items results;
  for (const ValueInfoProto &output : graph.outputs) {
    const Item *item = names.find(output.name);
    if (!item && !isTooLarge())
      bad(fmt::format("{}: the output of a sub-graph is given by no node", output.name));
    results.push_back(item ? *item : Item::refused());
  }
  return results;
}

//===--------------------------------------------------------------------------------------------===//
// The whole
//===--------------------------------------------------------------------------------------------===//

Status Importer::problems() const {
  if (!findings.errors.empty())
    return failure(Error::Code::BadInput, file.path(), "{}", fmt::join(findings.errors, "\n"));
  if (findings.refusals.empty())
    return {};
  return failure(Error::Code::Unsupported, file.path(), "{} node{} cannot be imported:\n  {}",
                 findings.refusals.size(), findings.refusals.size() == 1 ? "" : "s",
                 fmt::join(findings.refusals, "\n  "));
}

Result<Model> Importer::run() {
  if (file.opset("") == 0 && std::ranges::any_of(file.model().graph->nodes, [](const auto &node) {
        return node.domain.empty() || node.domain == "ai.onnx";
      }))
    return failure(Error::Code::BadInput, file.path(), "says no version of ONNX's operators");
  builder.foldOps();
  Names names;
  importInitializers(*file.model().graph, names);
  importInputs(names);
  INGOT_TRY(problems());
  const Frame frame{.names = &names};
  importNodes(file.model().graph->nodes, frame);
  if (isTooLarge())
    return failure(Error::Code::Unsupported, file.path(),
                   "is more than {} nodes with its functions and loops written out", mostNodes);
  if (!findings.refusals.empty() || !findings.errors.empty()) {
    // What the builder found is the rest of the list.
    importOutputs(names);
    if (Result<Model> partial = builder.finish(); !partial && findings.errors.empty())
      for (const std::string &message : {partial.error().message})
        if (message != "the model has no output")
          findings.refusals.push_back(message);
    INGOT_TRY(problems());
  }
  importOutputs(names);
  INGOT_TRY(problems());
  builder.weights(std::move(weights));
  return builder.finish().map_error(
      [&](Error error) { return Error{error.code, error.text(), file.path()}; });
}

Result<Model> importModel(const OnnxFile &file, const ImportOptions &options,
                          std::set<std::string> *fixedInputs) {
  // Another round for each set of inputs that turn out to decide shapes.
  std::set<std::string> fixed;
  while (true) {
    Importer importer(file, options);
    importer.fix(fixed);
    Result<Model> model = importer.run();
    std::set<std::string> next = fixed;
    for (const std::string &name : importer.wantedValues())
      if (options.values.contains(name))
        next.insert(name);
    if (model && fixedInputs)
      *fixedInputs = fixed;
    if (model || next == fixed)
      return model;
    fixed = std::move(next);
  }
}

} // namespace ingot::onnx
