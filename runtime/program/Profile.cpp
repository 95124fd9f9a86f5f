#include "runtime/program/Profile.h"
#include "runtime/support/File.h"
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace ingot {

namespace {

double median(std::vector<double> values) {
  std::ranges::nth_element(values, values.begin() + int64_t(values.size() / 2));
  return values[values.size() / 2];
}

/// `h.3.mlp` becomes `h.*.mlp`.
std::string withoutNumbers(std::string_view op) {
  std::string text;
  auto isDigit = [](char c) { return c >= '0' && c <= '9'; };
  for (size_t i = 0; i < op.size();) {
    size_t end = i;
    while (end < op.size() && isDigit(op[end]))
      ++end;
    if (end > i && i > 0 && op[i - 1] == '.') {
      text += '*';
      i = end;
    } else {
      text += op[i++];
    }
  }
  return text;
}

/// The ops of a kernel; of one that several layers share the numbers are left out.
std::string describeOps(std::string_view ops, bool shared) {
  std::vector<std::string> names;
  for (size_t begin = 0; begin < ops.size();) {
    const size_t end = std::min(ops.find(", ", begin), ops.size());
    const std::string_view op = ops.substr(begin, end - begin);
    std::string name = shared ? withoutNumbers(op) : std::string(op);
    if (std::ranges::find(names, name) == names.end())
      names.push_back(std::move(name));
    begin = end + 2;
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

} // namespace

std::string firstOps(const std::string &ops, size_t most) {
  const size_t comma = ops.rfind(", ", most);
  if (ops.size() <= most || comma == std::string::npos)
    return ops;
  return ops.substr(0, comma) + ", …";
}

MachineLimits::Bound kernelBound(const Program &program, const Kernel &kernel,
                                 const MachineLimits &limits) {
  // An update goes over the whole of parameters and state, call by call: between two steps they lie
  // where all of them fit. Other kernels find their operands, at best, where those fit.
  const double persistent = kernel.root == "update" ? double(program.persistentBytes) : 0;
  return limits.bound(kernel.flops, kernel.bytes, std::max(kernel.bytes, persistent));
}

ProfileSink Profile::sink() {
  return [this](const ProfileSpan &span) { add(span); };
}

void Profile::add(const ProfileSpan &span) {
  events.push_back(
      {span, span.call->op.empty() ? span.kernel->ops : span.call->op, run + span.run});
}

double Profile::Event::calls() const {
  return double(span.grains) / double(std::max<int64_t>(1, span.kernel->grains()));
}

void Profile::beginRun() {
  if (!events.empty())
    run = events.back().run + 1;
}

std::vector<Profile::Row> Profile::rows() const {
  struct Sums {
    std::vector<double> secondsOfRun;
    std::set<std::string_view> ops;
    double calls = 0;
  };
  const size_t runs = events.empty() ? 1 : events.back().run + 1;
  const double threads = std::max(1, limits.threads);
  std::map<const Kernel *, Sums> kernels;
  for (const Event &event : events) {
    Sums &sums = kernels[event.span.kernel];
    sums.secondsOfRun.resize(runs);
    sums.secondsOfRun[event.run] += event.seconds() / threads;
    sums.ops.insert(event.op);
    sums.calls += event.calls();
  }
  std::vector<Row> rows;
  double total = 0;
  for (const auto &[kernel, sums] : kernels) {
    const MachineLimits::Bound bound = kernelBound(program, *kernel, limits);
    Row row{.kernel = kernel,
            .ops = describeOps(kernel->ops, sums.ops.size() > 1),
            .launches = std::max<int64_t>(1, std::llround(sums.calls / double(runs))),
            .seconds = median(sums.secondsOfRun),
            .boundBy = bound.by};
    row.limitSeconds = bound.seconds * double(row.launches);
    if (row.seconds > 0) {
      row.gflops = kernel->flops * double(row.launches) / row.seconds / 1e9;
      row.gigabytes = kernel->bytes * double(row.launches) / row.seconds / 1e9;
    }
    total += row.seconds;
    rows.push_back(std::move(row));
  }
  for (Row &row : rows)
    row.share = total > 0 ? row.seconds / total : 0;
  std::ranges::sort(rows, [](const Row &left, const Row &right) {
    return std::tie(right.seconds, left.kernel->name) < std::tie(left.seconds, right.kernel->name);
  });
  return rows;
}

std::string Profile::table(size_t most) const {
  static constexpr char format[] = "{:>9} {:>6} {:>8} {:>9} {:>7} {:>7} {:<6}  {}\n";
  std::string text =
      fmt::format(format, "ms", "%", "launches", "GFLOP/s", "GB/s", "% limit", "by", "kernel: ops");
  const std::vector<Row> all = rows();
  auto line = [&](const Row &row, std::string_view name) {
    text += fmt::format(format, fmt::format("{:.3f}", row.seconds * 1e3),
                        fmt::format("{:.1f}", row.share * 100), row.launches,
                        fmt::format("{:.1f}", row.gflops), fmt::format("{:.1f}", row.gigabytes),
                        fmt::format("{:.0f}", row.ofLimit() * 100), row.boundBy, name);
  };
  auto sum = [&](std::span<const Row> part) {
    Row total;
    double operations = 0, bytes = 0;
    for (const Row &row : part) {
      total.seconds += row.seconds;
      total.launches += row.launches;
      total.share += row.share;
      total.limitSeconds += row.limitSeconds;
      operations += row.gflops * row.seconds;
      bytes += row.gigabytes * row.seconds;
    }
    if (total.seconds > 0) {
      total.gflops = operations / total.seconds;
      total.gigabytes = bytes / total.seconds;
    }
    return total;
  };
  const size_t listed = std::min(most, all.size());
  for (const Row &row : std::span(all).first(listed))
    line(row, fmt::format("{}{}: {}", row.kernel->name,
                          row.kernel->tuned.empty() ? "" : " [" + row.kernel->tuned + "]",
                          firstOps(row.ops, 72)));
  if (all.size() > listed)
    line(sum(std::span(all).subspan(listed)), fmt::format("{} more kernels", all.size() - listed));
  line(sum(all), fmt::format("all {} kernels", all.size()));
  return text;
}

nlohmann::json Profile::json() const {
  auto list = nlohmann::json::array();
  for (const Row &row : rows())
    list.push_back({{"kernel", row.kernel->name},
                    {"root", row.kernel->root},
                    {"ops", row.ops},
                    {"tuned", row.kernel->tuned},
                    {"launches", row.launches},
                    {"ms", row.seconds * 1e3},
                    {"share", row.share},
                    {"flops", row.kernel->flops},
                    {"bytes", row.kernel->bytes},
                    {"gflops", row.gflops},
                    {"gigabytes_per_s", row.gigabytes},
                    {"limit_ms", row.limitSeconds * 1e3},
                    {"of_limit", row.ofLimit()},
                    {"bound_by", row.boundBy}});
  return list;
}

Status Profile::writeTrace(const std::string &path) const {
  const double origin = events.empty() ? 0 : events.front().span.start;
  auto trace = nlohmann::json::array();
  for (const Event &event : events) {
    const Kernel &kernel = *event.span.kernel;
    const double seconds = event.seconds(), calls = event.calls();
    const MachineLimits::Bound bound = kernelBound(program, kernel, limits);
    // One thread's part of what the machine can do.
    const double limitSeconds = bound.seconds * calls * std::max(1, limits.threads);
    trace.push_back({{"name", event.op},
                     {"cat", kernel.root},
                     {"ph", "X"},
                     {"pid", 1},
                     {"tid", event.span.worker + 1},
                     {"ts", (event.span.start - origin) * 1e6},
                     {"dur", seconds * 1e6},
                     {"args",
                      {{"kernel", kernel.name},
                       {"ops", kernel.ops},
                       {"grains", fmt::format("{} of {}", event.span.grains, kernel.grains())},
                       {"flops", kernel.flops * calls},
                       {"bytes", kernel.bytes * calls},
                       {"of_roofline", seconds > 0 ? limitSeconds / seconds : 0},
                       {"bound_by", bound.by}}}});
  }
  return writeFile(path,
                   toText({{"displayTimeUnit", "ms"}, {"traceEvents", std::move(trace)}}) + "\n");
}

} // namespace ingot
