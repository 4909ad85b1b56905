#include "core/base/output_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <ostream>

#include "core/base/error.h"

namespace meshattn {
namespace {

namespace fs = std::filesystem;

/// A temporary folder.
class OutputFile : public testing::Test {
 protected:
  OutputFile() : folder_(fs::temp_directory_path() / ("meshattn_report_file_" + std::to_string(getpid()))) {
    fs::create_directory(folder_);
  }
  ~OutputFile() override { fs::remove_all(folder_); }

  [[nodiscard]] std::string path(const std::string& name) const { return (folder_ / name).string(); }
  [[nodiscard]] int files() const {
    return static_cast<int>(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }
  static std::string content(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void write(std::ostream& out) { out << "all of it"; }

 private:
  fs::path folder_;
};

TEST_F(OutputFile, ReplacesWhatWasThere) {
  std::ofstream(path("a")) << "old and much longer than the new";
  write_file(path("a"), write);
  EXPECT_EQ(content(path("a")), "all of it");
  EXPECT_EQ(files(), 1);
}

TEST_F(OutputFile, LeavesNothingBehindWhenWritingFails) {
  std::ofstream(path("a")) << "old";
  const auto fail = [](std::ostream& out) {
    out << "half";
    throw Error("no more");
  };
  EXPECT_THROW(write_file(path("a"), fail), Error);
  EXPECT_EQ(content(path("a")), "old");
  EXPECT_THROW(write_file(path("b"), fail), Error);
  EXPECT_EQ(files(), 1);
}

/// A signal that ends a program arrives after the file is complete.
TEST_F(OutputFile, ASignalThatComesWhileItIsWrittenWaits) {
  for (int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const std::string name = path(std::to_string(signal));
    EXPECT_EXIT(write_file(name,
                           [&](std::ostream& out) {
                             out << "half";
                             kill(getpid(), signal);
                             out << ", and all";
                           }),
                testing::KilledBySignal(signal), "");
    EXPECT_EQ(content(name), "half, and all");
  }
  EXPECT_EQ(files(), 3);
}

TEST_F(OutputFile, ReplacesTheFileBehindALink) {
  std::ofstream(path("target")) << "old";
  fs::create_symlink(path("target"), path("link"));
  write_file(path("link"), write);
  EXPECT_TRUE(fs::is_symlink(path("link")));
  EXPECT_EQ(content(path("target")), "all of it");
}

TEST_F(OutputFile, NamesAFolderThatIsNotThere) {
  EXPECT_THROW(check_writable(path("missing/a")), InvalidInput);
  EXPECT_THROW(check_writable(path("")), InvalidInput);  // the folder itself
  EXPECT_THROW(write_file(path("missing/a"), write), InvalidInput);
  EXPECT_NO_THROW(check_writable(path("a")));
  EXPECT_EQ(files(), 0);
}

TEST_F(OutputFile, AFullDeviceIsAnErrorAndStaysADevice) {
  if (!fs::is_character_file("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  EXPECT_THROW(write_file("/dev/full", write), Error);
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

}  // namespace
}  // namespace meshattn
