#include "experiments/measure/calibration/output_files.h"

#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "core/base/error.h"
#include "core/base/output_file.h"
#include "core/cluster/cluster_file.h"

namespace meshattn {

namespace fs = std::filesystem;

namespace {

/// A folder that is removed with this object.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(fs::path path) : path_(std::move(path)) {}
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

fs::path cluster_of_ctas(const fs::path& folder, const std::string& name, int ctas) {
  return folder / "clusters" / fmt::format("{}-ctas-{}.ini", name, ctas);
}

}  // namespace

OutputFiles::OutputFiles(fs::path folder, std::string name, const std::vector<int>& ctas)
    : folder_(std::move(folder)),
      name_(std::move(name)),
      ctas_(ctas),
      profile_(folder_ / "gpus" / (name_ + "-gpu.ini")) {
  for (int number : ctas_)
    clusters_.push_back(number == ctas_.front() ? folder_ / "clusters" / (name_ + ".ini")
                                                : cluster_of_ctas(folder_, name_, number));
}

void OutputFiles::create_folders() const {
  std::vector<fs::path> all = clusters_;
  all.push_back(profile_);
  for (const fs::path& path : all) {
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error) throw InvalidInput(fmt::format("--out {}: {}", folder_.string(), error.message()));
    check_writable(path.string());
  }
}

GpuProfile OutputFiles::write(const CalibrationRequest& request, const Calibration& measured) const {
  std::vector<std::string> texts{profile_text(request, measured)};
  for (int ctas : ctas_) texts.push_back(cluster_text(request, measured, ctas, name_ + "-gpu"));
  const TemporaryFolder trial(folder_ / fmt::format("trial-{}", getpid()));
  const OutputFiles trial_files(trial.path(), name_, ctas_);
  trial_files.create_folders();
  trial_files.write_all(texts);
  GpuProfile profile;  // the same for all clusters
  for (const fs::path& path : trial_files.clusters_) profile = read_cluster(path.string(), trial.path()).gpu;
  write_all(texts);
  remove_stale_clusters();
  return profile;
}

void OutputFiles::write_all(const std::vector<std::string>& texts) const {
  const auto write = [](const fs::path& path, const std::string& text) {
    write_file(path.string(), [&](std::ostream& out) { out << text; });
  };
  write(profile_, texts.front());
  for (std::size_t i = 0; i < clusters_.size(); ++i) write(clusters_[i], texts[i + 1]);
}

void OutputFiles::remove_stale_clusters() const {
  for (int ctas = 1; ctas <= gpu::kMaxCtas; ++ctas) {
    const fs::path other = cluster_of_ctas(folder_, name_, ctas);
    std::ifstream file(other);
    const std::string text(std::istreambuf_iterator<char>(file), {});
    if (std::ranges::count(clusters_, other) == 0 && text.starts_with("# By meshattn calibrate") &&
        text.find("\ngpu = " + name_ + "-gpu\n") != std::string::npos) {
      std::error_code ignored;  // a file that cannot be removed stays
      fs::remove(other, ignored);
    }
  }
}

}  // namespace meshattn
