/// `ingot devices`.
#include "runtime/program/Device.h"
#include "runtime/support/HumanBytes.h"
#include "runtime/support/Json.h"
#include "runtime/support/Print.h"
#include "tools/commands/Command.h"

namespace ingot {
namespace {

void printDevice(const DeviceInfo &device) {
  if (!device.error.empty()) {
    print("{}: cannot be used: {}\n", device.name, device.error);
    return;
  }
  const std::string_view core = device.name.starts_with("cuda") ? "multiprocessor" : "core";
  print("{}: {}, {} {}{}, {}\n", device.name, device.model, device.cores, core,
        device.cores == 1 ? "" : "s", humanBytes(device.memoryBytes));
}

Status listDevicesAs(bool json) {
  if (!json) {
    for (const DeviceInfo &device : listDevices())
      printDevice(device);
    print("reference: the interpreter that tests compare with\n");
    return {};
  }
  nlohmann::json devices = nlohmann::json::array();
  for (const DeviceInfo &device : listDevices())
    if (device.error.empty())
      devices.push_back({{"name", device.name},
                         {"model", device.model},
                         {"cores", device.cores},
                         {"memory_bytes", device.memoryBytes},
                         {"features", device.features}});
    else
      devices.push_back({{"name", device.name}, {"error", device.error}});
  devices.push_back({{"name", "reference"}, {"model", "interpreter"}});
  print("{}\n", toText(devices));
  return {};
}

} // namespace

Action declareDevices(CLI::App &app) {
  auto json = std::make_shared<bool>(false);
  app.add_flag("--json", *json, "one JSON list to stdout");
  return [json] { return listDevicesAs(*json); };
}

} // namespace ingot
