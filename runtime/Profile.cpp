#include "runtime/Profile.h"
#include "runtime/File.h"
#include "runtime/Json.h"
#include <algorithm>
#include <map>

namespace ingot {

using nlohmann::json;

ProfileSink Profile::sink() {
  return [this](const Kernel &kernel, const CallStep &call, double start, double end) {
    add(kernel, call, start, end);
  };
}

void Profile::add(const Kernel &kernel, const CallStep &call, double start, double end) {
  events.push_back({&kernel, call.op.empty() ? kernel.ops : call.op, start, end});
}

double Profile::kernelSeconds() const {
  double sum = 0;
  for (const Event &event : events)
    sum += event.end - event.start;
  return sum;
}

std::vector<Profile::Row> Profile::rows() const {
  std::map<const Kernel *, size_t> index;
  std::vector<Row> rows;
  for (const Event &event : events) {
    auto [place, isNew] = index.try_emplace(event.kernel, rows.size());
    if (isNew)
      rows.push_back({.kernel = event.kernel});
    Row &row = rows[place->second];
    ++row.calls;
    row.seconds += event.end - event.start;
  }
  const double total = kernelSeconds();
  for (Row &row : rows) {
    if (row.seconds <= 0)
      continue;
    row.gflops = row.kernel->flops * double(row.calls) / row.seconds / 1e9;
    row.gigabytes = row.kernel->bytes * double(row.calls) / row.seconds / 1e9;
    row.share = row.seconds / total;
  }
  std::ranges::sort(rows, std::greater(),
                    [](const Row &row) { return std::pair(row.seconds, row.calls); });
  return rows;
}

std::string Profile::table(size_t limit) const {
  static constexpr char format[] = "{:>9} {:>6} {:>7} {:>9} {:>8}  {:<12} {}\n";
  std::string text =
      fmt::format(format, "ms", "%", "calls", "GFLOP/s", "GB/s", "root", "kernel: ops");
  const std::vector<Row> all = rows();
  for (size_t i = 0; i < std::min(limit, all.size()); ++i) {
    const Row &row = all[i];
    text += fmt::format(format, fmt::format("{:.3f}", row.seconds * 1e3),
                        fmt::format("{:.1f}", row.share * 100), row.calls,
                        fmt::format("{:.1f}", row.gflops), fmt::format("{:.1f}", row.gigabytes),
                        row.kernel->root, fmt::format("{}: {}", row.kernel->name, row.kernel->ops));
  }
  if (all.size() > limit)
    text += fmt::format("… and {} kernels more\n", all.size() - limit);
  return text + fmt::format("{:9.3f} ms in {} calls of {} kernels\n", kernelSeconds() * 1e3,
                            events.size(), all.size());
}

Status Profile::writeTrace(const std::string &path) const {
  const double origin = events.empty() ? 0 : events.front().start;
  json trace = json::array();
  for (const Event &event : events)
    trace.push_back({{"name", event.op},
                     {"cat", event.kernel->root},
                     {"ph", "X"},
                     {"pid", 1},
                     {"tid", 1},
                     {"ts", (event.start - origin) * 1e6},
                     {"dur", (event.end - event.start) * 1e6},
                     {"args",
                      {{"kernel", event.kernel->name},
                       {"ops", event.kernel->ops},
                       {"flops", event.kernel->flops},
                       {"bytes", event.kernel->bytes}}}});
  return writeFile(path,
                   toText({{"displayTimeUnit", "ms"}, {"traceEvents", std::move(trace)}}) + "\n");
}

} // namespace ingot
