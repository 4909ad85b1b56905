#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/base/ini_file.h"
#include "core/cluster/cluster.h"

namespace meshattn {

/// The files that describe a cluster, read once: its own, its GPU profile's and its framework's.
class ClusterFiles {
 public:
  /// `name_or_path` is a cluster of `topologies`/clusters or a path; it names the GPU profile. `settings` are what-if
  /// overrides "section.key=value". `framework` is a framework of `topologies`/frameworks or a path; if it is empty the
  /// program fuses everything into few kernels (the defaults of Framework).
  /// @throws InvalidInput naming file, line and what would be right: unknown or missing keys, numbers without a source.
  ClusterFiles(const std::string& name_or_path, const std::filesystem::path& topologies,
               std::span<const std::string> settings = {}, const std::string& framework = {});

  /// The cluster, after these settings too; they may not name another GPU profile.
  /// @throws InvalidInput if the numbers do not fit together.
  [[nodiscard]] Cluster cluster(std::span<const std::string> more_settings = {}) const;

 private:
  std::filesystem::path path_;
  IniFile file_;
  std::filesystem::path gpu_path_;
  IniFile gpu_, framework_;
};

/// The cluster of `ClusterFiles` with these arguments. @throws InvalidInput
[[nodiscard]] Cluster read_cluster(const std::string& name_or_path, const std::filesystem::path& topologies,
                                   std::span<const std::string> settings = {}, const std::string& framework = {});

/// Names of the clusters in `topologies`, sorted.
[[nodiscard]] std::vector<std::string> cluster_names(const std::filesystem::path& topologies);
/// Names of the GPU profiles in `topologies`, sorted.
[[nodiscard]] std::vector<std::string> gpu_names(const std::filesystem::path& topologies);

}  // namespace meshattn
