/// Kernels run with all checks on, and what is expected of the findings.
#pragma once
#include "test/emulator/Support.h"

namespace ingot::emulator {

/// Runs kernels with all checks on.
struct Checked {
  explicit Checked(const std::string &body, std::string_view target = "sm_90a")
      : device(test::header(target) + body, "checked.ptx") {
    device.expectFindings = true;
  }
  uint64_t buffer(size_t bytes, std::string name, bool written = true) {
    const uint64_t address = device.allocate(bytes, name);
    if (written)
      device.write(address, std::vector<std::byte>(bytes).data(), bytes);
    return address;
  }
  template <typename... T> std::vector<Finding> run(Dim3 grid, Dim3 block, T... parameters) {
    return device.launch("k", grid, block, parameters...).findings;
  }
  test::Device device;
};

inline std::string all(const std::vector<Finding> &findings) {
  std::string text;
  for (const Finding &finding : findings)
    text += finding.str() + "\n";
  return text;
}

/// The one finding has this check; its message holds `part`.
inline void expectOne(const std::vector<Finding> &findings, std::string_view check,
                      std::string_view part = "") {
  ASSERT_EQ(findings.size(), 1u) << all(findings);
  EXPECT_EQ(findings[0].check, check) << findings[0].str();
  EXPECT_NE(findings[0].message.find(part), std::string::npos) << findings[0].str();
}
/// There are findings, all of this check, and a message holds `part`.
inline void expectOnly(const std::vector<Finding> &findings, std::string_view check,
                       std::string_view part) {
  bool found = false;
  for (const Finding &finding : findings) {
    EXPECT_EQ(finding.check, check) << finding.str();
    found |= finding.message.find(part) != std::string::npos;
  }
  EXPECT_TRUE(found) << all(findings);
}
inline void expectQuiet(const std::vector<Finding> &findings) { EXPECT_EQ(all(findings), ""); }

} // namespace ingot::emulator
