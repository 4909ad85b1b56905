#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/cluster/cluster.h"
#include "core/cluster/cluster_file.h"

namespace meshattn {

/// An end of the uncertainty of all figures of a cluster.
enum class UncertaintyEnd : std::uint8_t { kSlow, kFast };

/// The settings "section.key=value" that move every figure with an uncertainty to that end; empty if there is none.
/// Times, numbers of moved bytes and oversubscription are slow if large, all other figures if small. A figure stays
/// within what its key allows and within a tenth and ten times of its value.
[[nodiscard]] std::vector<std::string> settings_of(UncertaintyEnd end, const Cluster& cluster);

/// The clusters at the slow end and at the fast end, in this order; empty if no figure has an uncertainty.
[[nodiscard]] std::vector<Cluster> uncertainty_ends(const ClusterFiles& files);

}  // namespace meshattn
