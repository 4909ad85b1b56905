#pragma once

#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace meshattn {

/// The result of a run of the program.
struct ProgramRun {
  int status;
  std::string out;
  std::string err;
};

/// Runs the program as a user does, in an empty folder of its own.
class Cli : public testing::Test {
 protected:
  Cli() : folder_(std::filesystem::temp_directory_path() / fmt::format("meshattn_cli_{}", getpid())) {
    std::filesystem::create_directory(folder_);
  }
  ~Cli() override { std::filesystem::remove_all(folder_); }

  /// Runs the program. A shell reads `arguments`; standard output goes to the file `out`.
  [[nodiscard]] ProgramRun meshattn(const std::string& arguments, const std::string& out = "out.txt") const {
    const std::string command =
        fmt::format("cd {} && {} {} >{} 2>err.txt", folder_.string(), MESHATTN_PROGRAM, arguments, out);
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, content("out.txt"), content("err.txt")};
  }

  /// The JSON results of a run, which must succeed.
  [[nodiscard]] nlohmann::json results(const std::string& arguments) const {
    const ProgramRun run = meshattn(arguments + " --json -");
    EXPECT_EQ(run.status, 0) << arguments << '\n' << run.err;
    EXPECT_EQ(run.err, "");
    return nlohmann::json::parse(run.out, nullptr, false);
  }

  /// Expects each command (first) to be refused with status 2 and one line that contains the text (second).
  void expect_refused(const std::vector<std::pair<std::string, std::string>>& cases) const {
    for (const auto& [arguments, says] : cases) {
      const ProgramRun run = meshattn(arguments);
      EXPECT_EQ(run.status, 2) << arguments << '\n' << run.err;
      EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << arguments << '\n' << run.err;
      EXPECT_TRUE(run.err.starts_with("meshattn: ")) << run.err;
      EXPECT_NE(run.err.find(says), std::string::npos) << arguments << '\n' << run.err;
    }
  }

  [[nodiscard]] std::string content(const std::string& name) const {
    std::ifstream in(folder_ / name);
    return {std::istreambuf_iterator<char>(in), {}};
  }

  [[nodiscard]] std::set<std::string> files() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) names.insert(entry.path().filename());
    names.erase("out.txt");
    names.erase("err.txt");
    return names;
  }

  std::filesystem::path folder_;
};

/// Chunks of 4,096 tokens × 32 heads × 128 in bf16: Q is 2^25 bytes, KV of MHA 2^26; a block takes 1 ms forward.
inline std::string ideal(int gpus, const std::string& more, int kv_heads = 32, int heads = 32) {
  return fmt::format(
      "--cluster ideal-8x50 --gpus {} --seq {} --heads {} --kv-heads {} --head-dim 128 --dtype bf16 --mask full "
      "--partition contiguous {}",
      gpus, gpus * 4096, heads, kv_heads, more);
}

}  // namespace meshattn
