#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "core/cluster/cluster.h"

namespace meshattn {

/// Reads a cluster by name (a file of `topologies`) or by path, and the GPU profile that it names.
/// `settings` are what-if overrides, "section.key=value"; `framework` a file of `topologies`/frameworks, or a path,
/// that says what the program does round its kernels; none: all in few kernels of its own (see Framework).
/// @throws InvalidInput naming file, line and what would be right: unknown or missing keys, numbers without a source.
[[nodiscard]] Cluster read_cluster(const std::string& name_or_path, const std::filesystem::path& topologies,
                                   std::span<const std::string> settings = {}, const std::string& framework = {});

/// Names of the clusters, and of the GPU profiles, in `topologies`, sorted.
[[nodiscard]] std::vector<std::string> cluster_names(const std::filesystem::path& topologies);
[[nodiscard]] std::vector<std::string> gpu_names(const std::filesystem::path& topologies);

}  // namespace meshattn
