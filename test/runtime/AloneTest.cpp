// The runtime is light: these tests link it alone, and no compiler library comes with it.
#include <array>
#include <cstdio>
#include <filesystem>
#include <gtest/gtest.h>
#include <memory>

namespace {

std::string outputOf(const std::string &command) {
  std::unique_ptr<FILE, int (*)(FILE *)> pipe(popen(command.c_str(), "r"), pclose);
  std::string output;
  std::array<char, 4096> buffer;
  while (pipe && std::fgets(buffer.data(), buffer.size(), pipe.get()))
    output += buffer.data();
  return output;
}

TEST(Alone, needsNoCompilerLibrary) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const std::string libraries = outputOf("ldd '" + program + "'");
  ASSERT_NE(libraries.find("libc.so"), std::string::npos) << libraries;
  EXPECT_EQ(libraries.find("LLVM"), std::string::npos) << libraries;
  EXPECT_EQ(libraries.find("MLIR"), std::string::npos) << libraries;
}

} // namespace
