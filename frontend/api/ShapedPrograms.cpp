#include "frontend/api/ShapedPrograms.h"
#include "frontend/api/RunFunction.h"
#include "frontend/api/SavedModel.h"
#include "runtime/support/Clock.h"
#include "runtime/training/StepDriver.h"
#include <cstring>

namespace ingot {
namespace {

bool isEqual(const Tensor &a, const Tensor &b) {
  return a.type() == b.type() && a.shape() == b.shape() &&
         std::memcmp(a.data(), b.data(), a.bytes()) == 0;
}

std::map<std::string, Shape> shapesOf(const Tensors &inputs) {
  std::map<std::string, Shape> shapes;
  for (const auto &[name, value] : inputs)
    shapes[name] = value.shape();
  return shapes;
}

/// Shapes of which it is known whether and how they are padded; a proof costs two imports.
constexpr int64_t paddingsPerProgram = 64;

/// `x: 3x4; count: i64=[2]`.
std::string describe(const std::map<std::string, Shape> &shapes, const Tensors &fixed) {
  std::string text;
  for (const auto &[name, shape] : shapes) {
    text += fmt::format("{}{}: ", text.empty() ? "" : "; ", name);
    if (auto value = fixed.find(name); value != fixed.end())
      text += toString(value->second, 16);
    else
      text += shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, "x"));
  }
  return text;
}

} // namespace

Result<std::unique_ptr<ShapedPrograms>> ShapedPrograms::open(const std::string &path,
                                                             Settings settings) {
  if (settings.mostPrograms < 1)
    return failure(Error::Code::Usage, "DynamicOptions::mostPrograms", "{} is not 1 or more",
                   settings.mostPrograms);
  INGOT_ASSIGN(onnx::OnnxFile file, onnx::OnnxFile::open(path));
  std::unique_ptr<ShapedPrograms> programs(
      new ShapedPrograms(std::move(file), std::move(settings)));
  INGOT_ASSIGN(programs->inputPorts, onnx::inputsOf(programs->onnxFile));
  INGOT_ASSIGN(programs->outputPorts, onnx::outputsOf(programs->onnxFile));
  for (const onnx::FilePort &port : programs->inputPorts)
    programs->isOpen |= !isClosed(port);
  const Settings &set = programs->settings;
  if (set.device == "reference" && set.store)
    return failure(Error::Code::Unsupported, "Options::device",
                   "the reference keeps its parameters to itself: it shares no store");
  if (set.device != "reference") {
    INGOT_ASSIGN(programs->device, openDevice(set.device, {set.threads}));
    programs->shared = set.store ? set.store : programs->device->makeStore();
  }
  return programs;
}

Result<ShapedPrograms::Entry *> ShapedPrograms::compile(const Shapes &shapes,
                                                        const Tensors &values) {
  const double start = steadySeconds();
  std::set<std::string> fixed;
  INGOT_ASSIGN(Model model,
               onnx::importModel(onnxFile, {.shapes = shapes, .values = values}, &fixed));
  Entry entry{shapes, {}, {}};
  for (const std::string &name : fixed)
    entry.fixed[name] = values.at(name).clone();
  CompileOptions options = settings.compile;
  // Another program may want the weights in another layout.
  options.memory.packWeights &= settings.isSingle || (!isOpen && fixed.empty());
  INGOT_ASSIGN(entry.loaded, loadModel(model, options, settings.device, settings.threads,
                                       /*initializers=*/false, shared, device));
  INGOT_TRY(fill(*entry.loaded.session));
  const double ms = 1e3 * (steadySeconds() - start);
  milliseconds += ms;
  ++done.compilations;
  done.fromCache += entry.loaded.report.programCached;
  if (settings.onCompile)
    settings.onCompile(
        {describe(shapes, entry.fixed), done.compilations, ms, entry.loaded.report.programCached});
  entries.push_front(std::move(entry));
  while (int64_t(entries.size()) > settings.mostPrograms) {
    entries.pop_back();
    ++done.dropped;
  }
  return &entries.front();
}

/// A checkpoint's values go before the file's.
Status ShapedPrograms::fill(Session &session) {
  if (!given)
    return {};
  std::vector<std::string> missing;
  for (const Port &port : session.program().function("forward")->ports)
    if (isSaved(port.role) && !filled.contains(port.name)) {
      INGOT_TRY(checkParameter(*given, port.name, port.type, port.shape, givenPlace));
      missing.push_back(port.name);
    }
  for (const std::string &name : missing) {
    INGOT_TRY(session.write("forward", name, given->tensors.at(name)));
    if (shared)
      filled.insert(name);
  }
  return {};
}

Result<ShapedPrograms::Entry *> ShapedPrograms::find(const Shapes &shapes, const Tensors &values) {
  for (auto entry = entries.begin(); entry != entries.end(); ++entry) {
    const bool isMeant =
        entry->shapes == shapes && std::ranges::all_of(entry->fixed, [&](const auto &fixed) {
          auto value = values.find(fixed.first);
          return value != values.end() && isEqual(value->second, fixed.second);
        });
    if (!isMeant)
      continue;
    entries.splice(entries.begin(), entries, entry);
    return &entries.front();
  }
  return compile(shapes, values);
}

Status ShapedPrograms::checkComplete(const Tensors &inputs) const {
  for (const onnx::FilePort &port : inputPorts)
    if (port.kind == onnx::FilePort::Kind::Tensor && !inputs.contains(port.name))
      return failure(Error::Code::Usage, port.name, "the input is missing: {} {}",
                     toString(port.shape), name(port.type));
  return {};
}

Status ShapedPrograms::prepare(const std::map<std::string, Shape> &shapes) {
  // The key has the shapes of all inputs, as a run gives them.
  Shapes all = shapes;
  for (const onnx::FilePort &port : inputPorts)
    if (port.kind == onnx::FilePort::Kind::Tensor && port.hasShape)
      all.try_emplace(port.name, port.shape);
  std::map<std::string, int64_t> symbols;
  for (const onnx::FilePort &port : inputPorts)
    if (auto given = shapes.find(port.name); given != shapes.end())
      for (size_t i = 0; i < port.symbols.size() && i < given->second.size(); ++i)
        if (!port.symbols[i].empty())
          symbols.try_emplace(port.symbols[i], given->second[i]);
  for (const onnx::FilePort &port : inputPorts)
    for (size_t i = 0;
         i < port.symbols.size() && all.contains(port.name) && !shapes.contains(port.name); ++i)
      if (Shape &shape = all[port.name]; i < shape.size() && onnx::isOpen(shape[i]))
        if (auto symbol = symbols.find(port.symbols[i]); symbol != symbols.end())
          shape[i] = symbol->second;
  for (const onnx::FilePort &port : inputPorts) {
    const auto known = all.find(port.name);
    const bool isKnown =
        known != all.end() && std::ranges::none_of(known->second, [&](int64_t size) {
          return shapes.contains(port.name) ? size < 0 : onnx::isOpen(size);
        });
    if (port.kind == onnx::FilePort::Kind::Tensor && !isKnown)
      return failure(Error::Code::Usage, port.name,
                     "{} has sizes that are known at run time only: name its shape, too",
                     port.hasShape ? toString(port.shape) : "the input");
  }
  if (settings.buckets != Buckets::Off) {
    INGOT_ASSIGN(const RowPadding *const padding, paddingOf(all, {}));
    if (padding)
      padding->pad(all);
  }
  INGOT_TRY(find(all, {}));
  return {};
}

Result<const RowPadding *> ShapedPrograms::paddingOf(const Shapes &shapes, const Tensors &values) {
  const std::string key = describe(shapes, {});
  auto known = paddings.find(key);
  if (known == paddings.end()) {
    ++done.proofs;
    if (int64_t(paddings.size()) >= paddingsPerProgram * settings.mostPrograms)
      paddings.erase(std::ranges::min_element(
          paddings, {}, [](const auto &entry) { return entry.second.lastUse; }));
    Result<RowPadding> padding =
        RowPadding::of(onnxFile, inputPorts, shapes, values, settings.compile, settings.device);
    if (!padding && values.empty())
      return tl::unexpected(padding.error()); // with values it may be for a better reason
    known = paddings.emplace(key, Padding{std::move(padding), 0}).first;
  }
  known->second.lastUse = ++paddingUses;
  const Result<RowPadding> &padding = known->second.padding;
  if (!padding)
    return tl::unexpected(padding.error());
  return padding->pads() ? &*padding : nullptr;
}

Result<Tensors> ShapedPrograms::run(const Tensors &inputs) {
  ++done.runs;
  INGOT_TRY(checkComplete(inputs));
  const RowPadding *padding = nullptr;
  if (settings.buckets != Buckets::Off) {
    INGOT_ASSIGN(padding, paddingOf(shapesOf(inputs), inputs));
  }
  if (!padding) {
    INGOT_ASSIGN(Entry *const entry, find(shapesOf(inputs), inputs));
    return runFunction(*entry->loaded.session, "forward", inputs);
  }
  ++done.padded;
  const Tensors padded = padding->pad(inputs);
  INGOT_ASSIGN(Entry *const entry, find(shapesOf(padded), padded));
  INGOT_ASSIGN(Tensors outputs, runFunction(*entry->loaded.session, "forward", padded));
  padding->cut(outputs);
  return outputs;
}

Status ShapedPrograms::load(Checkpoint checkpoint, const std::string &place) {
  for (const Entry &entry : entries)
    for (const Port &port : entry.loaded.session->program().function("forward")->ports)
      if (isSaved(port.role))
        INGOT_TRY(checkParameter(checkpoint, port.name, port.type, port.shape, place));
  // The store's, too, of programs that were dropped and of whoever shares it.
  std::set<std::string> held;
  for (const std::string &name : shared ? shared->names() : std::vector<std::string>())
    if (checkpoint.tensors.contains(name)) {
      INGOT_ASSIGN(const Tensor value, shared->read(name));
      INGOT_TRY(checkParameter(checkpoint, name, value.type(), value.shape(), place));
      held.insert(name);
    }
  for (const std::string &name : held)
    INGOT_TRY(shared->write(name, checkpoint.tensors.at(name)));
  if (!shared)
    for (Entry &entry : entries)
      INGOT_TRY(loadParameters(*entry.loaded.session, "forward", checkpoint, place));
  given = std::move(checkpoint);
  givenPlace = place;
  filled = std::move(held);
  return {};
}

//===--------------------------------------------------------------------------------------------===//
// The public class
//===--------------------------------------------------------------------------------------------===//

struct DynamicModel::Impl {
  std::unique_ptr<ShapedPrograms> programs;
  std::function<void(const Specialisation &)> onCompile;
  std::vector<Specialisation> untold; ///< what was compiled since the mutex was locked
  std::mutex mutex;

  /// What is compiled is told after unlocking: whoever is told may call the model.
  template <typename Call> auto locked(Call call) {
    std::unique_lock lock(mutex);
    auto result = call(*programs);
    const std::vector<Specialisation> news = std::exchange(untold, {});
    lock.unlock();
    for (const Specialisation &one : news)
      onCompile(one);
    return result;
  }
};

Result<DynamicModel> DynamicModel::open(const std::string &path, const DynamicOptions &options) {
  INGOT_ASSIGN(CompileOptions compile, toCompileOptions(options, std::nullopt));
  auto impl = std::make_shared<Impl>();
  impl->onCompile = options.onCompile;
  std::function<void(const Specialisation &)> note;
  if (options.onCompile)
    note = [&untold = impl->untold](const Specialisation &one) { untold.push_back(one); };
  INGOT_ASSIGN(impl->programs, ShapedPrograms::open(path, {.compile = std::move(compile),
                                                           .device = options.device,
                                                           .threads = options.threads,
                                                           .store = options.store,
                                                           .mostPrograms = options.mostPrograms,
                                                           .buckets = options.buckets,
                                                           .onCompile = std::move(note)}));
  return DynamicModel(std::move(impl));
}

Result<DynamicModel> DynamicModel::open(const std::string &path) {
  return open(path, DynamicOptions());
}

std::vector<ModelPort> DynamicModel::ports() const {
  std::vector<ModelPort> ports;
  for (const auto &[role, files] : {std::pair(Role::Input, &impl->programs->inputs()),
                                    std::pair(Role::Output, &impl->programs->outputs())})
    for (const onnx::FilePort &port : *files)
      ports.push_back({port.name, role, port.type, port.shape, ""});
  return ports;
}

Status DynamicModel::prepare(const std::map<std::string, Shape> &shapes) {
  return impl->locked([&](ShapedPrograms &programs) { return programs.prepare(shapes); });
}

Result<Tensors> DynamicModel::run(const Tensors &inputs) {
  return impl->locked([&](ShapedPrograms &programs) { return programs.run(inputs); });
}

Status DynamicModel::load(const std::string &path) {
  INGOT_ASSIGN(Checkpoint checkpoint, readCheckpoint(path));
  std::lock_guard lock(impl->mutex);
  return impl->programs->load(std::move(checkpoint), path);
}

DynamicCounts DynamicModel::counts() const {
  std::lock_guard lock(impl->mutex);
  return impl->programs->counts();
}

int64_t DynamicModel::programs() const {
  std::lock_guard lock(impl->mutex);
  return impl->programs->size();
}

std::shared_ptr<Store> DynamicModel::store() const { return impl->programs->store(); }

} // namespace ingot
