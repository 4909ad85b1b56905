#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/measure/calibration/calibration.h"

namespace meshattn {

/// The GPU profile and the clusters, one for each number of CTAs, that a calibration writes into a folder of
/// topologies.
class OutputFiles {
 public:
  OutputFiles(std::filesystem::path folder, std::string name, const std::vector<int>& ctas);

  [[nodiscard]] const std::filesystem::path& profile() const { return profile_; }
  [[nodiscard]] const std::vector<std::filesystem::path>& clusters() const { return clusters_; }

  /// Makes the folders. @throws InvalidInput if the files cannot be written there
  void create_folders() const;

  /// Writes what was measured, reads it back, and only then replaces earlier files. Clusters of this name that an
  /// earlier calibration left for other numbers of CTAs go. @returns the profile as read
  [[nodiscard]] GpuProfile write(const CalibrationRequest& request, const Calibration& measured) const;

 private:
  void write_all(const std::vector<std::string>& texts) const;
  void remove_stale_clusters() const;

  std::filesystem::path folder_;
  std::string name_;
  std::vector<int> ctas_;
  std::filesystem::path profile_;
  std::vector<std::filesystem::path> clusters_;  ///< by number of CTAs
};

}  // namespace meshattn
