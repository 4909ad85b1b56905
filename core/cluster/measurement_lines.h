#pragma once

#include <string_view>
#include <vector>

#include "core/base/ini_file.h"
#include "core/cluster/cluster.h"

namespace meshattn {

// Lines of a cluster's or profile's file that are a measurement in several words. All throw InvalidInput with the
// line's place and what would be right.

/// "forward full bf16 q 4096 kv 4096 heads 64/8 dim 128 671 TFLOPs", with "batch 2" before the q of two batch items.
[[nodiscard]] AttentionPoint parse_point(const IniLine& line);

/// "forward 2.1": waves that the end of a kernel idles. Once a pass.
void add_tail(const IniLine& line, GpuProfile& gpu);

/// "1000000 bytes 15.3 us", all lines of a section, by size. Once a size. Where a setting changes the section's
/// startup_us, those of the file change in proportion.
[[nodiscard]] std::vector<StartupPoint> startups_of(const IniFile& file, std::string_view section);

}  // namespace meshattn
